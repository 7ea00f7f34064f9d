"""The answers to PROPFIND and REPORT, from calendars that are values."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.dav.names import COLOR, DATA, DAV, ETAG, HREF, NAME, PRINCIPAL, RESPONSE, TYPE
from icsfeed.dav.tree import xml_bytes
from icsfeed.dav.xml import read_multistatus
from icsfeed.feeds.rendered import parts, render
from icsfeed.ics.component import Component
from icsfeed.ics.write import Header
from icsfeed.web.dav.answer import Writer, answer_multiget, answer_query, answer_sync
from icsfeed.web.dav.outcomes import DavError, multistatus, read_only, refused_update
from icsfeed.web.dav.properties import Values, of_account, of_calendar, of_object, of_root, part_of
from icsfeed.web.dav.requests import (
    MAX_HREFS,
    Asked,
    CalendarQuery,
    ExpandProperty,
    Multiget,
    Report,
    SyncRequest,
    read_propfind,
    read_report,
)
from icsfeed.web.dav.resources import Account, DavCalendar, Place, Source, calendar_of
from icsfeed.web.dav.sync_log import SyncChanges

NOW, DAY, UTC_ZONE = datetime(2026, 11, 1, 8, tzinfo=UTC), date(2026, 11, 23), ZoneInfo("UTC")
ANNA = Account("anna@example.com", {"team": Source("team", "anna@example.com")}, "/plane")
SPACES = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
BASE = "https://cal.example.com/"
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


def event(uid: str, summary: str = "x") -> Component:
    return Component(
        kind="VEVENT",
        uid=f"{uid}@b",
        summary=summary,
        first=DAY,
        last=DAY,
        status="CONFIRMED",
        created=NOW,
        revised=NOW,
    )


def made(*components: Component, name: str = "team") -> DavCalendar:
    header = Header(name="Team; one, two", refresh=3600, description="Ours", color="red", color_hex="#FF0000")
    return calendar_of(name, "VEVENT", render(header, parts(components), None, "style", NOW)[0])


TEAM = made(event("a"), event("b"))


def report(text: str) -> Report:
    return read_report(fromstring(text), UTC_ZONE)


def test_a_feed_is_a_calendar() -> None:
    assert (TEAM.title, TEAM.description, TEAM.color) == ("Team; one, two", "Ours", "#FF0000")
    assert TEAM.objects.keys() == {"a.ics", "b.ics"}
    empty = made()
    assert not empty.objects
    assert empty.token


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), TEXTS, TEXTS)
def test_tokens_and_etags_are_equal_when_bytes_are(
    one: set[str], other: set[str], text: str, more: str
) -> None:
    first, second = (
        made(*(event(uid, summary) for uid in sorted(uids))) for uids, summary in ((one, text), (other, more))
    )
    bytes_of = [{name: item.data for name, item in calendar.objects.items()} for calendar in (first, second)]
    assert (first.token == second.token) == (bytes_of[0] == bytes_of[1])
    for name in first.objects.keys() & second.objects.keys():
        is_same = bytes_of[0][name] == bytes_of[1][name]
        assert (first.objects[name].etag == second.objects[name].etag) == is_same


@given(TEXTS)
def test_an_object_arrives_byte_for_byte(summary: str) -> None:
    calendar = made(event("a", summary))
    asked = Multiget(Asked((ETAG, DATA)), (ANNA.path("team", "a.ics"),))
    body = xml_bytes(answer_multiget(ANNA, calendar, asked, Writer(ANNA, asked.asked)))
    (response,) = read_multistatus(body, BASE)
    text = "".join(response.properties[DATA].itertext())
    kept = calendar.objects["a.ics"].data.decode().replace("\ufffe", "").replace("\uffff", "")
    assert text == kept


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/dav", Place(is_root=True)),
        ("/dav/", Place(is_root=True)),
        ("/dav/anna@example.com", Place()),
        ("/dav/anna@example.com/", Place()),
        ("/dav/anna@example.com/team/", Place("team")),
        ("/dav/anna@example.com/team/a.ics", Place("team", "a.ics")),
        ("/dav/anna@example.com/team/a/b", None),
        ("/dav/anna@example.com//", None),
        ("/dav/ben/", None),
        ("/", None),
    ],
)
def test_places(path: str, place: Place | None) -> None:
    assert ANNA.place(path) == place


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/plane/dav/anna@example.com/team/a.ics", "a.ics"),
        ("/plane/dav/anna%40example.com/team/a.ics", "a.ics"),
        ("https://other/plane/dav/anna%40example.com/team/a.ics", "a.ics"),
        ("a.ics", "a.ics"),
        ("/dav/anna@example.com/team/a.ics", ""),
        ("../other/a.ics", ""),
        ("http://[", ""),
    ],
)
def test_hrefs(href: str, name: str) -> None:
    assert ANNA.item("team", href) == name


def test_what_is_unknown_is_said_once_or_not_at_all() -> None:
    asked = Asked((ETAG, "{x}y"))
    for minimal in (False, True):
        writer = Writer(ANNA, asked, minimal=minimal)
        body = xml_bytes(multistatus(writer.objects(TEAM, ["a.ics", "none.ics"])))
        found, gone = read_multistatus(body, BASE)
        assert (found.status, gone.status) == (200, 404)
        assert (b"404" in body.split(b"none.ics")[0]) is not minimal
    unknown = Asked(("{x}y",))
    assert b"200 OK" in xml_bytes(multistatus([Writer(ANNA, unknown, minimal=True).root()]))
    only_missing = xml_bytes(multistatus(Writer(ANNA, unknown).objects(TEAM, TEAM.objects)))
    assert (only_missing.count(b"404"), only_missing.count(b"200 OK")) == (2, 0)
    assert b"404" not in xml_bytes(multistatus([Writer(ANNA, Asked(("{x}y",), "all")).root()]))


def test_a_calendar_that_was_not_read_has_no_state() -> None:
    unread = DavCalendar("team", "VEVENT", "Team")
    names = (f"{DAV}sync-token", "{http://calendarserver.org/ns/}getctag", NAME, COLOR)
    (one,) = read_multistatus(xml_bytes(multistatus([Writer(ANNA, Asked(names)).calendar(unread)])), BASE)
    assert one.properties.keys() == {NAME}


@pytest.mark.parametrize("wanted", ["all", "names"])
def test_everything_and_all_names(wanted: str) -> None:
    asked = Asked(wanted=wanted)  # type: ignore[arg-type]
    writer = Writer(ANNA, asked)
    responses = [writer.root(), writer.account(), writer.calendar(TEAM), *writer.objects(TEAM, TEAM.objects)]
    for one in read_multistatus(xml_bytes(multistatus(responses)), BASE):
        assert TYPE in one.properties


def test_requests() -> None:
    assert read_propfind(None) == Asked(wanted="all")
    assert read_propfind(fromstring('<propfind xmlns="DAV:"><propname/></propfind>')) == Asked(wanted="names")
    data = read_propfind(fromstring(f"<propfind {SPACES}><prop><c:calendar-data/></prop></propfind>")).data
    assert data is not None
    include = fromstring('<propfind xmlns="DAV:"><allprop/><include><owner/></include></propfind>')
    assert read_propfind(include) == Asked((f"{DAV}owner",), "all")
    many = "".join(f"<href>{n}</href>" for n in range(MAX_HREFS + 1))
    with pytest.raises(DavError) as caught:
        report(f"<c:calendar-multiget {SPACES}><prop/>{many}</c:calendar-multiget>")
    assert caught.value.status == 507
    assert b"number-of-matches" in caught.value.body()
    assert b"needs a body" in DavError(400, text="A REPORT needs a body.").body()
    with pytest.raises(DavError):
        read_report(None, UTC_ZONE)
    with pytest.raises(DavError):
        read_propfind(fromstring("<x/>"))
    for wrong in (
        "<x/>",
        "<sync-collection xmlns='DAV:'><prop/></sync-collection>",
        f"<c:calendar-multiget {SPACES}><prop><c:calendar-data version='3'/></prop></c:calendar-multiget>",
    ):
        with pytest.raises(DavError):
            report(wrong)
    assert b"need-privileges" in xml_bytes(read_only("/x"))


def test_each_property_of_an_update_is_refused() -> None:
    update = (
        "<propertyupdate xmlns='DAV:'><set><prop><displayname>x</displayname></prop></set>"
        "<remove><prop><x xmlns='urn:x'/></prop></remove></propertyupdate>"
    )
    refused = refused_update("/x", fromstring(update))
    assert refused is not None
    (response,) = read_multistatus(xml_bytes(refused), BASE)
    assert (response.status, dict(response.properties)) == (403, {})
    assert [one.text for one in refused.iter(HREF)] == ["/x", "/x"]
    assert {one.tag for one in refused.iter()} >= {NAME, "{urn:x}x", f"{DAV}need-privileges"}
    assert refused_update("/x", fromstring("<propertyupdate xmlns='DAV:'/>")) is None


def test_an_expand_property_answers_with_what_its_hrefs_name() -> None:
    asked = report(
        "<expand-property xmlns='DAV:'><property name='displayname'/>"
        "<property name='current-user-principal'><property name='displayname'/></property>"
        "<property name='principal-collection-set'><property name='resourcetype'/></property>"
        "<property name='calendar-user-address-set' namespace='urn:ietf:params:xml:ns:caldav'>"
        "<property name='displayname'/></property>"
        "<property name='calendar-proxy-read-for' namespace='http://calendarserver.org/ns/'>"
        "<property name='displayname'/></property><property/></expand-property>"
    )
    assert isinstance(asked, ExpandProperty)
    answer = Writer(ANNA, Asked()).expanded(ANNA.home, of_account(ANNA), asked.wanted)
    text = xml_bytes(multistatus([answer])).decode()
    assert "mailto:anna@example.com" in text
    assert "calendar-proxy-read-for/></d:prop><d:status>HTTP/1.1 404" in text.replace("<d:/>", "")
    (principal,) = (one for one in answer.iter(PRINCIPAL))
    inner = principal.find(RESPONSE)
    assert inner is not None
    assert (inner.findtext(HREF), next(inner.iter(NAME)).text) == (ANNA.home, ANNA.user)
    root = Writer(ANNA, Asked()).expanded(ANNA.root, of_root(ANNA), asked.wanted)
    assert [one.findtext(HREF) for one in root.iter(RESPONSE)] == [ANNA.root, ANNA.home, ANNA.root]


@pytest.mark.parametrize(
    ("zone", "name"), [("Pacific/Honolulu", "Pacific/Honolulu"), ("../etc", "UTC"), ("No", "UTC")]
)
def test_a_query_may_bring_its_zone(zone: str, name: str) -> None:
    text = f"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:{zone}\nEND:VTIMEZONE\nEND:VCALENDAR"
    query = report(
        f"<c:calendar-query {SPACES}><prop><getetag/></prop>"
        "<c:filter><c:comp-filter name='VCALENDAR'/></c:filter>"
        f"<c:timezone>{text}</c:timezone></c:calendar-query>"
    )
    assert isinstance(query, CalendarQuery)
    assert str(query.filter.zone) == name


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        ("", {"a.ics", "b.ics"}),
        ("<c:comp-filter name='VEVENT'/>", {"a.ics", "b.ics"}),
        ("<c:comp-filter name='VTODO'/>", set()),
        (
            "<c:comp-filter name='VEVENT'><c:time-range start='20261123T000000Z'/></c:comp-filter>",
            {"a.ics", "b.ics"},
        ),
        ("<c:comp-filter name='VEVENT'><c:time-range start='20261124T000000Z'/></c:comp-filter>", set()),
        (
            "<c:comp-filter name='VEVENT'><c:prop-filter name='UID'><c:text-match>a@</c:text-match>"
            "</c:prop-filter></c:comp-filter>",
            {"a.ics"},
        ),
    ],
)
def test_queries(inner: str, names: set[str]) -> None:
    query = report(
        f"<c:calendar-query {SPACES}><prop><getetag/></prop>"
        f"<c:filter><c:comp-filter name='VCALENDAR'>{inner}</c:comp-filter></c:filter></c:calendar-query>"
    )
    assert isinstance(query, CalendarQuery)
    answer = answer_query(TEAM, query, Writer(ANNA, query.asked))
    assert {one.text.rpartition("/")[2] for one in answer.iter(HREF) if one.text} == names


def test_syncs() -> None:
    text = (
        f"<sync-collection {SPACES}><sync-token/><sync-level>1</sync-level>"
        "<limit><nresults>1</nresults></limit>"
        "<prop><getetag/></prop></sync-collection>"
    )
    asked = report(text)
    assert isinstance(asked, SyncRequest)
    writer = Writer(ANNA, asked.asked)
    with pytest.raises(DavError, match="number-of-matches") as too_many:
        answer_sync(TEAM, asked, SyncChanges(("a.ics",), ("c.ics",)), writer)
    with pytest.raises(DavError, match="valid-sync-token") as unknown:
        answer_sync(TEAM, asked, None, writer)
    assert (too_many.value.status, unknown.value.status) == (507, 403)
    body = xml_bytes(answer_sync(TEAM, asked, SyncChanges((), ("c.ics",)), writer))
    (gone,) = read_multistatus(body, BASE)
    assert gone.status == 404
    assert TEAM.token.encode() in body


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        ("<c:comp name='VCALENDAR'><c:comp name='VEVENT'><c:prop name='UID'/></c:comp></c:comp>", {"UID"}),
        ("<c:comp name='VCALENDAR'/>", {"BEGIN", "VERSION", "PRODID", "UID", "SUMMARY", "END"}),
        (
            "<c:comp name='VCALENDAR'><c:allprop/><c:allcomp/></c:comp>",
            {"BEGIN", "VERSION", "UID", "SUMMARY"},
        ),
        (
            "<c:comp name='VCALENDAR'><c:prop name='VERSION'/><c:comp name='VTODO'/></c:comp>",
            {"BEGIN", "VERSION"},
        ),
        (
            "<c:comp name='vcalendar'><c:prop name='version'/><c:prop/><c:comp/></c:comp>",
            {"BEGIN", "VERSION"},
        ),
    ],
)
def test_parts(inner: str, names: set[str]) -> None:
    element = fromstring(f"<c:calendar-data {SPACES}>{inner}</c:calendar-data>")
    text = part_of(TEAM.objects["a.ics"].data, element)
    assert names <= {line.partition(":")[0] for line in text.splitlines()}
    assert ("UID" in names) is ("UID:" in text)


def test_parts_without_their_values() -> None:
    inner = (
        "<c:comp name='VCALENDAR'><c:comp name='VEVENT'><c:prop name='uid' novalue='yes'/></c:comp></c:comp>"
    )
    element = fromstring(f"<c:calendar-data {SPACES}>{inner}</c:calendar-data>")
    lines = part_of(TEAM.objects["a.ics"].data, element).splitlines()
    assert lines[-4:] == ["BEGIN:VEVENT", "UID:", "END:VEVENT", "END:VCALENDAR"]


def held_by(values: Values) -> dict[str, str]:
    """By its local name, what a property holds: texts, and the local names of what is inside it."""
    given = {name: value() for name, value in values.items()}
    return {
        name.rpartition("}")[2]: " ".join(
            one.text or "".join((one.tag.rpartition("}")[2], *one.attrib.values())) for one in value.iter()
        ).removeprefix(name.rpartition("}")[2] + " ")
        for name, value in given.items()
        if value is not None and value.tag == name
    }


OF_ALL = {
    "current-user-principal": "HOME",
    "owner": "HOME",
    "current-user-privilege-set": "privilege read privilege read-current-user-privilege-set",
    "principal-collection-set": "ROOT",
}
"""Properties of everything in an account."""


def test_the_properties_of_an_account_and_its_root() -> None:
    shared = {
        name: text.replace("HOME", ANNA.home).replace("ROOT", ANNA.root) for name, text in OF_ALL.items()
    }
    shared["supported-report-set"] = "supported-report report expand-property"
    assert held_by(of_root(ANNA)) == {"resourcetype": "collection", **shared}
    assert held_by(of_account(ANNA)) == {
        "resourcetype": "collection principal",
        "displayname": "anna@example.com",
        "calendar-home-set": ANNA.home,
        "calendar-user-address-set": f"mailto:anna@example.com {ANNA.home}",
        "principal-URL": ANNA.home,
        **shared,
    }


def test_the_properties_of_a_calendar_and_its_objects() -> None:
    shared = {
        name: text.replace("HOME", ANNA.home).replace("ROOT", ANNA.root) for name, text in OF_ALL.items()
    }
    reports = ("calendar-query", "calendar-multiget", "sync-collection", "expand-property")
    assert held_by(of_calendar(ANNA, TEAM)) == {
        "resourcetype": "collection calendar",
        "displayname": "Team; one, two",
        "supported-calendar-component-set": "compVEVENT",
        "getctag": TEAM.token,
        "sync-token": f"urn:icsfeed:sync:{TEAM.token}",
        "calendar-color": "#FF0000FF",
        "calendar-description": "Ours",
        "supported-calendar-data": "calendar-datatext/calendar2.0",
        "supported-collation-set": "i;ascii-casemap i;octet i;unicode-casemap",
        "supported-report-set": " ".join(f"supported-report report {name}" for name in reports),
        **shared,
    }
    one = TEAM.objects["a.ics"]
    assert held_by(of_object(ANNA, TEAM)(one, Asked())) == {
        "resourcetype": "resourcetype",
        "getcontenttype": "text/calendar; charset=utf-8; component=VEVENT",
        "getetag": one.etag,
        "getcontentlength": str(len(one.data)),
        "getlastmodified": "Sun, 01 Nov 2026 08:00:00 GMT",
        "calendar-data": one.data.decode(),
        "supported-report-set": "supported-report-set",
        **shared,
    }
