"""The OpenAPI description beyond what litestar infers: parameters, and responses with their types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from litestar.enums import MediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
)

from icsfeed import __version__
from icsfeed.config.schema import ComponentKind, DateMode, DoneMode
from icsfeed.feeds.query import DAYS_LIMIT, FIELDS
from icsfeed.l10n.languages import LANGUAGES
from icsfeed.web.pages.parameters import EMBED_PARAMETERS, FRAME_VIEWS, THEMES, VIEWS, WEEK_STARTS
from icsfeed.web.responses import MEDIA_TYPES
from icsfeed.web.subscribe.profile import CONTENT_TYPE as PROFILE

DESCRIPTION = "Calendar feeds for the due dates of a Plane workspace"
HTML, JSON, TEXT = "text/html", "application/json", "text/plain"


Answers = Mapping[int, tuple[str, ...]]
"""By status: what the response means, and its media types; none: it has no body."""

EVERYWHERE: Answers = {
    400: ("A parameter or the Host header is not valid.", JSON, HTML),
    414: ("The address is too long.", JSON),
    500: ("The server failed; its log says more.", JSON, HTML),
}
_LIMITED = ("Too many wrong links came from this address; see Retry-After.", TEXT)
_MISSING = ("Nothing is found by this link: it is wrong, or its feed is gone.", TEXT, HTML)
_REVOKED = ("The link was revoked (pages only; the calendar then holds a notice).", HTML)
FEED: Answers = {
    200: (
        "The calendar (`.ics`), its news (`.atom`, `.json`), its profile (`.mobileconfig`), or its page.",
        *MEDIA_TYPES.values(),
        HTML,
        PROFILE,
    ),
    304: ("The copy named by If-None-Match or If-Modified-Since is still current.",),
    404: _MISSING,
    406: ("Accept-Encoding excludes both gzip and no encoding.", TEXT),
    429: _LIMITED,
    503: ("Plane could not be read yet; see Retry-After.", TEXT, HTML),
}
EMBED: Answers = {
    200: ("The page for a frame.", HTML),
    404: _MISSING,
    429: _LIMITED,
    503: ("Plane could not be read yet.", HTML),
}
_NO_ME = ("Nobody can sign in: there is no `auth_proxy`, and `store` is memory.", JSON, HTML)
ME: Answers = {
    200: ("The page.", HTML),
    403: ("Nobody is signed in.", HTML),
    404: _NO_ME,
    503: ("Plane could not be read yet.", HTML),
}
ME_LINKS: Answers = {200: ("The page.", HTML), 403: ("Nobody is signed in.", HTML), 404: _NO_ME}
_FORM: Answers = {
    403: ("Nobody is signed in, or the form is old or comes from another site.", HTML),
    404: _NO_ME,
    413: ("The form is larger than 32 KiB.", JSON, HTML),
    415: ("This is no form.", HTML),
    429: ("Too many changes.", HTML),
    503: ("The store failed; nothing was changed.", HTML),
}
_ONCE = ("The link, which is shown once.", HTML)
_DONE = ("Done: back to the page.",)
_REFUSED = ("It cannot be done; the page says why.", HTML)
MAKE_LINK: Answers = {200: _ONCE, 409: _REFUSED, **_FORM}
CHANGE_LINK: Answers = {200: _ONCE, 303: _DONE, 409: _REFUSED, **_FORM}
SIGN_OUT: Answers = {303: _DONE, **_FORM}
INVITATION: Answers = {
    200: ("The page with the button that signs in.", HTML),
    303: ("Signed in: to /me.",),
    403: ("The form comes from another site.", HTML),
    404: ("An `auth_proxy` signs people in, or `store` is memory.", JSON, HTML),
    410: ("The invitation was used before, has expired, or is wrong.", HTML),
    429: ("Too many wrong invitations or links came from this address; see Retry-After.", JSON),
    503: ("The store failed; nothing was changed.", HTML),
}
WEBHOOK: Answers = {
    200: ("Accepted, or seen before.", JSON),
    401: ("The signature does not match the body.", JSON),
    403: ("No `webhook_secret` is configured.", JSON),
    413: ("The body is larger than 1 MiB.", JSON),
    429: ("Too many deliveries from this address.", JSON),
}
_ADMIN: Answers = {
    401: ("No admin token was sent, or a wrong one.", JSON, HTML),
    403: ("No `admin_token` is configured, or a page of another site sent this.", JSON, HTML),
    429: ("Too many wrong admin tokens, or too many syncs.", JSON, HTML),
}
SYNC: Answers = {
    202: ("A sync was started.", JSON),
    303: ("For a browser: back to the status page, which shows the result.",),
    409: ("A sync is already running.", JSON),
    **_ADMIN,
}
SYNCS: Answers = {200: ("How syncs went.", JSON), **_ADMIN}
STATUS: Answers = {200: ("The status, as a page for a browser.", JSON, HTML), **_ADMIN}
REVOKE: Answers = {
    200: ("How many links were revoked.", JSON),
    303: ("For a browser: back to the status page, which says so.",),
    404: ("There is no such link in use.", JSON, HTML),
    503: ("The store failed; nothing was changed.", JSON, HTML),
    **_ADMIN,
}
METRICS: Answers = {200: ("The metrics.", TEXT), **_ADMIN}
ROOT: Answers = {200: ("What this server is, as a page for a browser.", JSON, HTML)}
HEALTH: Answers = {200: ("The server is running.", JSON)}
READY: Answers = {
    200: ("Every workspace has been read.", JSON),
    503: ("Not yet; `reasons` says why.", JSON),
}
ROBOTS: Answers = {200: ("Everything may be read.", TEXT)}

_OBJECT, _STRING = Schema(type=OpenAPIType.OBJECT), Schema(type=OpenAPIType.STRING)
_TEXTS = dict.fromkeys(("status", "message", "error_code", "timestamp"), _STRING)
_ERROR = Schema(type=OpenAPIType.OBJECT, properties={**_TEXTS, "details": _OBJECT})
_SEVERAL = "several are separated by commas; a leading `!` excludes"


def _one_of(kind: object) -> Schema:
    return Schema(type=OpenAPIType.STRING, enum=list(getattr(kind, "__args__", ())) or list(kind))  # type: ignore[call-overload]


_DAY = Schema(type=OpenAPIType.STRING, pattern=r"^\d{4}-\d{2}-\d{2}$")
QUERY: Mapping[str, tuple[str, Schema]] = {
    "project": (f"Only of these projects, by key, name or id: {_SEVERAL}.", _STRING),
    "priority": (f"Only issues of these priorities: {_SEVERAL}.", _STRING),
    "state": (f"Only in these states or groups of states: {_SEVERAL}.", _STRING),
    "label": (f"Only with one of these labels, or `none`: {_SEVERAL}.", _STRING),
    "assignee": (f"Only of these people, or `none`: {_SEVERAL}.", _STRING),
    "cycle": (f"Only in these cycles, or `none`: {_SEVERAL}.", _STRING),
    "module": (f"Only in these modules, or `none`: {_SEVERAL}.", _STRING),
    "created_by": (f"Only created by these people: {_SEVERAL}.", _STRING),
    "type": (f"Only of these types, `epic`, or `none`: {_SEVERAL}.", _STRING),
    "parent": (f"Only below these issues (`KEY-42`), or `none`: {_SEVERAL}.", _STRING),
    "title": (f"Only with these words in the title: {_SEVERAL}.", _STRING),
    "from": ("The first day.", _DAY),
    "to": ("The last day.", _DAY),
    "days": ("This many days from today.", Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=DAYS_LIMIT)),
    "component": ("As events or tasks.", _one_of(ComponentKind)),
    "alarm": ("Reminders, such as `-PT15H`, separated by commas.", _STRING),
    "done": ("How issues that are done are shown.", _one_of(DoneMode)),
    "dates": ("Which dates are shown.", _one_of(DateMode)),
    "view": ("What a page shows.", _one_of(VIEWS)),
    "date": ("The day that a page shows.", _DAY),
    "skip": ("Skip this many entries of a list.", Schema(type=OpenAPIType.INTEGER, minimum=0)),
    "lang": (f"The language of a page: {', '.join(LANGUAGES)}, with a region or without.", _STRING),
    "theme": ("The colours of a page.", _one_of(THEMES)),
    "week": ("The day on which weeks start; by default that of the region.", _one_of(WEEK_STARTS)),
    "embed_view": ("The view of the frame that the page has the code of.", _one_of(FRAME_VIEWS)),
    "embed_lang": ("Its language.", _one_of(LANGUAGES)),
    "embed_theme": ("Its colors.", _one_of(THEMES)),
    "embed_week": ("The day on which its weeks start.", _one_of(WEEK_STARTS)),
    "embed_height": ("Its height in pixels.", Schema(type=OpenAPIType.INTEGER, minimum=1)),
    "refresh": ("`off`: the page does not refresh itself.", _one_of(("off",))),
    "feed": ("The name of one feed.", _STRING),
    "show": (
        "Which table: of feeds, or of the links that people have made.",
        _one_of(("own links", "people")),
    ),
    "q": ("Only rows with all these words.", _STRING),
    "only": ("Only such rows, as `problems` or `unread`.", _STRING),
    "sort": ("Sorted by this column; with `-` the largest first.", _STRING),
    "account": ("`caldav`: the profile sets up the account instead of a subscription.", _one_of(("caldav",))),
    "link": ("The id of one of the person's own links, whose filter is to be changed.", _STRING),
    "links": ("`1`: with the links, which let anyone read the feeds.", _one_of(("1",))),
    "sync": ("The result of a sync, for the page.", _one_of(("started", "running", "limited"))),
}
PAGE = ("lang", "theme")
CALENDAR_PAGE = (*FIELDS, "view", "date", "skip", *PAGE, "week", "refresh")
FEED_PAGE = (*CALENDAR_PAGE, *EMBED_PARAMETERS)
CONDITIONS = {
    "If-None-Match": "The ETag of the copy that the client has.",
    "If-Modified-Since": "Its Last-Modified.",
    "Accept-Encoding": "Whether gzip may be sent.",
}
SIGNATURE = {"X-Plane-Signature": "HMAC-SHA256 of the body with the webhook's secret, in hexadecimal digits."}

SECURITY = Components(
    security_schemes={
        "bearer": SecurityScheme(type="http", scheme="bearer", description="The `admin_token`."),
        "basic": SecurityScheme(type="http", scheme="basic", description="The `admin_token` as password."),
    }
)


def openapi_config() -> OpenAPIConfig:
    """Return litestar's settings: only the JSON, as litestar's own pages load scripts from a CDN."""
    return OpenAPIConfig(
        title="icsfeed",
        version=__version__,
        description=DESCRIPTION,
        path="/openapi.json",
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"], media_type=MediaType.JSON)],
        use_handler_docstrings=True,
        components=SECURITY,
    )


def described(
    answers: Answers, query: Iterable[str] = (), headers: Mapping[str, str] = {}, *, body: bool = False
) -> type[Operation]:
    """Return an `operation_class` that describes a route's parameters and all its responses."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            in_query = [_parameter(name, "query", *QUERY[name]) for name in query]
            in_headers = [_parameter(name, "header", text, _STRING) for name, text in headers.items()]
            self.parameters = [*(self.parameters or ()), *in_query, *in_headers]
            self.responses = {}
            # Public links, the paths without a token, cannot be revoked.
            is_secret_link = any(getattr(one, "name", "") == "token" for one in self.parameters)
            all_answers = {**EVERYWHERE, **answers, **({410: _REVOKED} if is_secret_link else {})}
            for status, (text, *types) in sorted(all_answers.items()):
                # A 503 in JSON is that of /health/ready, which is no error body.
                json = _ERROR if status >= 400 and status != 503 else _OBJECT
                self.responses[str(status)] = OpenAPIResponse(text, content=_content(types, json) or None)
            if body:
                self.request_body = RequestBody(content=_content((JSON,), _OBJECT), required=True)

    return Described


def _parameter(name: str, where: str, text: str, schema: Schema) -> Parameter:
    return Parameter(name=name, param_in=where, description=text, schema=schema, required=False)


def _content(types: Iterable[str], json: Schema) -> dict[str, OpenAPIMediaType]:
    return {kind: OpenAPIMediaType(schema=json if kind == JSON else _STRING) for kind in types}
