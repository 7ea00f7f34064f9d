"""What an export does to its folder, decided before anything is touched.

Only what an export made is ever overwritten or removed: `made` is its own record, and a file that
stands in the way without being in it belongs to somebody else.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

PATH = re.compile(r"(?:feeds/(?:icsf_[a-z2-7]{26}/)?)?[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.ics")
"""What a file of ours may be called, from the folder on: nothing that leads out of it."""


class ExportFile(Struct, frozen=True):
    """A file that should be there: the feed it is of, and whose link it is (empty: the feed's own)."""

    feed: str
    subscriber: str = ""


class ExportPlan(Struct, frozen=True):
    """`write`: paths to bring up to date; `foreign`: paths that are taken by somebody else's file;
    `remove`: paths of ours that nothing is wanted at; `kept`: ours, and left because it is not known
    whether their feed is gone."""

    write: tuple[str, ...]
    foreign: tuple[str, ...]
    remove: tuple[str, ...]
    kept: tuple[str, ...]


def plan_export(
    wanted: Mapping[str, ExportFile],
    made: Mapping[str, str],
    present: Collection[str],
    may_be_gone: Callable[[str], bool],
) -> ExportPlan:
    """`made`: the record, feeds by path; `present`: which of the wanted paths exist already.

    `may_be_gone`: whether it is known that a feed of this name, which is not wanted, is not there.
    """
    foreign = tuple(path for path in wanted if path in present and path not in made)
    left = [path for path in made if path not in wanted]
    return ExportPlan(
        write=tuple(path for path in wanted if path not in foreign),
        foreign=foreign,
        remove=tuple(path for path in left if may_be_gone(made[path])),
        kept=tuple(path for path in left if not may_be_gone(made[path])),
    )


def usable_record(record: object) -> Mapping[str, str]:
    """The record as it was read back. Raises ValueError when it is not one of ours."""
    if not isinstance(record, dict) or not isinstance(record.get("made"), dict):
        raise ValueError("it is not the record of an export")
    made: dict[object, object] = record["made"]
    return {str(path): str(feed) for path, feed in _sound(made.items())}


def _sound(entries: Iterable[tuple[object, object]]) -> Iterable[tuple[object, object]]:
    for path, feed in entries:
        if not (isinstance(path, str) and isinstance(feed, str) and PATH.fullmatch(path)):
            raise ValueError("it names a file that no export makes")
        yield path, feed
