"""How to subscribe to a feed in one step: a link for each app, those for the reader's own device first.

None of these links is in a standard; each names its source. What apps make of them is in docs/clients.md.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias
from urllib.parse import quote, urlsplit

from msgspec import Struct

from icsfeed.tokens import is_token
from icsfeed.web.dav.resources import ROOT, Account

Device: TypeAlias = Literal["iphone", "android", "mac", "windows", "linux", "other"]
Opening: TypeAlias = Literal["app", "site", "settings", "file"]
"""What a link opens: an app by its scheme, a web page, the settings of a device, or a file to save."""

PROFILE_SUFFIX = ".mobileconfig"
HTTPS_PORT = 443

PLATFORMS: Mapping[str, Device] = {
    "android": "android",
    "ios": "iphone",
    "macos": "mac",
    "windows": "windows",
    "linux": "linux",
}
AGENTS: tuple[tuple[str, Device], ...] = (
    ("iphone", "iphone"),
    ("ipad", "iphone"),
    ("ipod", "iphone"),
    ("android", "android"),
    ("macintosh", "mac"),
    ("windows nt", "windows"),
    ("cros", "other"),
    ("linux", "linux"),
)
"""What a User-Agent has in it, the more specific first: that of Android has Linux in it, too."""


class Subscription(Struct, frozen=True):
    """A way to subscribe. Its words are `open {key}`. `devices`: whose readers it is offered first."""

    key: str
    href: str
    opens: Opening
    devices: tuple[Device, ...] = ()


class CalDavLogin(Struct, frozen=True):
    """The read-only CalDAV account that a link opens (docs/dav.md). `root` and `principal` are addresses."""

    host: str
    port: int
    root: str
    principal: str
    user: str
    password: str


class Link(Struct, frozen=True):
    """The parts of a feed's address. `server`: with the path of `public_url`. `token`: empty if public."""

    server: str
    token: str
    file: str
    query: str


def subscriptions_of(ics: str, title: str, user: str) -> tuple[Subscription, ...]:
    """Return the ways to subscribe to the feed at this address, for every device in their order.

    `user`: the subscriber whose link it is, or the feed's name.
    """
    scheme, _, rest = ics.partition("://")
    # Apple knows webcal: alone (nextcloud/calendar#2416), and tries https first. Thunderbird
    # (CalProtocolHandler) and ICSx5 (bitfireAT/icsx5#189) make plain http of it, and https of webcals:.
    webcal = f"webcal://{rest}"
    secure = f"webcals://{rest}" if scheme == "https" else webcal
    # Google takes https: for the address of a person (calagator/calagator#556, several others); one report
    # says that webcal: stays empty (afterclass-io/afterclass.io#498).
    google = f"https://calendar.google.com/calendar/r?cid={quote(webcal, safe='')}"
    # In no document of Microsoft's, but in wide use. /calendar/addcalendar takes no address. The new Outlook
    # for Windows cannot open webcal: (mjff-eng/asap-hub#4998), so that Windows is not offered it first.
    asked = f"calendar/0/addfromweb?url={quote(ics, safe='')}&name={quote(title, safe='')}"
    profile, login = profile_address(ics), caldav_login(ics, user)
    account = f"{profile}?account=caldav"
    choices = (
        # Apple's SubscribedCalendars can be installed on iOS and visionOS only, its CalDAV on macOS, too.
        Subscription("profile", profile, "settings", ("iphone",)),
        Subscription("account", account, "settings", ("iphone", "mac")) if login else None,
        Subscription("apple", webcal, "app", ("iphone", "mac")),
        Subscription("icsx5", secure, "app", ("android",)),
        Subscription("davx5", davx5_address(login), "app", ("android",)) if login else None,
        Subscription("thunderbird", secure, "app", ("linux",)),
        Subscription("outlook-365", f"https://outlook.office.com/{asked}", "site", ("windows",)),
        Subscription("outlook-com", f"https://outlook.live.com/{asked}", "site", ("windows",)),
        Subscription("google", google, "site", ("android", "windows", "linux")),
        # Saved by the attribute `download`: apps get the same calendar, inline, at the same address.
        Subscription("download", ics, "file"),
    )
    return tuple(choice for choice in choices if choice)


def for_device(
    choices: Iterable[Subscription], device: Device
) -> tuple[tuple[Subscription, ...], tuple[Subscription, ...]]:
    """Return the choices for this device, and the others. Of a device that is not known, all are others."""
    choices = tuple(choices)
    own = tuple(choice for choice in choices if device in choice.devices)
    return own, tuple(choice for choice in choices if choice not in own)


def davx5_address(login: CalDavLogin) -> str:
    """Return the link by which DAVx5 opens its login, filled in: always https, meant for web pages.

    See "Launching the DAVx5 login screen" in its manual.
    """
    credentials = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"
    return f"davx5://{credentials}@{login.root.partition('://')[2]}"


def profile_address(ics: str) -> str:
    """Return the address of the Apple profile that subscribes to the feed at this address."""
    path, question, query = ics.partition("?")
    return f"{path.removesuffix('.ics')}{PROFILE_SUFFIX}{question}{query}"


def caldav_login(ics: str, user: str) -> CalDavLogin | None:
    """Return the account that the link `ics` opens; None: it opens none.

    That is so for public feeds, for names that Basic authentication cannot carry, and over plain http. A
    filtered feed has none, as an account is never filtered: it would show more.
    """
    link = link_of(ics)
    address = urlsplit(link.server)
    if link.query or address.scheme != "https" or not link.token or "/" in user or ":" in user:
        return None
    try:
        host, port = address.hostname, address.port or HTTPS_PORT
    except ValueError:  # such as 99999, from a Host header
        return None
    principal = f"https://{address.netloc}{Account(user, {}, address.path).home}"
    return CalDavLogin(host or "", port, f"{link.server}{ROOT}", principal, user, link.token)


def account_link(base: str, token: str) -> str:
    """Return what stands for a feed's address in a link that opens a person's CalDAV account."""
    return f"{base}/feeds/{token}/account.ics"


def link_of(ics: str) -> Link:
    """Return the parts of a feed's address."""
    path, _, query = ics.partition("?")
    folder, _, file = path.rpartition("/")
    before, _, token = folder.rpartition("/")
    if not is_token(token):
        before, token = folder, ""
    return Link(before.removesuffix("/feeds"), token, file, query)


def device_of(headers: Mapping[str, str]) -> Device:
    """Return the family of the device that sends these headers (names in lower case).

    Chromium sends the hint; iPadOS says that it is a Mac, and can do what Macs can.
    """
    hint = headers.get("sec-ch-ua-platform", "").strip(' "').lower()
    if hint in PLATFORMS:
        return PLATFORMS[hint]
    agent = headers.get("user-agent", "").lower()
    return next((device for name, device in AGENTS if name in agent), "other")
