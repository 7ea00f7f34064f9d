"""News written as Atom (RFC 4287) and as JSON Feed 1.1 (jsonfeed.org/version/1.1)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any
from xml.etree.ElementTree import Element

from msgspec import json

from icsfeed.dav.tree import element, xml_bytes
from icsfeed.feeds.news.entries import News, NewsEntry

ATOM = "http://www.w3.org/2005/Atom"
PROGRAM = "icsfeed"
"""The author, which Atom requires (4.1.1), and the generator. Who changed an issue is not known."""


def atom(news: News, address: str, page: str) -> bytes:
    """Return the news as an Atom document. `address`: its own; `page`: that of the feed's page."""
    root = element(
        "feed",
        element("id", text=news.id),
        element("title", text=news.title),
        *([element("subtitle", text=news.description)] if news.description else []),
        element("updated", text=_time(news.updated)),
        element("author", element("name", text=PROGRAM)),
        element("generator", text=PROGRAM),
        element("link", attributes={"rel": "self", "type": "application/atom+xml", "href": address}),
        element("link", attributes={"rel": "alternate", "type": "text/html", "href": page}),
        *map(_atom_entry, news.entries),
        attributes={"xmlns": ATOM, "xml:lang": news.language},
    )
    return xml_bytes(root, namespaces="")


def _atom_entry(entry: NewsEntry) -> Element:
    link = {"rel": "alternate", "type": "text/html", "href": entry.url or ""}
    return element(
        "entry",
        element("id", text=entry.id),
        element("title", text=entry.title),
        element("published", text=_time(entry.at)),
        element("updated", text=_time(entry.at)),
        *([element("link", attributes=link)] if entry.url else []),
        *(element("category", attributes={"term": tag}) for tag in entry.tags),
        element("content", text=_html(entry), attributes={"type": "html"}),
    )


def _html(entry: NewsEntry) -> str:
    """Return the text as HTML: readers join the lines of plain text."""

    def line_of(line: str) -> str:
        text = escape(line)
        return f'<a href="{text}">{text}</a>' if line == entry.url else text

    return "<br>\n".join(map(line_of, entry.text.split("\n")))


def json_feed(news: News, address: str, page: str) -> bytes:
    """Return the news as a JSON Feed. `address`: its own; `page`: that of the feed's page."""
    body = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": news.title,
        "home_page_url": page,
        "feed_url": address,
        **({"description": news.description} if news.description else {}),
        "language": news.language,
        "items": [*map(_json_item, news.entries)],
    }
    return json.encode(body)


def _json_item(entry: NewsEntry) -> Mapping[str, Any]:
    about = {"event": entry.kind, "due": entry.due}
    item = {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "content_text": entry.text,
        "date_published": _time(entry.at),
        "tags": entry.tags,
        # Extensions begin with an underscore: for dashboards, in no language.
        "_icsfeed": about if entry.kind else None,
    }
    return {name: value for name, value in item.items() if value}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


WRITERS: Mapping[str, Callable[[News, str, str], bytes]] = {"atom": atom, "json": json_feed}
"""By the extension in a feed's links."""
