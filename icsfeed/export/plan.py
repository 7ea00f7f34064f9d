"""Plan what an export does to its folder, before anything is touched.

Only files that an export has written are overwritten or removed: `made` is the record of those, and a file
that is in the way and not in the record belongs to somebody else.
"""

import re
from collections.abc import Callable, Collection, Mapping

from msgspec import Struct, json

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
    ours to `remove`. Files of feeds that may still exist are left as they are."""

    write: tuple[str, ...]
    foreign: tuple[str, ...]
    remove: tuple[str, ...]


class ExportRecord(Struct, frozen=True):
    """The record of an export: the files that it `made`, feeds by path."""

    made: dict[str, str]


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
    return ExportPlan(
        write=tuple(path for path in wanted if path not in foreign),
        foreign=foreign,
        remove=tuple(path for path, feed in made.items() if path not in wanted and may_be_gone(feed)),
    )


def read_record(data: bytes) -> Mapping[str, str]:
    """Return what a record says was made. Raises DecodeError or ValueError for one that cannot be used."""
    made = json.decode(data, type=ExportRecord).made
    # Somebody who can write the record must not have other files removed by it.
    if not all(map(PATH.fullmatch, made)):
        raise ValueError("it names a file that no export writes")
    return made
