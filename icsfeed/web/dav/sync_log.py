"""The last states of a calendar: what has changed since one of them (RFC 6578).

A token is a digest of a state, the same on every replica and after a restart, so that nothing has to be known
of clients. The log says which objects differ between one state and the next.
"""

from collections.abc import Mapping

from msgspec import Struct

from icsfeed.web.dav.resources import DavCalendar

MAX_STATES = 200
MAX_NAMES = 20_000
"""Names of objects in all states together; those of the newest state are kept in any case."""


class CalendarState(Struct, frozen=True, array_like=True):
    """A state, and the names of the objects that were added, changed or removed since the one before."""

    token: str
    differing: tuple[str, ...] = ()


class SyncLog(Struct, frozen=True):
    """States, the oldest first, and the ETags of the newest. Stored: fields must keep their names."""

    states: tuple[CalendarState, ...] = ()
    etags: Mapping[str, str] = {}

    @property
    def token(self) -> str:
        """The newest state; empty: there is none."""
        return self.states[-1].token if self.states else ""


class SyncChanges(Struct, frozen=True):
    """The names of objects that are new or differ, and of those that are gone."""

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def advanced(log: SyncLog, calendar: DavCalendar) -> SyncLog:
    """Return the log with the calendar's state as its newest."""
    if log.token == calendar.token:
        return log
    etags = {name: one.etag for name, one in calendar.objects.items()}
    differing = [name for name, etag in etags.items() if log.etags.get(name) != etag]
    differing += [name for name in log.etags if name not in etags]
    # The oldest state is where a client may start from: nobody needs to know what came before it.
    new = CalendarState(calendar.token, tuple(differing) if log.states else ())
    states = [*log.states, new][-MAX_STATES:]
    while len(states) > 1 and sum(len(state.differing) for state in states[1:]) > MAX_NAMES:
        del states[0]
    states[0] = CalendarState(states[0].token)
    return SyncLog(tuple(states), etags)


def changes_since(log: SyncLog, token: str, calendar: DavCalendar) -> SyncChanges | None:
    """Return what has changed between a token's state and the calendar, the log's newest state.

    None: the log does not know the token (any more).
    """
    # A calendar may come back to a former state: the latest time counts.
    at = next((n for n, state in enumerate(reversed(log.states)) if state.token == token), None)
    if at is None:
        return None
    later = log.states[len(log.states) - at :]
    names = dict.fromkeys(name for state in later for name in state.differing)
    return SyncChanges(
        tuple(name for name in names if name in calendar.objects),
        tuple(name for name in names if name not in calendar.objects),
    )
