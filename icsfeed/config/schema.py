"""The configuration as frozen structs: every key of feeds.yaml, its type and its default.

config/file.py turns YAML, the environment and secret files into plain data, and config/decode.py turns
that into a `Config`, or a list of every problem in it.

To add a key: declare it here, document it in feeds.example.yaml, check what it is combined with in
config/checks.py. What a single value must be is in config/rules.py, for addresses here.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Struct, field

from icsfeed.config.rules import (
    Color,
    Count,
    FeedMark,
    FeedName,
    HeaderName,
    Length,
    Name,
    Network,
    Pql,
    Ratio,
    Refresh,
    Reminder,
    Revision,
    SecretText,
    Slug,
    Template,
    Ttl,
    rule,
)
from icsfeed.config.values import Alarm as Alarm
from icsfeed.config.values import Duration as Duration
from icsfeed.config.values import Secret as Secret
from icsfeed.hosts import ascii_address, ascii_host, ascii_origin
from icsfeed.l10n.languages import Language
from icsfeed.model import Priority

NO_FEEDS = "has no feeds that are active: name some under `feeds:`, or turn on `auto:`"

ComponentKind: TypeAlias = Literal["vevent", "vtodo"]
DateMode: TypeAlias = Literal["due", "span", "start-and-due"]
DoneMode: TypeAlias = Literal["cancelled", "keep", "check", "drop"]
Details: TypeAlias = Literal["full", "brief", "title", "busy"]
Included: TypeAlias = Literal["issues", "cycles", "modules", "milestones", "releases", "initiatives"]
Category: TypeAlias = Literal["labels", "project", "state", "priority", "type"]

SCOPES = ("project", "projects", "assignee", "unassigned", "everything")

# The patterns are in the JSON schema too, for editors. hosts.py checks what they cannot express.
_PORT = r"(?::(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?"
_HOST = r"[^\x00-,/:-@\[-^`{-\x7f\s]+"  # hosts.py checks what is beyond ASCII
_ORIGIN = rf"[Hh][Tt][Tt][Pp][Ss]?://(?:{_HOST}|\[[0-9A-Fa-f:.]+\]){_PORT}"
_ADDRESS = rf"{_ORIGIN}(?:/[^\s?#]*)?"
_WEB = "an http or https address with a host and without user name, ? and #, such as"
Url: TypeAlias = Annotated[
    str,
    rule(f"{_WEB} https://plane.example.com", _ADDRESS, lambda url: ascii_address(url).rstrip("/")),
]
PublicUrl: TypeAlias = Annotated[
    str,
    rule(f"{_WEB} https://cal.example.com", _ADDRESS, lambda url: ascii_address(url).rstrip("/")),
]
CalendarUrl: TypeAlias = Annotated[
    str, rule(f"{_WEB} https://dav.example.com/bot/plane/", _ADDRESS, ascii_address)
]
Origin: TypeAlias = Annotated[
    str,
    rule(
        "an exact origin such as https://intranet.example.com",
        rf"{_ORIGIN}|\*",
        lambda origin: origin if origin == "*" else ascii_origin(origin),
    ),
]
HostName: TypeAlias = Annotated[
    str,
    rule(
        "a host name such as cal.example.com or *.example.com",
        rf"(?:\*\.)?{_HOST}",
        lambda name: ascii_host(name).removesuffix("."),
    ),
]


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """How far from today a feed reaches. None: without limit."""

    past: Length | None = None
    ahead: Length | None = None


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """Values that an issue must have: one of the values of a field, in every field that is given.

    `project` takes key, name or id; `state` groups (`started`) and names (`In Review`); `assignee` and
    `created_by` e-mail, display name or id; `type` names and `epic`; `parent` a key (`PROP-42`) or id: all
    issues below that one; `title` a part of the title. What an issue may be without takes `none`. Case
    does not matter.
    """

    project: tuple[Name, ...] = ()
    priority: tuple[Priority, ...] = ()
    state: tuple[Name, ...] = ()
    label: tuple[Name, ...] = ()
    assignee: tuple[Name, ...] = ()
    cycle: tuple[Name, ...] = ()
    module: tuple[Name, ...] = ()
    created_by: tuple[Name, ...] = ()
    type: tuple[Name, ...] = ()
    parent: tuple[Name, ...] = ()
    title: tuple[Name, ...] = ()


class Filter(Match, frozen=True, forbid_unknown_fields=True):
    """The key `where`: what must match, and under `not` what must not."""

    exclude: Match = field(default=Match(), name="not")


class Feed(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feed: what it holds (scope, where, pql, window, include), how it looks, who has links to it."""

    workspace: Name | None = None
    project: Name | None = None
    projects: tuple[Name, ...] = ()
    assignee: Name | None = None
    unassigned: bool = False
    everything: bool = False
    where: Filter = Filter()
    pql: Pql | None = None
    window: Window | Literal["all"] = "all"
    include: tuple[Included, ...] = ("issues",)
    undated: bool = False

    active: bool = True
    title: str | None = None
    description: str | None = None
    color: Color | None = None
    language: Language | None = None
    component: ComponentKind = "vevent"
    dates: DateMode = "due"
    done: DoneMode = "cancelled"
    details: Details = "full"
    summary: Template = "[{sequence_id}] {name}"
    categories: tuple[Category, ...] = ("labels",)
    colors: Mapping[Priority, Color | None] = {}
    alarm: tuple[Reminder, ...] = ()
    refresh: Refresh = Duration(3600)
    stale_notice: Length | Literal[False] = Duration(86400)
    overdue_digest: bool = False

    public: bool = False
    subscribers: tuple[Name, ...] = ()
    revoked: tuple[Name, ...] = ()
    revision: Revision = 1


class WorkspaceConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One Plane workspace. `projects` (keys) limits what leaves Plane through us.

    `url`: any of Plane's addresses (config/addresses.py). It is read with the `api_key` of a person, or with
    the `token` of an OAuth app or a workspace. `ca_file`: certificates to trust in addition to the system's.
    `webhook_from`: the networks that may send its webhooks; empty: all. `webhook_secret_old` is accepted too,
    while the secret is being changed.
    """

    url: Url
    api_key: SecretText | None = None
    api_key_file: str | None = None
    token: SecretText | None = None
    token_file: str | None = None
    ca_file: str | None = None
    slug: Slug | None = None
    web_url: Url | None = None
    active: bool = True
    title: str | None = None
    description: str | None = None
    projects: tuple[Name, ...] = ()
    webhook_from: tuple[Network, ...] = ()
    webhook_secret: SecretText | None = None
    webhook_secret_file: str | None = None
    webhook_secret_old: SecretText | None = None


class Auto(Struct, frozen=True, forbid_unknown_fields=True):
    """Automatic feeds: one for each project, one for each member."""

    projects: bool = False
    assignees: bool = False


class PushTarget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A calendar on a CalDAV server that one feed is written to.

    `collection` is the calendar's display name: it is found by that name when `url` is the address of the
    server or the account, and a calendar that `create` makes gets it. `adopt`: true takes over objects
    with our UIDs and no mark (CalPlaneBot's); a list, those that former feeds wrote, by name. A run that
    would delete more than `min_delete` objects and more than `max_delete_ratio` of ours needs --force.
    """

    feed: Name
    url: CalendarUrl
    username: str | None = None
    password: SecretText | None = None
    password_file: str | None = None
    token: SecretText | None = None
    token_file: str | None = None
    active: bool = True
    collection: Name | None = None
    create: bool = False
    adopt: tuple[FeedMark, ...] | Literal[False, True] = False
    strip_emoji: bool = False
    allow_insecure: bool = False
    max_delete_ratio: Ratio = 0.25
    min_delete: Count = 10
    ca_file: str | None = None
    connect_timeout: Ttl = Duration(10)
    read_timeout: Ttl = Duration(60)


class Embed(Struct, frozen=True, forbid_unknown_fields=True):
    """The origins whose pages may show a feed in a frame. Empty: none."""

    frame_ancestors: tuple[Origin, ...] = ()


class AuthProxy(Struct, frozen=True, forbid_unknown_fields=True, rename={"networks": "from"}):
    """A reverse proxy that signs people in: the header that holds their e-mail, and the proxy's addresses.

    `secret`: what it must send in X-Icsfeed-Proxy-Secret as well; None: nothing.
    """

    header: HeaderName
    networks: tuple[Network, ...]
    secret: SecretText | None = None
    secret_file: str | None = None


class OwnLinkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Links that people make for themselves. `tombstone`: for how long a revoked one shows a notice."""

    tombstone: Length = Duration(90 * 86_400)


class ProfileSigning(Struct, frozen=True, forbid_unknown_fields=True):
    """Files (PEM) by which profiles for Apple's devices are signed: a certificate with its chain, its key."""

    certificate_file: str
    key_file: str


class Cache(Struct, frozen=True, forbid_unknown_fields=True):
    """TTLs of what was read from Plane; `deadline`: when a waiting reader is served a stale copy. In seconds.

    `webhook_ttl`: up to which the TTL of `issues` is stretched while webhooks arrive and the rate limit is
    tight. `full`: after so long all issues are read, and not only those that changed.
    """

    workspaces: Ttl = Duration(300)
    projects: Ttl = Duration(120)
    issues: Ttl = Duration(60)
    cycles: Ttl = Duration(300)
    modules: Ttl = Duration(300)
    milestones: Ttl = Duration(300)
    releases: Ttl = Duration(300)
    initiatives: Ttl = Duration(300)
    members: Ttl = Duration(600)
    states: Ttl = Duration(300)
    labels: Ttl = Duration(300)
    types: Ttl = Duration(3600)
    deadline: Ttl = Duration(5)
    full: Ttl = Duration(21_600)
    webhook_ttl: Ttl = Duration(300)


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration. After decoding, its names and references are valid.

    `sync_interval`: seconds between two pushes while nothing changes here. `store` is `file`, `memory`, or
    an address (store/redis_client.py), perhaps with a password. `trusted_proxies`: whose X-Forwarded-For is
    trusted. `allowed_hosts`: empty: any.
    """

    workspaces: Mapping[Slug, WorkspaceConfig]
    secret: SecretText | None = None
    secret_file: str | None = None
    admin_token: SecretText | None = None
    admin_token_file: str | None = None
    feeds: Mapping[FeedName, Feed] = {}
    auto: Auto = Auto()
    push: Mapping[FeedName, PushTarget] = {}
    public_url: PublicUrl | None = None
    timezone: Name = "UTC"
    language: Language = "en"
    colors: Mapping[Priority, Color | None] = {}
    embed: Embed = Embed()
    auth_proxy: AuthProxy | None = None
    own_links: OwnLinkSettings = OwnLinkSettings()
    profile_signing: ProfileSigning | None = None
    cors: tuple[Origin, ...] = ()
    cache: Cache = Cache()
    sync_interval: Ttl = Duration(300)
    store: SecretText = Secret("file")
    gzip: bool = True
    trusted_proxies: tuple[Network, ...] = ()
    allowed_hosts: tuple[HostName, ...] = ()
    log_addresses: bool = False

    @property
    def has_no_feeds(self) -> bool:
        """Whether there is nothing to serve, neither configured nor automatic."""
        return not any(feed.active for feed in self.feeds.values()) and self.auto == Auto()

    def workspace_of(self, feed: Feed) -> str:
        """Return the name of a feed's workspace: its own, or the only one."""
        return feed.workspace or next(iter(self.workspaces))
