"""What follows for which calendar app from the contents of a feed."""

from collections.abc import Iterator, Sequence

from icsfeed.doctor.body import CalendarFile, ParsedItem
from icsfeed.doctor.clients import EVERYBODY, LARGE, ONLINE, WITHOUT_TASKS
from icsfeed.doctor.http_rules import (
    APPLE,
    GOOGLE,
    HOME_ASSISTANT,
    ICSX5,
    NEXTCLOUD,
    OUTLOOK,
    THUNDERBIRD,
    VDIRSYNCER,
    Remark,
    Weight,
)

STRICT = (GOOGLE, HOME_ASSISTANT)
"""Apps that reject the whole file for one line that they cannot read."""
OTHERS = tuple(app for app in EVERYBODY if app not in STRICT)
HINTS = ("REFRESH-INTERVAL", "X-PUBLISHED-TTL")


def about_form(body: CalendarFile, size: int) -> Iterator[Remark]:
    """Judge whether the file is well-formed."""
    if not body.is_whole:
        yield Remark("fails", EVERYBODY, "it is truncated: a BEGIN is without its END")
    if body.malformed:
        text = f"line {body.malformed[0]} cannot be read ({len(body.malformed)} of that kind)"
        yield Remark("fails", STRICT, f"{text}: the whole file is rejected")
        yield Remark("limits", OTHERS, text)
    if not body.is_utf8:
        yield Remark("fails", STRICT, "it is not UTF-8")
        yield Remark("limits", OTHERS, "it is not UTF-8: letters beyond ASCII are wrong")
    missing = [name for name in ("VERSION", "PRODID") if name not in body.values]
    if missing and body.is_whole:
        yield Remark("fails", (HOME_ASSISTANT,), f"it has no {' and no '.join(missing)}")
    if not body.has_crlf:
        yield Remark("note", EVERYBODY, "its lines do not end in CR LF, as RFC 5545 requires")
    if body.overlong:
        yield Remark("note", EVERYBODY, f"line {body.overlong[0]} is longer than 75 octets and not folded")
    if size > LARGE:
        yield Remark("limits", ONLINE, f"it has {size:,} bytes; some services read no more than {LARGE:,}")


def about_content(body: CalendarFile) -> Iterator[Remark]:
    """Judge the properties of the calendar, its events and its tasks."""
    if not any(hint in body.values for hint in HINTS):
        text = "it does not say how often to refresh (REFRESH-INTERVAL): Nextcloud does once a week"
        yield Remark("limits", (NEXTCLOUD,), text)
    if not body.items:
        yield Remark("note", EVERYBODY, "it is empty")
        # Its protection against lost data takes an empty collection for a fault of the server.
        yield Remark("limits", (VDIRSYNCER,), "vdirsyncer refuses to sync a feed that has become empty")
        return
    yield from _about_identity(body)
    tasks = len(body.of("VTODO"))
    if tasks:
        weight: Weight = "limits" if body.of("VEVENT") else "fails"
        yield Remark(weight, WITHOUT_TASKS, f"it does not show tasks, and {tasks} of this feed are")
    yield from _about_events(body)
    unknown = sorted(body.used_zones - body.zones)
    if unknown:
        text = f"the time zone {unknown[0]} is used and not defined: Outlook may show nothing"
        yield Remark("fails", (OUTLOOK,), text)
    alarms = sum(item.alarms for item in body.items)
    if alarms:
        yield Remark("note", (GOOGLE, NEXTCLOUD), f"its {alarms} reminders are ignored")
        yield Remark("note", (APPLE,), f"its {alarms} reminders are dropped unless you ask for them")


def _about_identity(body: CalendarFile) -> Iterator[Remark]:
    unnamed = [item for item in body.items if not item.value("UID")]
    yield from _of(unnamed, "fails", (HOME_ASSISTANT, VDIRSYNCER), "without UID")
    yield from _of(unnamed, "limits", (ICSX5, NEXTCLOUD, THUNDERBIRD), "without UID: duplicated or lost")
    keys = [item.key for item in body.items if item.value("UID")]
    if len(keys) != len(set(keys)):
        text = f"{len(keys) - len(set(keys))} share a UID with another"
        yield Remark("fails", (VDIRSYNCER,), text)
        yield Remark("limits", (ICSX5, NEXTCLOUD, THUNDERBIRD), f"{text}: one of them is shown")
    if "UID" in body.values:
        # pimutils/vdirsyncer#1222: versions 0.19 to 0.21 read the first UID line of the file for each item.
        weight: Weight = "fails" if len(body.items) > 1 else "limits"
        text = "the calendar itself has a UID, which vdirsyncer takes for the UID of every item: it keeps one"
        yield Remark(weight, (VDIRSYNCER,), text)
    undated = [item for item in body.items if not item.value("DTSTAMP")]
    yield from _of(undated, "fails", (HOME_ASSISTANT,), "without DTSTAMP")
    unrevised = [item for item in body.items if not item.value("LAST-MODIFIED")]
    yield from _of(unrevised, "note", (ICSX5,), "without LAST-MODIFIED: changes cannot be recognised")


def _about_events(body: CalendarFile) -> Iterator[Remark]:
    events = body.of("VEVENT")
    starts = [event for event in events if not event.value("DTSTART")]
    yield from _of(starts, "fails", STRICT, "without DTSTART")
    # RFC 5545, 3.8.2.2: DTEND must be later than DTSTART. The parser of Home Assistant rejects the file.
    empty = [event for event in events if event.value("DTEND") == event.value("DTSTART") != ""]
    yield from _of(empty, "fails", (HOME_ASSISTANT,), "that end when they start (DTEND = DTSTART)")
    # Outlook shows all-day events as busy unless this property says FREE.
    all_day = [event for event in events if event.values.get("DTSTART", "").startswith(";VALUE=DATE:")]
    busy = [event for event in all_day if event.value("X-MICROSOFT-CDO-BUSYSTATUS") != "FREE"]
    yield from _of(busy, "limits", (OUTLOOK,), "all-day events are shown as busy")
    cancelled = [event for event in events if event.value("STATUS") == "CANCELLED"]
    yield from _of(cancelled, "note", (GOOGLE,), "are cancelled: Google leaves them out")
    invited = [event for event in events if {"ORGANIZER", "ATTENDEE"} & event.values.keys()]
    yield from _of(invited, "limits", (OUTLOOK, THUNDERBIRD), "with guests: shown as invitations")


def _of(items: Sequence[ParsedItem], weight: Weight, apps: tuple[str, ...], text: str) -> Iterator[Remark]:
    """Yield a remark that begins with the number of these items, if there are any."""
    if items:
        yield Remark(weight, apps, f"{len(items)} {text}")


def about_two(first: CalendarFile, again: CalendarFile, *, same_bytes: bool) -> Iterator[Remark]:
    """Judge what differs between two reads shortly after each other, in which little can have changed."""
    if same_bytes:
        return
    before, after = ({item.key: item for item in body.items} for body in (first, again))
    both = before.keys() & after.keys()
    if before and after and not both:
        yield Remark("limits", EVERYBODY, "every UID changes with each read: all events are created again")
    changed = [key for key in both if before[key].content != after[key].content]
    stuck = [k for k in changed if after[k].value("LAST-MODIFIED") <= before[k].value("LAST-MODIFIED")]
    if stuck:
        text = f"{len(stuck)} changed without a later LAST-MODIFIED: ICSx5 keeps the old ones"
        yield Remark("limits", (ICSX5,), text)
    if changed:
        yield Remark(
            "note", (VDIRSYNCER,), f"{len(changed)} changed between two reads: they are created again"
        )
    if both and not changed:
        yield Remark("note", EVERYBODY, "its bytes change with each read although its events do not")
