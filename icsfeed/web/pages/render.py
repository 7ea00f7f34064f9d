"""HTML for people: how a page is asked for, filled in and sent. What is on it is its own module's matter."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlencode, urlsplit
from weakref import ref
from zoneinfo import ZoneInfo

from cachetools import LRUCache
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from msgspec import Struct

from icsfeed import __version__
from icsfeed.config.schema import Config
from icsfeed.feeds.query import FIELDS
from icsfeed.l10n.languages import chosen
from icsfeed.l10n.localization import Localization
from icsfeed.l10n.words import LANGUAGES
from icsfeed.negotiation import accepts_html
from icsfeed.single_flight import SingleFlight, run_in_thread
from icsfeed.text import clip
from icsfeed.web.pages.assets import Assets
from icsfeed.web.pages.calendar_view import is_shown
from icsfeed.web.pages.items import initials
from icsfeed.web.responses import NEVER_STORED, listed

Theme: TypeAlias = Literal["auto", "light", "dark"]
Pairs: TypeAlias = Sequence[tuple[str, str]]

HTML_KEPT = 16_000_000
"""Characters of pages that are kept as they were filled in: the same frame is asked for by many at a time."""

OWN = frozenset({"view", "date", "skip", "lang", "theme", "refresh", "feed", "links", "sync"})
"""The parameters of pages beside those that narrow a feed."""
OWN_LENGTH = 100
"""Characters of a value of theirs; none that is longer means anything, and each link would repeat it."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
"""Nothing runs and nothing loads but our own files: whatever an issue is called, it is text."""


class PageRequest(Struct, frozen=True):
    """How a page is asked for: the parameters it knows, language, theme, and the address of the server.

    `base` is what links for other programs start with, `root` the path of it, for links within pages.
    """

    parameters: Pairs
    l10n: Localization
    theme: Theme
    base: str
    root: str

    def get(self, name: str) -> str | None:
        """The last value of a parameter that is not empty."""
        return next((value for key, value in reversed(self.parameters) if key == name and value), None)

    def query(self, **changes: object) -> str:
        """The same query with some parameters changed, or left out (None), for a link on the page."""
        kept = [(name, value) for name, value in self.parameters if name not in changes and value]
        new = [(name, str(value)) for name, value in changes.items() if value is not None]
        return "?" + urlencode([*kept, *new], safe=",!")


class PageRenderer:
    """The templates, filled in with our own words."""

    def __init__(self, assets: Assets) -> None:
        self._kept: LRUCache[Hashable, tuple[Sequence[ref[object]], str]] = LRUCache(
            HTML_KEPT, lambda kept: len(kept[1])
        )
        self._making: SingleFlight[str] = SingleFlight()
        self._environment = Environment(
            loader=PackageLoader("icsfeed.web.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            version=__version__,
            languages={tag: words["language"] for tag, words in LANGUAGES.items()},
            initials=initials,
            clip=clip,
            is_shown=is_shown,
            asset=assets.path,
        )

    def html(self, template: str, ask: PageRequest, **values: object) -> str:
        """A template's page, for somebody who asks so."""
        l10n = ask.l10n
        return self._environment.get_template(template).render(ask=ask, l10n=l10n, t=l10n.say, **values)

    async def once(self, key: Hashable, of: Sequence[object], items: int, make: Callable[[], str]) -> str:
        """What `make` gave before for this key, as long as it was made of the same objects.

        They are not kept alive: one may hold all items of a feed. `items`: how many go into the page; with
        many it is made in a thread.
        """
        kept = self._kept.get(key)
        if kept is not None and _are(kept[0], of):
            return kept[1]
        same = (key, *map(id, of))
        return await self._making.result(same, lambda: self._make(key, of, items, make))

    async def _make(self, key: Hashable, of: Sequence[object], items: int, make: Callable[[], str]) -> str:
        html = await run_in_thread(items, make)
        if len(html) <= HTML_KEPT:
            self._kept[key] = tuple(map(ref, of)), html
        return html


def _are(seen: Sequence[ref[object]], of: Sequence[object]) -> bool:
    return all(known() is one for known, one in zip(seen, of, strict=True))


def page_request(request: Request[Any, Any, Any], config: Config, language: str | None = None) -> PageRequest:
    """How a page is asked for. `language` is the feed's own, where neither address nor browser asks."""
    parameters = tuple(_known(request.query_params.multi_items()))
    given = {name: value for name, value in parameters if value}
    accept = listed(request.headers, "accept-language") or ""
    tag = chosen(given.get("lang"), accept, LANGUAGES, language or config.language)
    theme = given.get("theme", "auto")
    return PageRequest(
        parameters=parameters,
        l10n=Localization(tag, ZoneInfo(config.timezone)),
        theme=cast(Theme, theme) if theme in ("light", "dark") else "auto",
        base=config.public_url or _asked_at(request),
        root=urlsplit(config.public_url or "").path,
    )


def _known(parameters: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The parameters that pages know, each once: what clients add is in no link of ours."""
    return (
        (name, value)
        for name, value in dict.fromkeys(parameters)
        if name in FIELDS or (name in OWN and len(value) <= OWN_LENGTH)
    )


def _asked_at(request: Request[Any, Any, Any]) -> str:
    """The server's address as the request has it; nothing where its Host header is none."""
    try:
        return str(request.base_url).rstrip("/")
    except ValueError:
        return ""


def wants_html(request: Request[Any, Any, Any]) -> bool:
    """Whether a person asks, with a browser."""
    return accepts_html(listed(request.headers, "accept") or "")


def page_answer(
    html: str,
    status: int = HTTPStatus.OK,
    *,
    framed_by: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """A page with the headers that keep it, and the token in its address, to itself.

    `framed_by`: the origins whose pages may show it in a frame.
    """
    sent = {
        "Content-Security-Policy": POLICY.format(ancestors=" ".join(framed_by) or "'none'"),
        "Cache-Control": "private, no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }
    return Response(html, status_code=status, headers={**sent, **(headers or {})}, media_type="text/html")


def message_answer(
    pages: PageRenderer,
    ask: PageRequest,
    key: str,
    status: int,
    *,
    framed_by: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response[str]:
    """A calm page of a heading and a sentence or two: `{key} title` and `{key} text` of our words."""
    title, text = ask.l10n.say(f"{key} title"), ask.l10n.say(f"{key} text", **values)
    html = pages.html("message.html", ask, title=title, text=text)
    sent = {"Cache-Control": NEVER_STORED["Cache-Control"], **(headers or {})}
    return page_answer(html, status, framed_by=framed_by, headers=sent)
