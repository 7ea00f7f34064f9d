"""The XML of CalDAV: requests are those of the RFCs, and any response is read or refused."""

import pytest
from dav_memory import multistatus, precondition, status
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.dav import names, xml

BASE = "https://dav.example.com/alice/plane/"


def read(*responses: str) -> list[xml.MultistatusResponse]:
    return xml.read_multistatus(multistatus(*responses).content, BASE)


def test_requests_name_their_properties() -> None:
    asked = fromstring(xml.propfind(names.ETAG, names.TYPE))
    assert [element.tag for element in asked.iter()] == [
        "{DAV:}propfind",
        "{DAV:}prop",
        names.ETAG,
        names.TYPE,
    ]
    wanted = fromstring(xml.multiget(["/a&b.ics", "/ü.ics"]))
    assert [element.text for element in wanted.iter("{DAV:}href")] == ["/a&b.ics", "/ü.ics"]
    made = fromstring(xml.mkcalendar("Täam <1>", "#ff6347", "VTODO"))
    assert made.findtext(f".//{names.NAME}") == "Täam <1>"
    assert made.findtext(f".//{names.COLOR}") == "#ff6347"
    assert [element.get("name") for element in made.iter(f"{names.CALDAV}comp")] == ["VTODO"]
    assert b"calendar-color" not in xml.mkcalendar("x", None, "VEVENT")


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/alice/plane/a.ics", "/alice/plane/a.ics"),
        ("a.ics", "/alice/plane/a.ics"),
        ("  /a.ics\n", "/a.ics"),
        ("https://dav.example.com/a.ics", "/a.ics"),
        ("https://DAV.example.com:443/a.ics", "/a.ics"),
        ("/a%40b%2Eics", "/a@b.ics"),
        ("/a@b.ics", "/a@b.ics"),
        ("/ü ü.ics", "/%C3%BC%20%C3%BC.ics"),
        ("/%ff.ics", "/%FF.ics"),
        ("../x.ics", "/alice/x.ics"),
        ("/a.ics?x=1#y", "/a.ics"),
        ("https://dav.example.com", "/"),
        ("http://dav.example.com/a.ics", None),
        ("https://dav.example.com:8443/a.ics", None),
        ("https://evil.example.com/a.ics", None),
        ("//evil.example.com/a.ics", None),
        ("https://dav.example.com@evil.example.com/", None),
        ("https://[/", None),
        ("https://dav.example.com:x/", None),
    ],
)
def test_an_href_has_one_spelling_and_stays_on_its_server(href: str, path: str | None) -> None:
    assert xml.canonical_path(BASE, href) == path


def test_a_property_counts_only_with_status_200() -> None:
    found = "<d:propstat><d:prop><d:getetag>1</d:getetag></d:prop>" + status(200) + "</d:propstat>"
    lost = "<d:propstat><d:prop><d:displayname>x</d:displayname></d:prop>" + status(404) + "</d:propstat>"
    (one,) = read(f"<d:response><d:href>a.ics</d:href>{found}{lost}</d:response>")
    assert (one.status, one.text(names.ETAG), one.text(names.NAME)) == (200, "1", "")
    (two,) = read(f"<d:response><d:href>a.ics</d:href>{lost}</d:response>")
    assert (two.status, dict(two.properties)) == (404, {})


def test_several_hrefs_may_share_a_status_and_those_of_others_are_dropped() -> None:
    hrefs = "<d:href>/a</d:href><d:href>/b</d:href><d:href>https://evil.example.com/c</d:href>"
    found = read(f"<d:response>{hrefs}{status(423)}</d:response>")
    assert [(one.path, one.status) for one in found] == [("/a", 423), ("/b", 423)]


@pytest.mark.parametrize(("line", "code"), [("HTTP/1.1 200 OK", 200), ("HTTP/1.1 x", 200), ("", 200)])
def test_an_invalid_status_line_has_no_status(line: str, code: int) -> None:
    prop = "<d:propstat><d:prop/></d:propstat>"
    (one,) = read(f"<d:response><d:href>/a</d:href><d:status>{line}</d:status>{prop}</d:response>")
    assert one.status == code


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (precondition("no-uid-conflict"), {f"{names.CALDAV}no-uid-conflict"}),
        (
            multistatus(f"<d:response><d:error><d:x/></d:error>{status(403)}</d:response>").content,
            {"{DAV:}x"},
        ),
        (b"<x/>", set()),
        (b"plain text", set()),
        (b"", set()),
        (b"<!DOCTYPE x><d:error xmlns:d='DAV:'><d:x/></d:error>", set()),
    ],
)
def test_preconditions_are_read(body: bytes, names: set[str]) -> None:
    assert xml.read_preconditions(body) == names


@pytest.mark.parametrize("mark", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_forbids_in_one_object_do_not_hide_the_others(mark: str) -> None:
    data = f"<c:calendar-data>SUMMARY:a{mark}ü\ufffd</c:calendar-data>"
    found = f"<d:propstat><d:prop>{data}</d:prop>{status(200)}</d:propstat>"
    hrefs = ("<d:href>/a.ics</d:href>", "<d:href>/b.ics</d:href>")
    one, other = read(*(f"<d:response>{href}{found}</d:response>" for href in hrefs))
    assert (one.path, one.text(names.DATA)) == ("/a.ics", "SUMMARY:aü\ufffd")
    assert other.path == "/b.ics"


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize("body", [BOMB, OUTSIDE, b'<!DOCTYPE x SYSTEM "http://evil.example.com/x.dtd"><x/>'])
def test_dtds_and_entities_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="DTD or entities"):
        xml.read_multistatus(body, BASE)


@pytest.mark.parametrize("body", [b"<a>" * 100_000, b"<a>" * 1_000 + b"</a>" * 1_000])
def test_xml_that_is_nested_too_deeply_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"deeply|broken"):
        xml.read_multistatus(body, BASE)


PIECES = st.lists(
    st.sampled_from(
        [
            *("<d:response>", "</d:response>", "<d:href>", "</d:href>", "<d:propstat>", "</d:propstat>"),
            *("<d:prop>", "</d:prop>", "<d:status>", "</d:status>", "<d:error>", "</d:error>", "/a.ics"),
            *(
                "HTTP/1.1 200 OK",
                "&lt;",
                "<d:getetag/>",
                "\x00",
                "ü",
                "&x;",
                "<!--",
                "-->",
                "<![CDATA[",
                "]]>",
            ),
        ]
    )
).map("".join)


@given(
    st.binary() | PIECES.map(lambda inner: f"<d:multistatus xmlns:d='DAV:'>{inner}</d:multistatus>".encode())
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    xml.read_preconditions(body)
    try:
        answers = xml.read_multistatus(body, BASE)
    except ValueError:
        return
    assert all(answer.path.startswith("/") for answer in answers)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", ""),
        (b"Cannot decrease event sequence.", "Cannot decrease event sequence."),
        (
            b"<html><head><title>409</title></head><body><h1>Conflict</h1>\n<p>No &amp; no</p></body></html>",
            "Conflict No & no",
        ),
        (b"<!DOCTYPE html><head><style>p {}</style></head><p>Not <b>here", "Not here"),
        (
            b"<d:error xmlns:d='DAV:' xmlns:s='http://sabredav.org/ns'><s:sabredav-version>4.7</s:sabredav-version>"
            b"<s:exception>Sabre\\DAV\\Exception</s:exception><s:message>No room\nhere</s:message></d:error>",
            "No room here",
        ),
        (b'<error xmlns="DAV:"><if-match/>It does not hold.</error>', "It does not hold."),
        (precondition("valid-calendar-data"), ""),
        (b"a\x00b\x1b[31m \xff", "a b [31m \ufffd"),
        (b"word " * 1000, ("word " * 40)),
    ],
)
def test_the_text_of_an_error_is_read_from_its_markup(body: bytes, said: str) -> None:
    assert xml.read_error_text(body) == said


@given(st.binary())
def test_the_text_of_any_error_is_one_short_line(body: bytes) -> None:
    said = xml.read_error_text(body)
    assert len(said) <= 200
    assert said.isprintable()
