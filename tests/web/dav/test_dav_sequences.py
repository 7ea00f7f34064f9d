"""Requests of apps in their order, with the properties that they name, and what they need back.

They are from logs in public bug reports (the thread stands with each), or from the apps' own requests to us.
"""

from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest
from app_world import World, serving, settings
from dav_client import DavClient, Mirror, found, of_feed

from icsfeed.config.schema import Feed
from icsfeed.dav.names import (
    CALDAV,
    COLOR,
    DATA,
    DAV,
    ETAG,
    HOME,
    KINDS,
    NAME,
    PRINCIPAL,
    SYNC_TOKEN,
    TYPE,
)
from icsfeed.demo.sample import FILLED
from icsfeed.web.dav.endpoint import DavEndpoint
from icsfeed.web.dav.properties import CTAG

pytestmark = pytest.mark.anyio
CALENDAR = "/dav/team/team/"
PRIVILEGES, REPORT_SET = f"{DAV}current-user-privilege-set", f"{DAV}supported-report-set"
FEEDS = {"team": Feed(project="PROP", color="tomato"), "many": Feed(project=FILLED)}

IOS_18 = {"User-Agent": "iOS/18.1.1 (22B91) dataaccessd/1.0", "Brief": "t", "Prefer": "return=minimal"}
MAC_12 = {"User-Agent": "macOS/12.2.1 (21D62) CalendarAgent/961", "Brief": "t", "Prefer": "return=minimal"}

# What Apple's apps ask a principal and a home: emersion/go-webdav#150 (iOS 18) and jelmer/xandikos#166
# (macOS 12).
PRINCIPAL_OF_APPLE = (
    "c:calendar-home-set c:calendar-user-address-set current-user-principal displayname s:dropbox-home-URL "
    "s:email-address-set c:max-attendees-per-instance s:notification-URL principal-collection-set "
    "principal-URL resource-id c:schedule-inbox-URL c:schedule-outbox-URL supported-report-set"
)
HOME_OF_APPLE = (
    "add-member s:allowed-sharing-modes a:autoprovisioned m:bulk-requests c:calendar-alarm a:calendar-color "
    "c:calendar-description c:calendar-free-busy-set a:calendar-order c:calendar-timezone "
    "current-user-privilege-set c:default-alarm-vevent-date c:default-alarm-vevent-datetime displayname "
    "s:getctag s:invite a:language-code a:location-code c:max-attendees-per-instance owner s:pre-publish-url "
    "s:publish-url s:push-transports s:pushkey quota-available-bytes quota-used-bytes a:refreshrate "
    "resource-id resourcetype c:schedule-calendar-transp c:schedule-default-calendar-URL s:source "
    "s:subscribed-strip-alarms s:subscribed-strip-attachments s:subscribed-strip-todos "
    "c:supported-calendar-component-set c:supported-calendar-component-sets supported-report-set sync-token"
)
# stalwartlabs/stalwart#1591: what DAVx5 asks a home, before it lists a calendar.
HOME_OF_DAVX5 = (
    "resourcetype displayname owner current-user-privilege-set a:calendar-color c:calendar-description "
    "c:calendar-timezone c:calendar-timezone-id c:supported-calendar-component-set s:source p:transports "
    "p:topic supported-report-set sync-token"
)
# stalwartlabs/stalwart#1691.
THUNDERBIRD = (
    "resourcetype owner displayname current-user-principal current-user-privilege-set a:calendar-color "
    "c:calendar-home-set"
)
# jelmer/xandikos#165.
BUSYCAL = (
    "principal-collection-set displayname supported-report-set group-membership c:calendar-home-set "
    "c:calendar-user-address-set c:schedule-inbox-URL c:schedule-outbox-URL s:notification-URL "
    "c:calendar-free-busy-set s:email-address-set"
)
NAMESPACES = (
    'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/" '
    'xmlns:a="http://apple.com/ns/ical/" xmlns:m="http://me.com/_namespace/" '
    'xmlns:p="https://bitfire.at/webdav-push"'
)


def asking(names: str) -> str:
    return f"<propfind {NAMESPACES}><prop>{''.join(f'<{name}/>' for name in names.split())}</prop></propfind>"


def setting(name: str, value: str) -> str:
    return f"<propertyupdate {NAMESPACES}><set><prop><{name}>{value}</{name}></prop></set></propertyupdate>"


def querying(kind: str, inner: str, names: str = "getetag getcontenttype") -> str:
    return (
        f"<c:calendar-query {NAMESPACES}><prop>{''.join(f'<{name}/>' for name in names.split())}</prop>"
        f'<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="{kind}">{inner}</c:comp-filter>'
        "</c:comp-filter></c:filter></c:calendar-query>"
    )


FIRST = asking("current-user-principal principal-URL resourcetype")
SYNC = (
    f"<sync-collection {NAMESPACES}><sync-token/>{{level}}<prop><getcontenttype/><getetag/></prop>"
    "</sync-collection>"
)
LEVEL = "<sync-level>1</sync-level>"
# Kozea/Radicale#226: sent to principals by what knows of proxies.
PROXIES = "".join(
    f'<property name="calendar-proxy-{way}-for" namespace="http://calendarserver.org/ns/">'
    '<property name="email-address-set" namespace="http://calendarserver.org/ns/"/>'
    '<property name="displayname" namespace="DAV:"/>'
    '<property name="calendar-user-address-set" namespace="urn:ietf:params:xml:ns:caldav"/></property>'
    for way in ("read", "write")
)
PROXIES = f'<expand-property xmlns="DAV:">{PROXIES}</expand-property>'
ALARM = "BEGIN:VALARM&#13;\nTRIGGER:-PT15H&#13;\nEND:VALARM"
SINCE = '<c:time-range start="20260825T100000Z"/>'
LISTED = (TYPE, NAME, KINDS, SYNC_TOKEN, CTAG, PRIVILEGES, REPORT_SET, COLOR)
FOUND = (HOME, PRINCIPAL, NAME, f"{DAV}principal-URL", f"{CALDAV}calendar-user-address-set", REPORT_SET)

Step: TypeAlias = tuple[str, str, str, str, int, tuple[str, ...]]
STEPS: dict[str, tuple[dict[str, str], list[Step]]] = {
    # emersion/go-webdav#150, and sabre-io/Baikal#1030 for where iOS looks before that.
    "iOS": (
        IOS_18,
        [
            ("PROPFIND", "/.well-known/caldav", "0", FIRST, 301, ()),
            ("PROPFIND", "/", "0", FIRST, 301, ()),
            ("PROPFIND", "/principals/", "0", FIRST, 301, ()),
            ("PROPFIND", "/dav/", "0", FIRST, 207, (PRINCIPAL, TYPE)),
            ("OPTIONS", "/dav/team/", "", "", 200, ()),
            ("PROPFIND", "/dav/team/", "0", asking(PRINCIPAL_OF_APPLE), 207, FOUND),
            ("PROPFIND", "/dav/team/", "1", asking(HOME_OF_APPLE), 207, LISTED),
            ("PROPPATCH", CALENDAR, "", setting("a:calendar-order", "1"), 207, ()),
            ("PROPFIND", CALENDAR, "0", asking("s:getctag sync-token"), 207, (CTAG, SYNC_TOKEN)),
            ("REPORT", CALENDAR, "1", querying("VEVENT", SINCE), 207, (ETAG,)),
            ("REPORT", CALENDAR, "", SYNC.format(level=LEVEL), 207, (ETAG,)),
            ("PUT", f"{CALENDAR}new.ics", "", "BEGIN:VCALENDAR", 403, ()),
        ],
    ),
    # owncloud/core#21550, jelmer/xandikos#166, Kozea/Radicale#330 and sabre-io/dav#935.
    "macOS": (
        MAC_12,
        [
            ("PROPFIND", "/.well-known/caldav", "0", FIRST, 301, ()),
            ("PROPFIND", "/dav/", "0", asking(PRINCIPAL_OF_APPLE), 207, (PRINCIPAL,)),
            ("PROPFIND", "/dav/team/", "0", asking(PRINCIPAL_OF_APPLE), 207, FOUND),
            ("OPTIONS", "/dav/team/", "", "", 200, ()),
            ("REPORT", "/dav/team/", "0", PROXIES, 207, ()),
            ("PROPFIND", "/dav/team/", "1", asking(HOME_OF_APPLE), 207, LISTED),
            ("PROPPATCH", "/dav/team/", "", setting("c:default-alarm-vevent-date", ALARM), 207, ()),
            ("PROPPATCH", CALENDAR, "", setting("c:calendar-timezone", "BEGIN:VCALENDAR&#13;"), 207, ()),
            ("PROPPATCH", CALENDAR, "", setting("a:calendar-color", "#112233FF"), 207, ()),
            ("PROPFIND", "/dav/team/", "0", asking("c:calendar-free-busy-set"), 207, ()),
            ("PROPFIND", CALENDAR, "1", asking("getcontenttype getetag"), 207, (ETAG,)),
            ("REPORT", CALENDAR, "", SYNC.format(level=LEVEL), 207, (ETAG,)),
            ("DELETE", f"{CALENDAR}new.ics", "", "", 403, ()),
        ],
    ),
    # stalwartlabs/stalwart#1691 for the first; the rest is from knowledge of Thunderbird, not from a log.
    "Thunderbird": (
        {},
        [
            ("PROPFIND", "/.well-known/caldav", "0", asking(THUNDERBIRD), 301, ()),
            ("PROPFIND", "/dav/", "0", asking(THUNDERBIRD), 207, (PRINCIPAL, TYPE)),
            ("PROPFIND", "/dav/team/", "0", asking(THUNDERBIRD), 207, (HOME, NAME)),
            ("PROPFIND", "/dav/team/", "1", asking(THUNDERBIRD), 207, (NAME, TYPE, PRIVILEGES, COLOR)),
            ("OPTIONS", CALENDAR, "", "", 200, ()),
            ("PROPFIND", CALENDAR, "0", asking("s:getctag"), 207, (CTAG,)),
            ("PROPFIND", CALENDAR, "1", asking("getcontenttype resourcetype getetag"), 207, (ETAG,)),
            ("REPORT", CALENDAR, "", SYNC.format(level=LEVEL), 207, (ETAG,)),
            ("PUT", f"{CALENDAR}new.ics", "", "BEGIN:VCALENDAR", 403, ()),
        ],
    ),
    # stalwartlabs/stalwart#1591, Kozea/Radicale#2097 and lennart-k/rustical#106.
    "DAVx5": (
        {},
        [
            ("PROPFIND", "/.well-known/caldav", "0", FIRST, 301, ()),
            ("PROPFIND", "/dav/", "0", FIRST, 207, (PRINCIPAL,)),
            ("PROPFIND", "/dav/team/", "0", asking("c:calendar-home-set group-membership"), 207, (HOME,)),
            ("PROPFIND", "/dav/team/", "1", asking(HOME_OF_DAVX5), 207, (NAME, TYPE, KINDS, PRIVILEGES)),
            (
                "PROPFIND",
                CALENDAR,
                "0",
                asking("c:max-resource-size supported-report-set s:getctag sync-token"),
                207,
                (SYNC_TOKEN, CTAG, REPORT_SET),
            ),
            ("REPORT", CALENDAR, "", querying("VEVENT", SINCE, "getetag"), 207, (ETAG,)),
            ("DELETE", f"{CALENDAR}new.ics", "", "", 403, ()),
        ],
    ),
    "BusyCal": (
        {"User-Agent": "BusyCal-2022.1.4"},
        [
            ("PROPFIND", "/.well-known/caldav", "0", asking("current-user-principal"), 301, ()),
            ("PROPFIND", "/dav/", "0", asking("current-user-principal"), 207, (PRINCIPAL,)),
            ("PROPFIND", "/dav/team/", "0", asking(BUSYCAL), 207, (HOME, NAME, REPORT_SET)),
            ("PROPFIND", "/dav/team/", "1", asking(HOME_OF_APPLE), 207, LISTED),
        ],
    ),
    # stalwartlabs/stalwart#2783: no sync-level.
    "eM Client": (
        {},
        [
            (
                "PROPFIND",
                "/dav/team/",
                "1",
                asking("resourcetype displayname sync-token"),
                207,
                (SYNC_TOKEN,),
            ),
            ("REPORT", CALENDAR, "", SYNC.format(level=""), 207, (ETAG,)),
        ],
    ),
    # What Evolution Data Server 3.46 sent to us.
    "Evolution": (
        {},
        [
            ("OPTIONS", CALENDAR, "", "", 200, ()),
            ("PROPFIND", CALENDAR, "0", asking("current-user-privilege-set"), 207, (PRIVILEGES,)),
            ("PROPFIND", CALENDAR, "0", asking("s:getctag"), 207, (CTAG,)),
            ("REPORT", CALENDAR, "1", querying("VEVENT", SINCE, "getetag"), 207, (ETAG,)),
        ],
    ),
    # sabre-io/dav, nextcloud/server#14315: Evolution and KDE look for people before they invite them.
    "a search for people": (
        {},
        [
            (
                "REPORT",
                CALENDAR,
                "0",
                '<principal-property-search xmlns="DAV:"><apply-to-principal-collection-set/>'
                "<property-search><prop><displayname/></prop><match>anna</match></property-search>"
                "<prop><displayname/></prop></principal-property-search>",
                403,
                (),
            ),
            ("REPORT", "/dav/", "0", '<principal-search-property-set xmlns="DAV:"/>', 403, ()),
            (
                "REPORT",
                CALENDAR,
                "1",
                f"<c:free-busy-query {NAMESPACES}>{SINCE}</c:free-busy-query>",
                403,
                (),
            ),
        ],
    ),
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS), issues=300) as running:
        yield running


@pytest.mark.parametrize("app", STEPS)
async def test_an_app_gets_what_it_needs(world: World, app: str) -> None:
    client, (headers, steps) = of_feed(world, "team"), STEPS[app]
    for method, path, depth, body, status, names in steps:
        response = await client.ask(method, path, body, headers | ({"Depth": depth} if depth else {}))
        assert response.status_code == status, (method, path, response.text)
        if status == 301:
            assert response.headers["location"] == "/dav/"
        if status == 403:
            refusals = (b"need-privileges", b"supported-report")
            assert any(refusal in response.content for refusal in refusals)
        if status == 207:
            listed = found(response)
            given = {name for one in listed.values() for name in one.properties}
            assert set(names) <= given, (path, set(names) - given)
            assert all(href.startswith("/dav/") and (href.endswith(("/", ".ics"))) for href in listed)
            if method == "PROPPATCH":
                assert not given
            # Apple's apps ask for short answers; the others learn what there is not.
            if "Brief" in headers or "<s:source/>" in body:
                assert (b"404 Not Found" in response.content) == ("Brief" not in headers)


async def test_a_task_that_ios_has_ticked_is_refused_and_stays_as_it_was(world: World) -> None:
    # chrisvel/tududi#1145: a multiget with Depth 1, and a PUT of the whole object with its ETag.
    client = of_feed(world, "team", "+tasks")
    path = "/dav/team+tasks/team+tasks/"
    undone = '<c:prop-filter name="COMPLETED"><c:is-not-defined/></c:prop-filter>'
    listed = found(await client.ask("REPORT", path, querying("VTODO", undone), {"Depth": "1", **IOS_18}))
    href = next(iter(listed))
    (task,) = (await client.multiget(path, [href])).values()
    data = "".join(task.properties[DATA].itertext())
    assert "BEGIN:VTODO" in data
    ticked = data.replace("STATUS:NEEDS-ACTION", "STATUS:COMPLETED")
    response = await client.ask(
        "PUT", href, ticked, {"If-Match": task.text(ETAG), "Content-Type": "text/calendar", **IOS_18}
    )
    assert (response.status_code, b"need-privileges" in response.content) == (403, True)
    assert (await client.ask("GET", href)).text == data


async def test_an_unchanged_calendar_of_many_costs_one_small_answer(world: World) -> None:
    client = of_feed(world, "many")
    mirror = Mirror(client, "/dav/many/many/")
    await mirror.sync()
    assert len(mirror.objects) > 200
    again = await client.sync("/dav/many/many/", mirror.token)
    assert len(again.content) < 500
    ctag = await client.ask("PROPFIND", "/dav/many/many/", asking("s:getctag"), {"Depth": "0"})
    assert len(ctag.content) < 700


async def test_a_token_holds_after_a_restart(world: World) -> None:
    client = of_feed(world, "team")
    mirror = Mirror(client, CALENDAR)
    await mirror.sync()
    before, held = mirror.token, dict(mirror.objects)
    world.change("PROP", 1, name="Changed")
    world.service.expire()
    world.clock.move(60)
    # Nothing of the process: another endpoint over the same store.
    world.app.state.dav = DavEndpoint(world.service, world.server)
    await mirror.sync()
    assert mirror.read == 1
    assert mirror.token != before
    assert mirror.objects.keys() == held.keys()


async def test_the_log_names_the_feed_and_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = DavClient(world, "team", world.service.links.token("team") or "")
    await client.ask("PROPFIND", CALENDAR, headers={"Depth": "0"})
    (line,) = [record for record in caplog.records if record.name == "icsfeed.request"]
    text = repr(line.__dict__)
    assert "'team'" in text
    assert "/dav" in text
    everything = "".join(repr(record.__dict__) for record in caplog.records)
    assert client.login["Authorization"].split()[1] not in everything
    assert (world.service.links.token("team") or "") not in everything
    assert world.server.reader_log.answers[207] == 1
    assert [reader.feed for reader in world.server.reader_log.readers().get("team", ())] == ["team"]
