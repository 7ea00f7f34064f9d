"""The code that shows a calendar in another page, and what its author chooses for it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from icsfeed.l10n.languages import LANGUAGES
from icsfeed.web.pages.parameters import EMBED_PARAMETERS, FRAME_VIEWS, THEMES, WEEK_STARTS

EMBED_CHOICES: Mapping[str, Sequence[str]] = {
    "view": FRAME_VIEWS[1:],
    "lang": LANGUAGES,
    "theme": THEMES[1:],
    "week": tuple(WEEK_STARTS),
}
"""The values of each parameter of a frame, besides the one that it has without it."""

HEIGHTS: Mapping[str, int] = {"min": 200, "default": 1_040, "max": 4_000}
"""In pixels. By default a month of six weeks needs no scroll bar."""


class EmbedCode(Struct, frozen=True):
    """A frame as chosen. `preview`: its address on the server that the page itself came from."""

    address: str
    preview: str
    html: str
    height: int
    chosen: Mapping[str, str]


def embed_code_of(embed: str, title: str, parameters: Iterable[tuple[str, str]]) -> EmbedCode:
    """Return the code of the frame at `embed`, as the parameters of its author's page choose.

    What cannot be used is not chosen, as with `lang` and `theme` of a page.
    """
    asked = {name.removeprefix("embed_"): value for name, value in parameters if name in EMBED_PARAMETERS}
    chosen = {name: asked[name] for name, values in EMBED_CHOICES.items() if asked.get(name) in values}
    height = _height(asked.get("height", ""))
    address = "".join((embed, "&" if "?" in embed else "?", urlencode(chosen))) if chosen else embed
    return EmbedCode(
        address=address,
        # The policy of the page allows its own origin; `public_url` may name another one.
        preview=urlsplit(address)._replace(scheme="", netloc="").geturl(),
        html=_html(address, title, height),
        height=height,
        chosen=chosen,
    )


def _html(address: str, title: str, height: int) -> str:
    return (
        f'<iframe src="{escape(address)}" title="{escape(title)}" width="100%" height="{height}" '
        'loading="lazy" referrerpolicy="no-referrer" style="border:0"></iframe>'
    )


def _height(text: str) -> int:
    height = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return height if HEIGHTS["min"] <= height <= HEIGHTS["max"] else HEIGHTS["default"]
