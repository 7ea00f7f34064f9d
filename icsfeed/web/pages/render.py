"""HTML pages: how they are requested, rendered and sent. What is on a page is in its own module."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.resources import files
from typing import Any, TypeAlias, cast
from urllib.parse import urlencode, urlsplit
from weakref import ref
from zoneinfo import ZoneInfo

from cachetools import LRUCache
from jinja2 import DictLoader, Environment, StrictUndefined
from litestar import Request, Response
from msgspec import Struct

from icsfeed import __version__
from icsfeed.config.schema import Config
from icsfeed.feeds.query import FIELDS
from icsfeed.http_headers import accepts_html
from icsfeed.l10n.languages import LANGUAGES, choose_language
from icsfeed.l10n.localization import Localization
from icsfeed.l10n.words import words
from icsfeed.single_flight import SingleFlight, run_in_thread
from icsfeed.text import clip
from icsfeed.web.pages.assets import Assets
from icsfeed.web.pages.parameters import MAX_VALUE_LENGTH, PAGE_PARAMETERS, WEEK_STARTS, Theme
from icsfeed.web.responses import listed, server_address
from icsfeed.web.subscribe.choices import Device, device_of

Pairs: TypeAlias = tuple[tuple[str, str], ...]

TEMPLATES = files("icsfeed.web.pages").joinpath("templates")
MAX_CACHED_CHARACTERS = 16_000_000
"""Of rendered pages: the same frame is requested by many people at a time."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
"""Only our own files run or load: even if markup in an issue's title got through, it could do nothing."""
PREVIEW_POLICY = "; frame-src 'self'"
"""For the page that shows its own frame."""


class PageRequest(Struct, frozen=True):
    """How a page is requested: the parameters it knows, language, theme, and the address of the server.

    `base` is the beginning of links for other programs, `root` its path, for links within pages. `device`:
    of the reader; only the page of a feed depends on it.
    """

    parameters: Pairs
    l10n: Localization
    theme: Theme
    base: str
    root: str
    device: Device = "other"

    @property
    def key(self) -> Hashable:
        """Equal for all who get the same page of the same data, on the same device where that matters."""
        return (self.parameters, self.l10n.tag, self.theme, self.base)

    def get(self, name: str) -> str | None:
        """Return the last value of a parameter that is not empty."""
        return next((value for key, value in reversed(self.parameters) if key == name and value), None)

    def query(self, **changes: object) -> str:
        """Return the same query with some parameters changed, or left out (None), for a link on the page."""
        unchanged = [(name, value) for name, value in self.parameters if name not in changes and value]
        changed = [(name, str(value)) for name, value in changes.items() if value is not None]
        return "?" + urlencode([*unchanged, *changed], safe=",!")


class PageRenderer:
    """Renders our Jinja templates with our own words.

    Not with litestar's Template response (2.25), which renders on the event loop, and again for each request.
    """

    def __init__(self, assets: Assets) -> None:
        self.assets = assets
        self._cache: LRUCache[Hashable, tuple[Sequence[ref[object]], str]] = LRUCache(
            MAX_CACHED_CHARACTERS, lambda cached: len(cached[1])
        )
        self._rendering: SingleFlight[str] = SingleFlight()
        self._environment = Environment(
            # All are read now: an upgrade in place must not show new templates through old code.
            loader=DictLoader({file.name: file.read_text("utf-8") for file in TEMPLATES.iterdir()}),
            autoescape=True,
            # A misspelt name in a template fails, instead of showing nothing.
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            version=__version__,
            languages={tag: words(tag).say("language") for tag in LANGUAGES},
            initials=initials,
            clip=clip,
            asset=assets.path,
        )

    def html(self, template: str, ask: PageRequest, **values: object) -> str:
        """Render a template as the request asks for it."""
        l10n = ask.l10n
        return self._environment.get_template(template).render(ask=ask, l10n=l10n, t=l10n.say, **values)

    async def once(
        self, key: Hashable, sources: Sequence[object], items: int, render: Callable[[], str]
    ) -> str:
        """Return what `render` gave before for this key, as long as its sources are the same objects.

        They are not kept alive: one may hold all items of a feed. `items`: how many are on the page; one
        with many is rendered in a thread.
        """

        async def render_and_cache() -> str:
            html = await run_in_thread(items, render)
            if len(html) <= MAX_CACHED_CHARACTERS:
                # Weak references: a cached page must not keep all items of a feed in memory.
                self._cache[key] = tuple(map(ref, sources)), html
            return html

        cached = self._cache.get(key)
        if cached is not None:
            seen, html = cached
            if all(known() is source for known, source in zip(seen, sources, strict=True)):
                return html
        return await self._rendering.result((key, *map(id, sources)), render_and_cache)


def page_request(request: Request[Any, Any, Any], config: Config, language: str | None = None) -> PageRequest:
    """Return how a page is requested. `language` is the feed's, used when address and browser name none."""
    # Those that pages know, each once: what clients add is in no link of ours.
    parameters = tuple(
        (name, value)
        for name, value in dict.fromkeys(request.query_params.multi_items())
        if name in FIELDS or (name in PAGE_PARAMETERS and len(value) <= MAX_VALUE_LENGTH)
    )
    values = {name: value for name, value in parameters if value}
    accept = listed(request.headers, "accept-language") or ""
    tag = choose_language(values.get("lang"), accept, language or config.language)
    theme = values.get("theme", "auto")
    return PageRequest(
        parameters=parameters,
        l10n=Localization(tag, ZoneInfo(config.timezone), WEEK_STARTS.get(values.get("week", "").lower())),
        theme=cast(Theme, theme) if theme in ("light", "dark") else "auto",
        base=server_address(request, config),
        root=urlsplit(config.public_url or "").path,
        device=device_of(request.headers),
    )


def wants_html(request: Request[Any, Any, Any]) -> bool:
    """Return whether a browser asks. litestar's `Accept` (2.25) takes programs' `*/*` for HTML."""
    return accepts_html(listed(request.headers, "accept") or "")


def frame_ancestors(config: Config) -> Sequence[str]:
    """Return who may show a feed in a frame: the configured origins, and then our own page as its preview.

    `'self'` gives nothing away: pages of the same origin can read what they have the link of without a
    frame, and a frame changes nothing that a click could be stolen for. Without configured origins there is
    no preview, and nobody may.
    """
    origins = config.embed.frame_ancestors
    return (*origins, "'self'") if origins else ()


def page_answer(
    html: str,
    status: int = HTTPStatus.OK,
    *,
    framed_by: Iterable[str] = (),
    previews: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """Return a page; its headers keep the token in its address from other sites.

    `framed_by`: the origins whose pages may show it in a frame. `previews`: it shows a frame of ours.
    """
    policy = POLICY.format(ancestors=" ".join(framed_by) or "'none'")
    defaults = {
        "Content-Security-Policy": policy + PREVIEW_POLICY if previews else policy,
        "Cache-Control": "private, no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }
    return Response(html, status_code=status, headers={**defaults, **(headers or {})}, media_type="text/html")


def initials(name: str) -> str:
    """Return `AS` for Anna Schröder, `A` for anna: at most two letters, of the first and the last word."""
    parts = [part for part in name.split() if part[0].isalnum()] or name.split()
    ends = (parts[0], parts[-1]) if len(parts) > 1 else tuple(parts)
    return "".join(part[0] for part in ends).upper()[:2]
