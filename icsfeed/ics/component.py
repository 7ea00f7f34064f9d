"""A calendar component as a value: what mapping.py decides and ics.py writes."""

from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

SEQUENCE_LIMIT = 2**31 - 1
EARLIEST = date(1000, 1, 1)

Status: TypeAlias = Literal["CONFIRMED", "CANCELLED", "NEEDS-ACTION", "IN-PROCESS", "COMPLETED"]


def is_writable(day: date) -> bool:
    """Whether every parser reads an event on this day (mapping.md, 2d).

    9999-12-31 has no day after it, which an event ends on; old parsers refuse years before 1000.
    """
    return EARLIEST <= day < date.max


class Component(Struct, frozen=True, kw_only=True):
    """One VEVENT or VTODO, all-day.

    `first` and `last` are its days, both inclusive; a VTODO without a due date has no `last`, and
    `first` only when it is strictly before `last`. Texts are as a person would read them: not escaped.
    `alarms` are offsets from the start of the day that matters (`last` of a deadline).
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
        """Whole seconds from `created` to `revised`, as written (mapping.md, 5): grows whenever that does.

        At least `least_sequence`: an update must not step back behind what a server holds (RFC 5546, 2.1.4).
        """
        length = self.revised.replace(microsecond=0) - self.created.replace(microsecond=0)
        return min(max(self.least_sequence, int(length.total_seconds())), SEQUENCE_LIMIT)

    @property
    def sort_key(self) -> tuple[date, str]:
        """Components of a feed are sorted by date, then UID; undated ones come last."""
        return (self.first or self.last or date.max, self.uid)
