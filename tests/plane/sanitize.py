"""Cleans the HTML of a description when it is written, just as far as Plane v1.3.1 was seen to."""

from html import escape
from html.parser import HTMLParser

TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "image-component", "input", "ins", "kbd", "label", "li", "mark",
    "mention-component", "ol", "p", "pre", "s", "span", "strike", "strong", "sub", "sup", "table",
    "tbody", "td", "th", "thead", "tr", "u", "ul",
})  # fmt: skip
VOID = frozenset({"br", "hr", "img", "input"})
SILENT = frozenset({"script", "style"})
ATTRIBUTES = frozenset({
    "alt", "aspectratio", "checked", "class", "colspan", "entity_identifier", "entity_name", "height", "href",
    "id", "language", "rowspan", "src", "start", "target", "title", "type", "width",
})  # fmt: skip
SCHEMES = ("http:", "https:", "mailto:", "tel:")


def sanitized(html: str) -> str:
    """Without scripts, event handlers and dangerous addresses; unknown tags leave their text behind."""
    cleaner = _Cleaner()
    cleaner.feed(html)
    cleaner.close()
    return "".join(cleaner.out)


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.out: list[str] = []
        self.silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent = tag in SILENT
        if tag not in TAGS:
            return
        kept = [(name, value or "") for name, value in attrs if _harmless(name, value or "")]
        if tag == "a":
            kept.append(("rel", "noopener noreferrer"))
        written = "".join(f' {name}="{escape(value)}"' for name, value in kept)
        self.out.append(f"<{tag}{written}>")

    def handle_endtag(self, tag: str) -> None:
        self.silent = False
        if tag in TAGS - VOID:
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.out.append(escape(data, quote=False))


def _harmless(name: str, value: str) -> bool:
    if name not in ATTRIBUTES and not name.startswith("data-"):
        return False
    scheme, colon, _ = value.strip().lower().partition(":")
    return name not in {"href", "src"} or not colon or f"{scheme}:" in SCHEMES or "/" in scheme
