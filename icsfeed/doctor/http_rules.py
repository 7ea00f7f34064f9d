"""What follows for which calendar app from a feed's address and its HTTP responses (docs/clients.md)."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from icsfeed.doctor.clients import EVERYBODY, PAGE
from icsfeed.doctor.observations import Observations, Reply

Weight: TypeAlias = Literal["fails", "limits", "note"]

GOOGLE, OUTLOOK, APPLE, NEXTCLOUD = "Google Calendar", "Outlook", "Apple Calendar", "Nextcloud"
THUNDERBIRD, ICSX5, HOME_ASSISTANT, VDIRSYNCER = "Thunderbird", "ICSx5", "Home Assistant", "vdirsyncer"
FULLCALENDAR, SERVICES = "FullCalendar", "Fastmail, Proton"

MAX_URL_LENGTH, SAFE_URL_LENGTH = 256, 200
"""Characters: the most that Google takes, and few enough for all apps."""
MAX_REDIRECTS = 5
"""Redirects that ICSx5 follows."""
TIMEOUT, SLOW = 30.0, 10.0
"""Seconds: when Home Assistant gives up, and when that is near."""

STATUS = {
    401: "it asks for a password: apps prompt for it, and services give up",
    403: "it rejects this program: bot protection, or a rule by address or name",
    404: "nothing is at this address",
    410: "it says that the calendar is gone permanently",
    429: "it allows no more requests",
}


class Remark(NamedTuple):
    """One finding, and the apps that it concerns."""

    weight: Weight
    apps: tuple[str, ...]
    text: str


def about_place(seen: Observations) -> Iterator[Remark]:
    """Judge the address itself: who can reach it, its length, what robots.txt says."""
    private = [address for address in seen.addresses if not ip_address(address).is_global]
    if private:
        why = f"its host is at {private[0]}, which the internet cannot reach"
        yield Remark("fails", (GOOGLE, SERVICES), why)
        unless = "which it does not read unless its `allow_local_remote_servers` is set"
        yield Remark("fails", (NEXTCLOUD,), f"its host is at {private[0]}, {unless}")
        yield Remark("limits", (OUTLOOK,), f"{why}: only Outlook on a computer in the same network can")
    length = len(seen.url)
    if length > SAFE_URL_LENGTH:
        weight: Weight = "fails" if length > MAX_URL_LENGTH else "limits"
        yield Remark(weight, (GOOGLE,), f"the address has {length} characters; Google takes {MAX_URL_LENGTH}")
    if urlsplit(seen.url).scheme == "http":
        yield Remark("note", EVERYBODY, "http, not https: anyone on the network path can read the link")
    if not seen.robots:
        yield Remark("fails", (GOOGLE,), "robots.txt forbids it")


def about_answers(seen: Observations) -> Iterator[Remark]:
    """Judge the response to each app, and its time."""
    for app, reply in seen.apps.items():
        if not reply.status:
            yield Remark("fails", (app,), reply.reason)
        elif not reply.is_good:
            text = STATUS.get(
                reply.status, "a server error" if reply.status >= 500 else "not a usable response"
            )
            yield Remark("fails", (app,), f"{reply.status}: {text}{_consequence(app, reply.status)}")
        elif not reply.is_calendar:
            # Thunderbird takes any 200 for the calendar: a login page empties it.
            kind = reply.headers.get("content-type", "").partition(";")[0] or "without a type"
            wiped = "; Thunderbird then removes every event" if app == THUNDERBIRD else ""
            yield Remark("fails", (app,), f"the response is not a calendar ({kind}){wiped}")
        else:
            content_type = reply.headers.get("content-type", "")
            if content_type.partition(";")[0].strip().lower() != "text/calendar":
                text = f"its Content-Type is {content_type or 'missing'}, not text/calendar"
                yield Remark("limits", (app,), text)
            yield from _about_way(app, reply)


def _consequence(app: str, status: int) -> str:
    # Thunderbird disables a calendar after any 4xx or 5xx except 404, and does not enable it after a 410.
    if app == THUNDERBIRD and status == 410:
        return "; Thunderbird disables the calendar permanently"
    if app in (THUNDERBIRD, SERVICES) and status != 404:
        return "; the subscription is disabled if this continues"
    return ""


def _about_way(app: str, reply: Reply) -> Iterator[Remark]:
    # ICSx5 follows five redirects, and none from https to http; Home Assistant reads for 30 seconds at most.
    schemes = [urlsplit(hop).scheme for hop in reply.hops]
    if app == ICSX5 and len(reply.hops) - 1 > MAX_REDIRECTS:
        yield Remark(
            "fails", (app,), f"it redirects {len(reply.hops) - 1} times; ICSx5 follows {MAX_REDIRECTS}"
        )
    if app == ICSX5 and ("https", "http") in pairwise(schemes):
        yield Remark("fails", (app,), "it redirects from https to http, where ICSx5 does not follow")
    if app == HOME_ASSISTANT and reply.seconds > SLOW:
        weight: Weight = "fails" if reply.seconds > TIMEOUT else "limits"
        text = f"it took {reply.seconds:.0f} s; Home Assistant waits {TIMEOUT:.0f} s"
        yield Remark(weight, (app,), text)


def about_talk(seen: Observations) -> Iterator[Remark]:
    """Judge HEAD, Authorization, validators, compression and CORS."""
    if not seen.first.is_good:
        return
    # Outlook sends HEAD before GET, and an Authorization header to find out whether a password is needed.
    if not seen.head.is_good:
        yield Remark("fails", (OUTLOOK,), f"HEAD is {seen.head.outcome}; Outlook sends one before it reads")
    if not seen.authorized.is_good:
        text = f"with an Authorization header it is {seen.authorized.outcome}; Outlook sends one"
        yield Remark("fails", (OUTLOOK,), text)
    yield from _about_validators(seen)
    if not seen.zipped.is_good:
        yield Remark("fails", EVERYBODY, f"a request with gzip is {seen.zipped.outcome}")
    # It was requested between the two others: where those are equal, nothing has changed meanwhile.
    elif seen.first.body == seen.again.body != seen.zipped.body:
        yield Remark("limits", EVERYBODY, "the compressed calendar differs from the plain one")
    page = seen.apps.get(FULLCALENDAR, Reply())
    if page.status and page.headers.get("access-control-allow-origin") not in ("*", PAGE):
        text = "pages of other origins may not read it (CORS); your own origin may be allowed"
        yield Remark("limits", (FULLCALENDAR,), text)


def _about_validators(seen: Observations) -> Iterator[Remark]:
    replies = {"If-None-Match": seen.matched, "If-Modified-Since": seen.since}
    if seen.matched is None and seen.since is None:
        text = "it has neither ETag nor Last-Modified: it is sent as a whole each time"
        yield Remark("note", (THUNDERBIRD, ICSX5), text)
    for header, reply in replies.items():
        if reply is not None and reply.status not in (0, 200, 304):
            yield Remark("fails", (THUNDERBIRD, ICSX5), f"with {header} it is {reply.outcome}")
        elif reply is not None and reply.status != 304:
            text = f"{header} is {reply.outcome} instead of 304: it is sent as a whole each time"
            yield Remark("note", (THUNDERBIRD, ICSX5), text)
