"""What RFC 4287 and JSON Feed 1.1 demand of a document, checked by other means than it is written by."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from lxml import etree  # type: ignore[import-untyped]

ATOM = "{http://www.w3.org/2005/Atom}"
SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parent / "feeds/news/atom.rng"))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def atom_document(body: bytes) -> Any:
    """The root of a document that fulfils the schema, and what the RFC says beyond it."""
    root = etree.fromstring(body)
    SCHEMA.assertValid(root)
    entries = root.findall(f"{ATOM}entry")
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids)  # 4.1.1
    for part in (root, *entries):
        links = [(one.get("rel"), one.get("type")) for one in part.findall(f"{ATOM}link")]
        assert len(set(links)) == len(links)  # 4.1.1, 4.1.2
        for name in ("id", "updated", "published"):
            assert part.findtext(f"{ATOM}{name}", "x").strip() == part.findtext(f"{ATOM}{name}", "x")
        # "T" and "Z" are capital letters (3.3).
        assert _TIME.fullmatch(part.findtext(f"{ATOM}updated"))
    for entry in entries:
        has_alternate = entry.find(f"{ATOM}link[@rel='alternate']") is not None
        assert has_alternate or entry.find(f"{ATOM}content") is not None  # 4.1.2
    return root


def json_feed_document(body: bytes) -> dict[str, Any]:
    """A document in which all is as JSON Feed says: what must be there, and of which type what may be."""
    feed: dict[str, Any] = msgspec.json.decode(body)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert isinstance(feed["title"], str)
    for name in ("home_page_url", "feed_url"):
        assert re.match("https?://", feed[name])
    assert isinstance(feed["items"], list)
    _check_members(
        feed, {"version", "title", "home_page_url", "feed_url", "description", "language", "items"}
    )
    ids = [item["id"] for item in feed["items"]]
    assert len(set(ids)) == len(ids)
    for item in feed["items"]:
        _check_members(item, {"id", "url", "title", "content_text", "date_published", "tags"})
        assert isinstance(item["id"], str)
        assert isinstance(item["content_text"], str)
        assert _TIME.fullmatch(item["date_published"])
        assert datetime.fromisoformat(item["date_published"]).tzinfo is not None
        assert all(isinstance(tag, str) for tag in item.get("tags", []))
        assert isinstance(item.get("_icsfeed", {}), dict)
    return feed


def _check_members(found: dict[str, Any], known: set[str]) -> None:
    # Null is none of the types that the specification names.
    assert None not in found.values()
    assert {name for name in found if not name.startswith("_")} <= known
