"""Plane's HTML as plain text. Nothing here raises: whatever a description holds, some text comes out."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import unescape
from typing import TypeAlias

from icsfeed.text import multi_line, one_line
from icsfeed.text_builder import TextBuilder

PIECE_LIMIT = 50_000
"""Pieces of a description that are read. One is a text and up to 8 tags before it, each of any length."""

ID_LIMIT = 100
"""Characters of the id of a mentioned person."""

LONG_TEXT = 100
"""Characters from which a piece of text is searched for pasted files and addresses."""

ADDRESS_LIMIT = 1_000
"""Characters of a link's address that is shown: a longer one would leave no space for the text."""

_Step: TypeAlias = Callable[[TextBuilder, str], object]
_Steps: TypeAlias = tuple[tuple[_Step, str], ...]
"""What tags do, each with what its attributes say."""

_BLANKS = re.compile(r"[ \t\n\f]{2,}|[\t\n\f]")
"""White space other than single spaces."""

# Quantifiers are possessive: each character is read once, so that no description takes quadratic time.
_COMMENT = re.compile(r"<!(?=--)(?:.*?-->|.*)", re.DOTALL)
_ATTRIBUTES = r"""[^<>"']*+(?:(?:"[^"]*+"|'[^']*+')[^<>"']*+)*+"""
_SILENT = "annotation-xml annotation head iframe noscript object script style svg template title".split()  # noqa: SIM905
# Only its own end tag ends a script: what looks like another tag inside it is not one.
_DROPPED = "|".join(
    rf"(?ai:{tag})(?![a-zA-Z0-9:-]){_ATTRIBUTES}(?<!/)>(?:[^<]++|<(?!/(?ai:{tag})))*+" for tag in _SILENT
)
_MARKUP = rf"(?=[ahinostAHINOST])(?:{_DROPPED})|[!?][^<>]*+>"
_TAG = re.compile(rf"<(?:{_MARKUP}|(/?[a-zA-Z][a-zA-Z0-9:-]*+)({_ATTRIBUTES})>)")
_ANY_TAG = rf"<(?:{_MARKUP}|/?[a-zA-Z]{_ATTRIBUTES}>)"
_TAGS = re.compile(f"({_ANY_TAG}(?:{_ANY_TAG}){{0,7}}+)")  # begins with a literal, which is found sooner
_ATTRIBUTE = re.compile(r"""([a-zA-Z_:][\w:.-]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")

_EMBEDDED = re.compile(
    r"(data:(?:[\w.+-]{1,40}/[\w.+-]{1,40})?(?:\s?;\s?[\w=.-]{1,40}){0,5}\s?,)\s?[^\s)\]\"']{100,}+",
    re.IGNORECASE,
)
"""A file that was pasted as a data: URL."""
_WRAPPED = re.compile(
    r"(?<![A-Za-z0-9+/])([A-Za-z0-9+/]{60})[A-Za-z0-9+/]*+"
    r"(?:\s++[A-Za-z0-9+/]{40,}+){3,}+(?:\s++[A-Za-z0-9+/]{20,}+)?={0,2}"
)
"""A file that was pasted as lines of base64."""
_RUN = re.compile(
    r"(?<![!-;=-~])((?=[!-~]{0,99}[0-9])(?=[!-~]{0,99}[A-Z])(?=[!-~]{0,99}[a-z])[!-~]{100}"
    r"|https?://[!-~]{92})[!-~]{900,}+"
)
"""A file or an address that nobody reads: no word is as long, with capitals, small letters and digits."""
_LONG_WORD = re.compile(" [^ ]{60}")
"""What all of these have, which takes less time to find."""
_INVISIBLE_RUN = re.compile("[\u200b\u2060\ufeff\xad]{20,}+")
_SHORT = 300
"""Characters of tags that are remembered: longer ones have an image or a long address, and rarely recur."""
_LINK_SCHEMES = ("http://", "https://", "mailto:")


def html_to_text(html: str) -> str:
    """Return an issue's `description_html` as plain text (the editor of Plane v0.23 to v1.3.1).

    Paragraphs, list items, rows and quotes are lines; links keep their address; struck-out text is put
    between `~~`; images, scripts and styles are dropped; a mention is the user's id between two MENTIONs,
    for `with_names`.
    """
    if not html or html == "<p></p>":
        return ""
    builder = TextBuilder()
    pieces = _TAGS.split(_COMMENT.sub("", html) if "<!--" in html else html, PIECE_LIMIT)
    for tags, words in zip(("", *pieces[1::2]), pieces[: 2 * PIECE_LIMIT : 2], strict=False):
        if tags:
            for step, argument in (_steps if len(tags) <= _SHORT else _read_tags)(tags):
                step(builder, argument)
        if words and not builder.words(_clean(words, builder.code > 0)):
            break
    return builder.text()


def _clean(words: str, is_code: bool) -> str:
    """Return the text between two tags without entities, pasted files, and space that a browser drops."""
    is_plain = words.isprintable() and "&" not in words and "  " not in words
    if is_plain and (len(words) <= LONG_TEXT or not _LONG_WORD.search(" " + words)):
        return words
    words = unescape(words)
    if len(words) > LONG_TEXT:
        for pattern in (_EMBEDDED, _WRAPPED, _RUN):
            words = pattern.sub(r"\1…", words)
        words = _INVISIBLE_RUN.sub("", words)
    words = multi_line(words)
    return words if is_code else _BLANKS.sub(" ", words)


def _attributes(source: str) -> dict[str, str]:
    return {name.lower(): unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(source)}


def _address(attributes: str) -> str:
    """Return where a link leads; nothing where that is not shown."""
    address = "".join(multi_line(_attributes(attributes).get("href", "")).split())
    is_shown = address.lower().startswith(_LINK_SCHEMES) and len(address) <= ADDRESS_LIMIT
    return address if is_shown else ""


def _start(attributes: str) -> str:
    """Return the first number of a list: the editor gives it where a list is cut in two."""
    start = _attributes(attributes).get("start", "")
    return start if re.fullmatch("-?[0-9]{1,9}", start) else "1"


def _box(attributes: str) -> str:
    checked = _attributes(attributes).get("data-checked")
    return "" if checked is None else "[x] " if checked == "true" else "[ ] "


def _struck_style(attributes: str) -> str:
    """Return something where a span is struck out: pasted text is (Google Docs), and its end tag is not."""
    return "line-through" if "line-through" in attributes.lower() else ""


def _person(attributes: str) -> str:
    return one_line(_attributes(attributes).get("entity_identifier", ""))[:ID_LIMIT]


_INLINE: Mapping[str, _Step] = {
    "mention-component": TextBuilder.mention,
    "a": TextBuilder.open_link,
    "/a": TextBuilder.close_link,
    "span": TextBuilder.open_span,
    "/span": TextBuilder.close_span,
    **dict.fromkeys(("s", "strike", "del"), TextBuilder.open_struck),
    **dict.fromkeys(("/s", "/strike", "/del"), TextBuilder.close_struck),
    **dict.fromkeys(("td", "th"), TextBuilder.cell),
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_PLAIN_BLOCKS = "article details div dl dt dd figure p section table /td /th /li /hr".split()  # noqa: SIM905
_BLOCKS: Mapping[str, _Step] = {
    **dict.fromkeys(_PLAIN_BLOCKS, TextBuilder.block),
    **dict.fromkeys((f"/{tag}" for tag in (*_PLAIN_BLOCKS, *_HEADINGS)), TextBuilder.block),
    **dict.fromkeys(_HEADINGS, TextBuilder.heading),
    "br": TextBuilder.line_break,
    "hr": TextBuilder.rule,
    **dict.fromkeys(("ul", "ol"), TextBuilder.open_list),
    **dict.fromkeys(("/ul", "/ol"), TextBuilder.close_list),
    "li": TextBuilder.item,
    "blockquote": TextBuilder.open_quote,
    "/blockquote": TextBuilder.close_quote,
    "pre": TextBuilder.open_code,
    "/pre": TextBuilder.close_code,
    "tr": TextBuilder.open_row,
    **dict.fromkeys(("/tr", "/table"), TextBuilder.close_row),
}
_ARGUMENTS: Mapping[str, Callable[[str], str]] = {
    "mention-component": _person,
    "a": _address,
    "span": _struck_style,
    "ol": _start,
    "li": _box,
}


def _read_tags(tags: str) -> _Steps:
    """Return what tags without text between them do."""
    steps: list[tuple[_Step, str]] = []
    on_new_line = False
    for name, attributes in _TAG.findall(tags):
        tag = name.lower()
        step = _INLINE.get(tag) or _BLOCKS.get(tag)
        if step is None or (on_new_line and step is TextBuilder.block):
            continue
        steps.append((step, _ARGUMENTS[tag](attributes) if tag in _ARGUMENTS else ""))
        on_new_line = tag in _BLOCKS
    return tuple(steps)


_steps = lru_cache(maxsize=1_024)(_read_tags)
"""The editor writes the same few tags between texts, ten thousand times."""
