"""The query parameters of a feed's URL, read and written.

They narrow a feed or change how it looks; they never widen it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar, get_args
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Alarm, ComponentKind, DateMode, DoneMode, Feed, Match
from icsfeed.config.values import parse_alarm
from icsfeed.errors import BadParameter, did_you_mean
from icsfeed.model import Priority

T = TypeVar("T")

FIELDS = (
    *Match.__struct_fields__,
    *("from", "to", "days", "component", "alarm", "done", "dates"),
)
"""The parameters that narrow a feed, in the order in which an address has them."""

URL_LIMIT = 200
"""Characters: Google takes 256, and some apps fewer (docs/clients.md)."""
DAYS_LIMIT = 36_500
"""Days, a century: more is a mistake, and dates end in 9999."""

ALARMS_LIMIT = 10
"""Reminders for an issue: each adds lines to every component of a feed."""

LENGTH_LIMIT = 2_000
"""Characters of all values together, ten times what a link may have: a query is cached with its feed."""


class Query(Struct, frozen=True, kw_only=True):
    """The parameters, parsed. `first` and `last` are dates, inclusive; `days` counts from today.

    No parameter sets these: `also`, what must match besides `only`; `title`, another name of the calendar;
    `since`, from when on it is narrowed so.
    """

    only: Match = Match()
    also: tuple[Match, ...] = ()
    title: str | None = None
    since: datetime | None = None
    exclude: Match = Match()
    first: date | None = None
    last: date | None = None
    days: int | None = None
    component: ComponentKind | None = None
    alarm: tuple[Alarm, ...] | None = None
    done: DoneMode | None = None
    dates: DateMode | None = None

    @property
    def restyles(self) -> bool:
        """Whether items look different from those of the feed itself."""
        return any(asked is not None for asked in (self.component, self.alarm, self.done, self.dates))


def parse_query(parameters: Iterable[tuple[str, str]]) -> Query:
    """Read the parameters we know; others are ignored (clients add their own), and so are empty ones.

    A parameter may be repeated, and one value may list several, with commas between them; a
    leading `!` excludes (`label=!wontfix`). Raises BadParameter for a value that cannot be used.
    """
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        if value.strip():
            given.setdefault(name, []).append(value.strip())
    length = 0
    for field in FIELDS:
        length += sum(map(len, given.get(field, ())))
        if length > LENGTH_LIMIT:
            raise BadParameter(field, f"exceeds {LENGTH_LIMIT} characters together with those before it")
    alarms = [part for value in given.get("alarm", ()) for part in _parts(value)]
    if len(alarms) > ALARMS_LIMIT:
        raise BadParameter("alarm", f"must be {ALARMS_LIMIT} durations at most")
    query = Query(
        only=_match(given, excluded=False),
        exclude=_match(given, excluded=True),
        first=_one(given, "from", _day),
        last=_one(given, "to", _day),
        days=_one(given, "days", _days),
        component=_one(given, "component", _choice(get_args(ComponentKind))),
        alarm=tuple(map(_alarm, alarms)) or None,
        done=_one(given, "done", _choice(get_args(DoneMode))),
        dates=_one(given, "dates", _choice(get_args(DateMode))),
    )
    if query.first and query.last and query.last < query.first:
        raise BadParameter("to", "must not be before from")
    return query


def both(stored: Query, asked: Query) -> Query:
    """Return what a link's own query and the parameters of its address select together: never more than one.

    Of two settings that change how items look, the link's own counts. Whether an issue is within its days
    depends on dates and component: where it has days, the address cannot change these either.
    """
    if asked == Query():
        return stored
    has_days = stored.first or stored.last or stored.days is not None

    def look(field: str, *, is_fixed: bool = False) -> Any:
        own = getattr(stored, field)
        return own if own is not None or is_fixed else getattr(asked, field)

    firsts = [day for day in (stored.first, asked.first) if day]
    lasts = [day for day in (stored.last, asked.last) if day]
    return Query(
        only=asked.only,
        also=tuple(match for match in (stored.only, *stored.also) if match != Match()),
        title=stored.title,
        since=stored.since,
        exclude=_either(stored.exclude, asked.exclude),
        first=max(firsts, default=None),
        last=min(lasts, default=None),
        days=min((days for days in (stored.days, asked.days) if days is not None), default=None),
        component=look("component", is_fixed=bool(has_days)),
        alarm=look("alarm"),
        done=look("done"),
        dates=look("dates", is_fixed=bool(has_days)),
    )


def _either(one: Match, other: Match) -> Match:
    fields = Match.__struct_fields__
    values = {field: tuple(dict.fromkeys((*getattr(one, field), *getattr(other, field)))) for field in fields}
    return Match(**values)


def narrowed(feed: Feed, query: Query) -> Feed:
    """Return the feed as the query narrows it. What the feed drops stays dropped.

    Raises BadParameter where the result would reveal what the feed hides (docs/mapping.md).
    """
    _raise_if_revealing(feed, query)
    changes: dict[str, object] = {} if query.title is None else {"title": query.title}
    if query.component is not None:
        changes["component"] = query.component
        # Only tasks can be without a date; a feed of events that is shown as tasks keeps to its own setting.
        changes["undated"] = feed.undated and query.component == "vtodo"
    if query.dates is not None:
        changes["dates"] = query.dates
    if query.alarm is not None:
        changes["alarm"] = query.alarm
    if query.done is not None and feed.done != "drop":  # what it drops must not come back
        changes["done"] = query.done
    return replace(feed, **changes) if changes else feed


def shown_fields(feed: Feed) -> frozenset[str]:
    """Return the fields of a Match that the feed shows of each issue, and may be narrowed by.

    Full details are for people who may see the issues in Plane, where all of it is shown: except in a public
    feed.
    """

    def shows(field: str) -> bool:
        return field in feed.categories or f"{{{'name' if field == 'title' else field}}}" in feed.summary

    if feed.details == "full":
        # Whether an issue has a parent that the feed does not hold, and which, is not shown.
        hidden = {field for field in ("type", "title") if not shows(field)} | {"created_by", "parent"}
        return frozenset(Match.__struct_fields__) - (hidden if feed.public else set())
    if feed.details == "busy":
        return frozenset()
    shown = {
        "project": feed.details == "brief" or shows("project") or shows("key"),
        "priority": True,
        "title": shows("title"),
        "label": "labels" in feed.categories,
        "state": feed.details == "brief" or shows("state"),
        "type": shows("type"),
    }
    return frozenset(field for field, is_shown in shown.items() if is_shown)


def tells_done(feed: Feed) -> bool:
    """Return whether the feed shows which issues are completed or cancelled: by state, or as `done` says."""
    if feed.details == "busy":
        return False
    return "state" in shown_fields(feed) or feed.done != "keep" or feed.component == "vtodo"


def tells_start(feed: Feed) -> bool:
    """Return whether the feed shows when issues start: in full details, or by the dates of events."""
    return feed.details == "full" or (feed.details != "busy" and feed.dates != "due")


def may_remind(feed: Feed) -> bool:
    """Return whether reminders may be asked for: except in a busy feed, issues that are done have none."""
    return feed.details == "busy" or tells_done(feed)


def _raise_if_revealing(feed: Feed, query: Query) -> None:
    shown = shown_fields(feed)
    for match in (query.only, *query.also, query.exclude):
        for field in Match.__struct_fields__:
            if getattr(match, field) and field not in shown:
                raise BadParameter(field, "cannot be used: this calendar does not show it")
        if feed.public and any("@" in value for value in match.assignee):
            # Anybody could try addresses: whose one is, and whether it exists, is not public.
            raise BadParameter("assignee", "cannot be an e-mail address in a public calendar: use the name")
    if query.done is not None and not tells_done(feed):
        raise BadParameter("done", "cannot be used: this calendar does not show it")
    if query.dates is not None and not tells_start(feed):
        raise BadParameter("dates", "cannot be used: this calendar does not show it")
    if query.alarm is not None and not may_remind(feed):
        raise BadParameter("alarm", "cannot be used: this calendar does not show what is done")


def _match(given: Mapping[str, list[str]], *, excluded: bool) -> Match:
    def values(field: str) -> list[str]:
        chosen = (value for value in given.get(field, ()) if value.startswith("!") == excluded)
        return [value.removeprefix("!").strip() for value in chosen]

    read = _choice(get_args(Priority))
    priorities = [part for value in values("priority") for part in _parts(value)]
    return Match(
        priority=tuple(read("priority", part) for part in priorities),
        **{
            # Each value whole as well as its parts: the name of a label may hold a comma.
            field: tuple(dict.fromkeys(n for v in values(field) for n in (v, *_parts(v)) if n))
            for field in Match.__struct_fields__
            if field != "priority"
        },
    )


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _one(given: Mapping[str, list[str]], field: str, read: Callable[[str, str], T]) -> T | None:
    values = set(given.get(field, ()))
    if len(values) > 1:
        raise BadParameter(field, "is given more than once")
    return read(field, values.pop()) if values else None


def _choice(allowed: tuple[str, ...]) -> Callable[[str, str], Any]:
    def read(field: str, value: str) -> str:
        if value.lower() not in allowed:
            raise BadParameter(field, f"must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
        return value.lower()

    return read


def _day(field: str, value: str) -> date:
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise BadParameter(field, "must be a date such as 2026-12-31") from None


def _days(field: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,8}", value) or int(value) > DAYS_LIMIT:
        raise BadParameter(field, f"must be a whole number of days from 0 to {DAYS_LIMIT}")
    return int(value)


def _alarm(value: str) -> Alarm:
    try:
        return parse_alarm(value)
    except ValueError:
        raise BadParameter("alarm", "must be a duration such as -PT15H, from the start of the day") from None


def query_string(parameters: Iterable[tuple[str, str]]) -> str:
    """Return the shortest query of these parameters, such as `priority=urgent,high&days=14`, or nothing.

    Empty and unknown ones are left out, and values of one field are joined with commas. A value that holds a
    comma itself gets a parameter of its own.
    """
    given: dict[str, list[str]] = {name: [] for name in FIELDS}
    for name, value in parameters:
        if name in FIELDS and value.strip() and value.strip() not in given[name]:
            given[name].append(value.strip())
    pairs = []
    for name, values in given.items():
        plain = [value for value in values if "," not in value and not value.startswith("!")]
        excluded = [value.removeprefix("!") for value in values if "," not in value and value.startswith("!")]
        if plain:
            pairs.append((name, quote(",".join(plain), safe=",")))
        if excluded:
            pairs.append((name, "!" + quote(",".join(excluded), safe=",")))
        pairs += [(name, quote(value, safe=",!")) for value in values if "," in value]
    return "&".join(f"{name}={value}" for name, value in pairs)


def with_query(url: str, query: str) -> str:
    """Return the address with this query, if there is one."""
    return f"{url}?{query}" if query else url
