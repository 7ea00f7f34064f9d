"""Plan what an export does to its folder, before anything is touched.

Only files that an export has written are overwritten or removed: `made` is the record of those, and a file
that is in the way and not in the record belongs to somebody else.
"""

import re
from collections.abc import Callable, Collection, Mapping

from msgspec import Struct

PATH = re.compile(r"(?:feeds/(?:icsf_[a-z2-7]{26}/)?)?[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.ics")
"""The paths that an export may write, relative to its folder: none leads out of it."""


class ExportFile(Struct, frozen=True):
    """A file to write: of which feed, and for which subscriber's link (empty: the feed's own)."""

    feed: str
    subscriber: str = ""

    @property
    def label(self) -> str:
        """The file's name in messages: `anna` or `anna/phone`."""
        return f"{self.feed}/{self.subscriber}" if self.subscriber else self.feed


class ExportPlan(Struct, frozen=True):
    """The paths to `write`, those where somebody else's file is in the way (`foreign`), and those of files of
    ours that are not wanted: to `remove`, or `kept` because it is not known whether their feed is gone."""

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
    """Return what to do. `made`: the record, feeds by path; `present`: the wanted paths that exist already.

    `may_be_gone` says whether a feed that is not wanted may be taken as deleted.
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
    """Return the record of an export, as it was read from its file. Raises ValueError when it is not one."""
    if not isinstance(record, dict) or not isinstance(record.get("made"), dict):
        raise ValueError("it is not the record of an export")
    made: dict[object, object] = record["made"]
    for path, feed in made.items():
        # Somebody who can write the record must not have other files removed by it.
        if not (isinstance(path, str) and isinstance(feed, str) and PATH.fullmatch(path)):
            raise ValueError("it names a file that no export writes")
    return {str(path): str(feed) for path, feed in made.items()}
