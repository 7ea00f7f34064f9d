"""News as Atom and JSON Feed: valid for every character, and read as they were written by other parsers."""

from datetime import UTC, date, datetime
from xml.sax.saxutils import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from news_checks import ATOM, atom_document, json_feed_document

from icsfeed.feeds.news.changes import NEVER
from icsfeed.feeds.news.entries import News, NewsEntry
from icsfeed.feeds.news.formats import WRITERS, atom, json_feed
from icsfeed.text import multi_line, one_line

PAGE = "https://cal.example.com/feeds/icsf_x/property?label=a%26b&days=3"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
URL = "https://plane.example.com/acme/projects/p/issues/i?a=1&b=2"


def entry(title: str = "Due", text: str = "PROP-1", **more: object) -> NewsEntry:
    return NewsEntry("urn:uuid:1", "due", NOON, title, text, date(2026, 11, 21), **more)  # type: ignore[arg-type]


def news(*entries: NewsEntry, title: str = "Property", description: str = "") -> News:
    return News("urn:uuid:0", title, description, "en", NOON if entries else NEVER, entries)


def test_an_empty_feed_is_valid() -> None:
    assert atom_document(atom(news(), f"{PAGE}.atom", PAGE)).findtext(f"{ATOM}title") == "Property"
    assert json_feed_document(json_feed(news(), f"{PAGE}.json", PAGE))["items"] == []


def test_an_atom_entry_has_all_parts() -> None:
    made = entry(text=f"a < b\nx & y\n\n{URL}", url=URL, tags=("Bug", 'Law, "tax" & <b>'))
    root = atom_document(atom(news(made, description="All & more"), f"{PAGE}.atom", PAGE))
    links = {one.get("rel"): one.get("href") for one in root.findall(f"{ATOM}link")}
    assert links == {"self": f"{PAGE}.atom", "alternate": PAGE}
    assert root.findtext(f"{ATOM}subtitle") == "All & more"
    assert root.findtext(f"{ATOM}id") == "urn:uuid:0"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == root.findtext(f"{ATOM}generator") == "icsfeed"
    one = root.find(f"{ATOM}entry")
    assert (one.findtext(f"{ATOM}id"), one.findtext(f"{ATOM}title")) == ("urn:uuid:1", "Due")
    assert one.find(f"{ATOM}link").get("rel") == "alternate"
    assert one.find(f"{ATOM}link").get("href") == URL
    assert [tag.get("term") for tag in one.findall(f"{ATOM}category")] == ["Bug", 'Law, "tax" & <b>']
    escaped = URL.replace("&", "&amp;")
    assert one.findtext(f"{ATOM}content") == (
        f'a &lt; b<br>\nx &amp; y<br>\n<br>\n<a href="{escaped}">{escaped}</a>'
    )


def test_a_json_item_has_all_parts() -> None:
    made = entry(text="a\nb", url=URL, tags=("Bug",))
    feed = json_feed_document(json_feed(news(made, description="All"), f"{PAGE}.json", PAGE))
    assert (feed["feed_url"], feed["home_page_url"], feed["description"]) == (f"{PAGE}.json", PAGE, "All")
    assert feed["items"] == [
        {
            "id": "urn:uuid:1",
            "url": URL,
            "title": "Due",
            "content_text": "a\nb",
            "date_published": "2026-11-21T12:00:00Z",
            "tags": ["Bug"],
            "_icsfeed": {"event": "due", "due": "2026-11-21"},
        }
    ]


def test_a_notice_has_no_extension() -> None:
    notice = NewsEntry("urn:uuid:2", None, NOON, "Revoked", "Why")
    (item,) = json_feed_document(json_feed(news(notice), f"{PAGE}.json", PAGE))["items"]
    assert item.keys() == {"id", "title", "content_text", "date_published"}
    atom_document(atom(news(notice), f"{PAGE}.atom", PAGE))


any_text = st.text(st.characters(exclude_categories=()), max_size=40)


@pytest.mark.parametrize("form", WRITERS)
@given(any_text, any_text, any_text)
def test_any_text_gives_a_valid_document(form: str, title: str, text: str, tag: str) -> None:
    """As texts reach the writers: one_line and multi_line take out what UTF-8 and calendars cannot have."""
    made = entry(one_line(title), multi_line(text) or "x", tags=(one_line(tag),))
    body = WRITERS[form](news(made, title=one_line(title)), f"{PAGE}.{form}", PAGE)
    if form == "json":
        (item,) = json_feed_document(body)["items"]
        assert item["content_text"] == made.text
    else:
        one = atom_document(body).find(f"{ATOM}entry")
        kept = made.text.replace("\ufffe", "").replace("\uffff", "")
        assert unescape(one.findtext(f"{ATOM}content"), {"&quot;": '"', "&#x27;": "'"}) == kept.replace(
            "\n", "<br>\n"
        )


@pytest.mark.parametrize(
    "nasty", ["\ufffe", "\uffff", "\x00", "\x0b", "\ud800", "\x85", "]]>", "<!--", "&#0;"]
)
def test_what_xml_forbids_does_not_break_it(nasty: str) -> None:
    made = entry(one_line(f"a{nasty}b"), multi_line(f"a{nasty}b"), tags=(one_line(f"a{nasty}b"),))
    for form, check in (("atom", atom_document), ("json", json_feed_document)):
        check(WRITERS[form](news(made, title=one_line(f"a{nasty}b")), f"{PAGE}.{form}", PAGE))
