"""What follows for which calendar app from how a feed is reached and how it answers (clients.md)."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from icsfeed.doctor.clients import EVERYBODY, PAGE
from icsfeed.doctor.observations import FeedResponse, NoResponse, Observations, Reply

Weight: TypeAlias = Literal["fails", "limits", "note"]

GOOGLE, OUTLOOK, APPLE, NEXTCLOUD = "Google Calendar", "Outlook", "Apple Calendar", "Nextcloud"
THUNDERBIRD, ICSX5, HOME_ASSISTANT, VDIRSYNCER = "Thunderbird", "ICSx5", "Home Assistant", "vdirsyncer"
FULLCALENDAR, SERVICES = "FullCalendar", "Fastmail, Proton"

URL_LONGEST, URL_SAFE = 256, 200
HOPS = 5
PATIENCE, SOON = 30.0, 10.0
"""Seconds: Home Assistant gives up after the first; the second is near enough to worry."""

STATUS = {
    401: "it asks for a password: apps prompt for it, and services give up",
    403: "it refuses this program: a wall against robots, or a rule by address or name",
    404: "there is nothing at this address",
    410: "it says that the calendar is gone for good",
    429: "it allows no more requests",
}


class Remark(NamedTuple):
    """One thing that somebody should know, and the apps that it concerns."""

    weight: Weight
    apps: tuple[str, ...]
    text: str


def about_place(seen: Observations) -> Iterator[Remark]:
    """The address itself: who can reach it, its length, what robots.txt says."""
    inside = [address for address in seen.addresses if not _is_public(address)]
    if inside:
        why = f"its host is at {inside[0]}, which the internet cannot reach"
        yield Remark("fails", (GOOGLE, NEXTCLOUD, SERVICES), why)
        yield Remark("limits", (OUTLOOK,), f"{why}: only Outlook on a computer nearby can")
    length = len(seen.url)
    if length > URL_SAFE:
        weight: Weight = "fails" if length > URL_LONGEST else "limits"
        yield Remark(weight, (GOOGLE,), f"the address has {length} characters; Google takes {URL_LONGEST}")
    if urlsplit(seen.url).scheme == "http":
        yield Remark("note", EVERYBODY, "http, not https: whoever listens on the way has the link")
    if not seen.robots:
        yield Remark("fails", (GOOGLE,), "robots.txt forbids it")


def about_answers(seen: Observations) -> Iterator[Remark]:
    """What each app is answered, and how soon."""
    for app, reply in seen.apps.items():
        if isinstance(reply, NoResponse):
            yield Remark("fails", (app,), reply.reason)
        elif reply.status != 200:
            text = STATUS.get(reply.status, "it fails" if reply.status >= 500 else "it is no good answer")
            yield Remark("fails", (app,), f"{reply.status}: {text}{_consequence(app, reply.status)}")
        elif not is_calendar(reply):
            kind = reply.headers.get("content-type", "").partition(";")[0] or "without a type"
            wiped = "; Thunderbird then removes every event" if app == THUNDERBIRD else ""
            yield Remark("fails", (app,), f"what it answers is no calendar ({kind}){wiped}")
        else:
            yield from _about_type(app, reply)
            yield from _about_way(app, reply)


def is_calendar(reply: FeedResponse) -> bool:
    """Whether a body begins as a calendar does."""
    return reply.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].upper() == b"BEGIN:VCALENDAR"


def _consequence(app: str, status: int) -> str:
    if app == THUNDERBIRD and status == 410:
        return "; Thunderbird disables the calendar for good"
    if app in (THUNDERBIRD, SERVICES) and status != 404:
        return "; the subscription is disabled when it goes on"
    return ""


def _about_type(app: str, reply: FeedResponse) -> Iterator[Remark]:
    kind = reply.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "text/calendar":
        yield Remark("limits", (app,), f"its Content-Type is {kind or 'missing'}, not text/calendar")


def _about_way(app: str, reply: FeedResponse) -> Iterator[Remark]:
    schemes = [urlsplit(hop).scheme for hop in reply.hops]
    if app == ICSX5 and len(reply.hops) - 1 > HOPS:
        yield Remark("fails", (app,), f"it redirects {len(reply.hops) - 1} times; ICSx5 follows {HOPS}")
    if app == ICSX5 and ("https", "http") in pairwise(schemes):
        yield Remark("fails", (app,), "it redirects from https to http, where ICSx5 does not follow")
    if app == HOME_ASSISTANT and reply.seconds > SOON:
        weight: Weight = "fails" if reply.seconds > PATIENCE else "limits"
        text = f"it took {reply.seconds:.0f} s; Home Assistant waits {PATIENCE:.0f} s"
        yield Remark(weight, (app,), text)


def about_talk(seen: Observations) -> Iterator[Remark]:
    """The finer points of HTTP: HEAD, Authorization, validators, compression, other origins."""
    if not isinstance(seen.first, FeedResponse) or seen.first.status != 200:
        return
    if not _is_good(seen.head):
        yield Remark("fails", (OUTLOOK,), f"HEAD is {_told(seen.head)}; Outlook asks so before it reads")
    if not _is_good(seen.authorized):
        text = f"with an Authorization header it is {_told(seen.authorized)}; Outlook sends one"
        yield Remark("fails", (OUTLOOK,), text)
    yield from _about_validators(seen)
    yield from _about_compression(seen, seen.first)
    page = seen.apps.get(FULLCALENDAR)
    allowed = page.headers.get("access-control-allow-origin") if isinstance(page, FeedResponse) else "*"
    if allowed not in ("*", PAGE):
        text = "pages of other origins may not read it (CORS); this one's own origin may be among the allowed"
        yield Remark("limits", (FULLCALENDAR,), text)


def _about_validators(seen: Observations) -> Iterator[Remark]:
    asked = {"If-None-Match": seen.matched, "If-Modified-Since": seen.since}
    if seen.matched is None and seen.since is None:
        text = "it has neither ETag nor Last-Modified: it is sent whole each time"
        yield Remark("note", (THUNDERBIRD, ICSX5), text)
    for header, reply in asked.items():
        if isinstance(reply, FeedResponse) and reply.status not in (200, 304):
            yield Remark("fails", (THUNDERBIRD, ICSX5), f"with {header} it is {_told(reply)}")
        elif reply is not None and not (isinstance(reply, FeedResponse) and reply.status == 304):
            text = f"{header} is {_told(reply)} where 304 was due: it is sent whole each time"
            yield Remark("note", (THUNDERBIRD, ICSX5), text)


def _about_compression(seen: Observations, first: FeedResponse) -> Iterator[Remark]:
    bodies = [reply.body for reply in (seen.zipped, seen.again) if isinstance(reply, FeedResponse)]
    if not _is_good(seen.zipped):
        yield Remark("fails", EVERYBODY, f"asked for gzip it is {_told(seen.zipped)}")
    elif len(bodies) == 2 and first.body == bodies[1] != bodies[0]:
        yield Remark("limits", EVERYBODY, "compressed it is another calendar than plain")


def _is_good(reply: Reply | None) -> bool:
    return reply is None or (isinstance(reply, FeedResponse) and reply.status == 200)


def _told(reply: Reply | None) -> str:
    if isinstance(reply, FeedResponse):
        return f"answered with {reply.status}"
    return f"not answered: {reply.reason if reply else 'not asked'}"


def _is_public(address: str) -> bool:
    return ip_address(address).is_global
