"""Plane's HTML as plain text. Nothing here raises: whatever a description holds, some text comes out."""

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice

from icsfeed.text import MENTION, grapheme_start, is_blank, multi_line, one_line

TOKEN_LIMIT = 20_000
"""Tags and pieces of text that are read, of any length: one tag can contain an image."""

TEXT_LIMIT = 6_000
"""Characters of plain text, before names are filled in. A calendar shows 1,500."""

ID_LIMIT = 100
"""Characters of the id of a mentioned person."""

LONG_TEXT = 100
"""Characters from which a piece of text is searched for pasted files and addresses."""

ADDRESS_LIMIT = 1_000
"""Characters of a link's address that is shown: a longer one would leave no space for the text."""

_BLANKS = re.compile(r"[ \t\n\f]{2,}|[\t\n\f]")
"""White space other than single spaces."""

# Quantifiers are possessive: each character is read once, so that no description takes quadratic time.
_COMMENT = re.compile(r"<!(?=--)(?:.*?-->|.*)", re.DOTALL)
_TOKEN = re.compile(
    r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]*+)((?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>"""
    r"""|<[!?][^<>]*+>"""
    r"""|([^<]++|<)"""
)
_ATTRIBUTE = re.compile(r"""([a-zA-Z_:][\w:.-]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")

_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_BLOCKS = _HEADINGS.union(
    "article blockquote dd details div dl dt figure hr li ol p pre section table td th tr ul".split()  # noqa: SIM905
)
_SILENT = frozenset(
    "annotation annotation-xml head iframe noscript object script style svg template title".split()  # noqa: SIM905
)
_STRUCK = frozenset({"s", "strike", "del"})
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
    r"(?<![!-~])((?=[!-~]{0,99}[0-9])(?=[!-~]{0,99}[A-Z])(?=[!-~]{0,99}[a-z])[!-~]{100}"
    r"|https?://[!-~]{92})[!-~]{900,}+"
)
"""A file or an address that nobody reads: no word is as long, with capitals, small letters and digits."""
_INVISIBLE_RUN = re.compile("[\u200b\u2060\ufeff\xad]{20,}+")
_ATTRIBUTES = r"""(?:[^<>"']++|"[^"]*+"|'[^']*+')*+"""
_EMPTY_RUN = re.compile(
    rf"<(br)\s*+/?>(?:\s*+<br\s*+/?>){{2,}}+"
    rf"|<([a-z]++){_ATTRIBUTES}></\2>(?:\s*+<\2{_ATTRIBUTES}></\2>){{2,}}+",
    re.IGNORECASE,
)
"""Empty elements in a row, which a browser shows as one blank line, or as nothing."""
_LINK_SCHEMES = ("http://", "https://", "mailto:")
_MAX_LEVELS = 9
"""Levels of lists and quotes that are shown."""


def html_to_text(html: str) -> str:
    """Return an issue's `description_html` as plain text (the editor of Plane v0.23 to v1.3.1).

    Paragraphs, list items, rows and quotes are lines; links keep their address; struck-out text is put
    between `~~`; images, scripts and styles are dropped; a mention is the user's id between two MENTIONs,
    for `with_names`.
    """
    if not html or html == "<p></p>":
        return ""
    html = _EMPTY_RUN.sub(lambda match: "<br><br>" if match[1] else "", html)
    builder = _TextBuilder()
    for token in islice(_tokens(_COMMENT.sub("", html)), TOKEN_LIMIT):
        closing, tag, attributes, words = token.groups()
        if words:
            builder.words(words)
        elif tag:
            (builder.close if closing else builder.open)(tag.lower(), attributes)
        if builder.size > TEXT_LIMIT:
            break
    text = builder.text()
    if len(text) > TEXT_LIMIT:
        text = text[: grapheme_start(text, TEXT_LIMIT)]
        if text.count(MENTION) % 2:  # cut inside a mention
            text = text[: text.rindex(MENTION)]
    return text


def _tokens(html: str) -> Iterator[re.Match[str]]:
    """Yield tags and the text between them as matches of `_TOKEN`, without the content of silent elements."""
    at = 0
    while at < len(html):
        for token in _TOKEN.finditer(html, at):
            yield token
            closing, tag, attributes, _ = token.groups()
            if tag and tag.lower() in _SILENT and not closing and not attributes.endswith("/"):
                # Only the element's own end tag ends a script: what looks like a tag inside it is not one.
                end = re.compile(f"</{tag}", re.IGNORECASE).search(html, token.end())
                at = end.start() if end else len(html)
                break
        else:
            return


def _attributes(source: str) -> dict[str, str]:
    return {name.lower(): unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(source)}


class _TextBuilder:
    """Collects lines. `_line` is the current one, `_bullet` the prefix of the next line that ends.

    `_lists`: for each open list the number of its next item; None: its items have bullets.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = ""
        self._bullet = ""
        self._lists: list[int | None] = []
        self._spans: list[bool] = []
        self._link: tuple[str, int] | None = None
        self._quotes = self._pre = self._cells = 0
        self._row = False
        self._struck = self._struck_from = self._size = 0

    @property
    def size(self) -> int:
        """The number of characters so far, without line breaks."""
        return self._size + len(self._line)

    def text(self) -> str:
        """Return all lines, with at most one empty line in a row."""
        self._break()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def open(self, tag: str, attributes: str) -> None:
        """Begin an element."""
        if tag == "mention-component":
            person = one_line(_attributes(attributes).get("entity_identifier", ""))[:ID_LIMIT]
            self._line += f"{MENTION}{person}{MENTION}"
        elif tag == "a":
            self._link = _attributes(attributes).get("href", ""), len(self._line)
        elif tag in _STRUCK:
            self._strike()
        elif tag == "span":
            # Pasted text is struck out by a style (Google Docs), which the end tag does not repeat.
            self._spans.append("line-through" in attributes.lower())
            if self._spans[-1]:
                self._strike()
        elif tag == "br":
            self._break(keep_empty=True)
        elif tag in ("td", "th") and self._row:  # A row is one line: its cells are separated by bars.
            self._line = self._line.rstrip() + (" | " if self._cells else "")
            self._cells += 1
        elif tag == "tr" or (tag in _BLOCKS and not self._in_cell()):
            self._open_block(tag, attributes)

    def close(self, tag: str, _attributes: str) -> None:
        """End an element."""
        if tag == "a" and self._link:
            href, start = self._link
            self._link = None
            address, shown = "".join(multi_line(href).split()), self._line[start:].strip()
            if not address.lower().startswith(_LINK_SCHEMES) or len(address) > ADDRESS_LIMIT:
                return
            if not shown:
                self._line += address
            elif address.removeprefix("mailto:").rstrip("/") != shown.rstrip("/"):
                self._line = f"{self._line.rstrip()} ({address})"
        elif tag in _STRUCK or (tag == "span" and self._spans and self._spans.pop()):
            if self._struck == 1:
                self._mark_struck()
            self._struck = max(0, self._struck - 1)
        elif tag in ("tr", "table") or (tag in _BLOCKS and not self._in_cell()):
            self._close_block(tag)

    def words(self, words: str) -> None:
        """Add the text between two tags."""
        if "&" in words:
            words = unescape(words)
        if len(words) > LONG_TEXT:
            for pattern in (_EMBEDDED, _WRAPPED, _RUN):
                words = pattern.sub(r"\1…", words)
            words = _INVISIBLE_RUN.sub("", words)
        words = multi_line(words)
        if not self._pre:
            words = _BLANKS.sub(" ", words)
            self._line += words.lstrip() if not self._line or self._line.endswith(" ") else words
            return
        first, *others = words.split("\n")
        self._line += first
        for line in others:
            self._break(keep_empty=True)
            self._line = line

    def _open_block(self, tag: str, attributes: str) -> None:
        self._break()
        if tag in _HEADINGS and self._lines:
            self._lines.append("")
        elif tag in ("ul", "ol"):
            # The editor gives the first number where a list is cut in two.
            start = _attributes(attributes).get("start", "")
            number = int(start) if re.fullmatch("-?[0-9]{1,9}", start) else 1
            self._lists.append(number if tag == "ol" else None)
        elif tag == "li":
            self._bullet = self._next_bullet(_attributes(attributes).get("data-checked"))
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._pre += 1
        elif tag == "hr":
            self._lines.append("---")
        elif tag == "tr":
            self._row, self._cells = True, 0

    def _next_bullet(self, checked: str | None) -> str:
        number = self._lists[-1] if self._lists else None
        if checked is not None:
            return "[x] " if checked == "true" else "[ ] "
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _close_block(self, tag: str) -> None:
        self._break()
        if tag in ("tr", "table"):
            self._row = False
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)

    def _in_cell(self) -> bool:
        """Return whether a table cell is open. Its paragraphs and lists stay on the line of the row."""
        if not (self._row and self._cells):
            return False
        if self._line and not self._line.endswith(" "):
            self._line += " "
        return True

    def _strike(self) -> None:
        self._struck_from = self._struck_from if self._struck else len(self._line)
        self._struck += 1

    def _mark_struck(self) -> None:
        head, struck = self._line[: self._struck_from], self._line[self._struck_from :]
        shown = struck.strip()
        if not is_blank(shown):
            self._line = head + struck.replace(shown, f"~~{shown}~~", 1)

    def _break(self, keep_empty: bool = False) -> None:
        """End the current line."""
        if self._struck:  # Each line has its own marks: bullets and quote signs stay outside of them.
            self._mark_struck()
        self._struck_from = 0
        line, self._line = self._line.rstrip(), ""
        self._link = (self._link[0], 0) if self._link else None
        if not line and not keep_empty:
            return
        indent = "  " * min(len(self._lists) - 1, _MAX_LEVELS)
        lead = indent + (self._bullet or ("  " if self._lists else ""))
        self._bullet = ""
        self._size += len(line)
        self._lines.append(("> " * min(self._quotes, _MAX_LEVELS) + lead + line).rstrip())
