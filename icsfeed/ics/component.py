"""A calendar component as a value: what feeds/mapping.py decides and ics/write.py writes."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal, TypeAlias

import webcolors
from msgspec import Struct

MAX_SEQUENCE = 2**31 - 1
"""INTEGER values have 32 bits (RFC 5545, 3.3.8)."""
FIRST_WRITABLE_DAY = date(1000, 1, 1)
CSS3: Mapping[str, str] = MappingProxyType(
    {name: webcolors.name_to_hex(name).upper() for name in webcolors.names(webcolors.CSS3)}
)
"""The colour names that COLOR takes (RFC 7986, 5.9), with the RGB value that Apple needs."""

Status: TypeAlias = Literal["CONFIRMED", "TENTATIVE", "CANCELLED", "NEEDS-ACTION", "IN-PROCESS", "COMPLETED"]


def is_writable(day: date) -> bool:
    """Return whether every parser reads an event on this day.

    An event ends on the day after, which 9999-12-31 does not have; old parsers refuse years before 1000.
    """
    return FIRST_WRITABLE_DAY <= day < date.max


class Component(Struct, frozen=True, kw_only=True):
    """One all-day VEVENT or VTODO.

    `first` and `last` are its days, both inclusive; a VTODO without a due date has no `last`, and one has
    `first` only when that is before `last`. Texts are not escaped. `alarms` are offsets from the start of
    the last day.
    """

    kind: Literal["VEVENT", "VTODO"]
    uid: str
    summary: str
    first: date | None
    last: date | None
    status: Status
    created: datetime
    revised: datetime
    description: str = ""
    categories: tuple[str, ...] = ()
    color: str | None = None
    priority: int | None = None
    url: str | None = None
    completed: datetime | None = None
    related_to: str | None = None
    alarms: tuple[timedelta, ...] = ()
    least_sequence: int = 0

    @property
    def sequence(self) -> int:
        """Whole seconds from `created` to `revised`: it grows with each revision.

        At least `least_sequence`: an update must not be older than what a server holds (RFC 5546, 2.1.4).
        """
        # Computed from the times, not counted: nothing is stored, and every replica gets the same number.
        length = self.revised.replace(microsecond=0) - self.created.replace(microsecond=0)
        return min(max(self.least_sequence, int(length.total_seconds())), MAX_SEQUENCE)

    @property
    def sort_key(self) -> tuple[date, str]:
        """The order in a feed: by date, then UID; undated ones come last."""
        return (self.first or self.last or date.max, self.uid)
