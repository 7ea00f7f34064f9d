"""Requests as iOS, Thunderbird and DAVx5 are known to send them, in their order; and what they need back."""

from collections.abc import AsyncIterator

import pytest
from app_world import World, serving, settings
from dav_client import DavClient, Mirror, found, of_feed

from icsfeed.config.schema import Feed
from icsfeed.dav.names import HOME, KINDS, NAME, PRINCIPAL, SYNC_TOKEN
from icsfeed.demo.sample import FILLED
from icsfeed.web.dav.endpoint import DavEndpoint

pytestmark = pytest.mark.anyio
CALENDAR = "/dav/team/team/"
FEEDS = {"team": Feed(project="PROP", color="tomato"), "many": Feed(project=FILLED)}

IOS_ROOT = """<?xml version="1.0" encoding="UTF-8"?>
<A:propfind xmlns:A="DAV:"><A:prop><A:current-user-principal/><A:principal-URL/><A:resourcetype/>
</A:prop></A:propfind>"""
IOS_PRINCIPAL = """<?xml version="1.0" encoding="UTF-8"?>
<A:propfind xmlns:A="DAV:"><A:prop><B:calendar-home-set xmlns:B="urn:ietf:params:xml:ns:caldav"/>
<B:calendar-user-address-set xmlns:B="urn:ietf:params:xml:ns:caldav"/><A:current-user-principal/>
<A:displayname/>
<C:dropbox-home-URL xmlns:C="http://calendarserver.org/ns/"/>
<C:email-address-set xmlns:C="http://calendarserver.org/ns/"/>
<C:notification-URL xmlns:C="http://calendarserver.org/ns/"/><A:principal-collection-set/><A:principal-URL/>
<A:resource-id/><B:schedule-inbox-URL xmlns:B="urn:ietf:params:xml:ns:caldav"/>
<B:schedule-outbox-URL xmlns:B="urn:ietf:params:xml:ns:caldav"/><A:supported-report-set/></A:prop>
</A:propfind>"""
IOS_HOME = """<?xml version="1.0" encoding="UTF-8"?>
<A:propfind xmlns:A="DAV:"><A:prop><A:add-member/>
<C:allowed-sharing-modes xmlns:C="http://calendarserver.org/ns/"/>
<D:autoprovisioned xmlns:D="http://apple.com/ns/ical/"/>
<D:calendar-color xmlns:D="http://apple.com/ns/ical/"/>
<B:calendar-description xmlns:B="urn:ietf:params:xml:ns:caldav"/>
<D:calendar-order xmlns:D="http://apple.com/ns/ical/"/>
<B:calendar-timezone xmlns:B="urn:ietf:params:xml:ns:caldav"/><A:current-user-privilege-set/>
<A:displayname/>
<C:getctag xmlns:C="http://calendarserver.org/ns/"/><A:owner/><A:quota-available-bytes/><A:resourcetype/>
<B:supported-calendar-component-set xmlns:B="urn:ietf:params:xml:ns:caldav"/><A:supported-report-set/>
<A:sync-token/>
</A:prop></A:propfind>"""
IOS_SYNC = """<?xml version="1.0" encoding="UTF-8"?>
<A:sync-collection xmlns:A="DAV:"><A:sync-token>{token}</A:sync-token><A:sync-level>1</A:sync-level>
<A:prop><A:getcontenttype/><A:getetag/></A:prop></A:sync-collection>"""
IOS_FIRST = """<?xml version="1.0" encoding="UTF-8"?>
<B:calendar-query xmlns:B="urn:ietf:params:xml:ns:caldav"><A:prop xmlns:A="DAV:"><A:getetag/>
<A:getcontenttype/></A:prop>
<B:filter><B:comp-filter name="VCALENDAR"><B:comp-filter name="VEVENT">
<B:time-range start="20251023T000000Z"/>
</B:comp-filter></B:comp-filter></B:filter></B:calendar-query>"""
THUNDERBIRD_FIRST = """<D:propfind xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"
xmlns:C="urn:ietf:params:xml:ns:caldav">
<D:prop><D:resourcetype/><D:owner/><D:displayname/><D:current-user-principal/>
<D:current-user-privilege-set/>
<A:calendar-color xmlns:A="http://apple.com/ns/ical/"/><C:calendar-home-set/></D:prop></D:propfind>"""
THUNDERBIRD_CTAG = """<D:propfind xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"><D:prop>
<CS:getctag/></D:prop></D:propfind>"""
THUNDERBIRD_LIST = (
    """<propfind xmlns="DAV:"><prop><getcontenttype/><resourcetype/><getetag/></prop></propfind>"""
)
DAVX5_COLLECTION = """<propfind xmlns="DAV:" xmlns:CAL="urn:ietf:params:xml:ns:caldav"
xmlns:CS="http://calendarserver.org/ns/">
<prop><CAL:max-resource-size/><CS:getctag/><sync-token/><supported-report-set/></prop></propfind>"""
DAVX5_QUERY = """<CAL:calendar-query xmlns="DAV:" xmlns:CAL="urn:ietf:params:xml:ns:caldav"><prop>
<getetag/></prop>
<CAL:filter><CAL:comp-filter name="VCALENDAR"><CAL:comp-filter name="VEVENT">
<CAL:time-range start="20260825T100000Z"/>
</CAL:comp-filter></CAL:comp-filter></CAL:filter></CAL:calendar-query>"""

STEPS = {
    "iOS": [
        ("PROPFIND", "/.well-known/caldav", "0", IOS_ROOT, 301, ()),
        ("PROPFIND", "/dav/", "0", IOS_ROOT, 207, (PRINCIPAL,)),
        ("OPTIONS", "/dav/team/", "", "", 200, ()),
        ("PROPFIND", "/dav/team/", "0", IOS_PRINCIPAL, 207, (HOME, NAME)),
        ("PROPFIND", "/dav/team/", "1", IOS_HOME, 207, (NAME, KINDS, SYNC_TOKEN)),
        ("PROPPATCH", CALENDAR, "", "<x/>", 403, ()),
        ("REPORT", CALENDAR, "1", IOS_FIRST, 207, ()),
        ("REPORT", CALENDAR, "", IOS_SYNC.format(token=""), 207, ()),
    ],
    "Thunderbird": [
        ("PROPFIND", "/.well-known/caldav", "0", THUNDERBIRD_FIRST, 301, ()),
        ("PROPFIND", "/dav/", "0", THUNDERBIRD_FIRST, 207, (PRINCIPAL,)),
        ("OPTIONS", CALENDAR, "", "", 200, ()),
        ("PROPFIND", CALENDAR, "0", THUNDERBIRD_FIRST, 207, (NAME, PRINCIPAL)),
        ("PROPFIND", CALENDAR, "0", THUNDERBIRD_CTAG, 207, ("{http://calendarserver.org/ns/}getctag",)),
        ("PROPFIND", CALENDAR, "1", THUNDERBIRD_LIST, 207, ()),
        ("PUT", f"{CALENDAR}new.ics", "", "BEGIN:VCALENDAR", 403, ()),
    ],
    "DAVx5": [
        ("PROPFIND", "/.well-known/caldav", "0", IOS_ROOT, 301, ()),
        ("PROPFIND", "/dav/", "0", IOS_ROOT, 207, (PRINCIPAL,)),
        ("PROPFIND", "/dav/team/", "1", IOS_HOME, 207, (NAME, KINDS)),
        ("PROPFIND", CALENDAR, "0", DAVX5_COLLECTION, 207, (SYNC_TOKEN,)),
        ("REPORT", CALENDAR, "", DAVX5_QUERY, 207, ()),
        ("DELETE", f"{CALENDAR}new.ics", "", "", 403, ()),
    ],
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS), issues=300) as running:
        yield running


@pytest.mark.parametrize("app", STEPS)
async def test_an_app_gets_what_it_needs(world: World, app: str) -> None:
    client = of_feed(world, "team")
    for method, path, depth, body, status, names in STEPS[app]:
        response = await client.ask(method, path, body, {"Depth": depth} if depth else {})
        assert response.status_code == status, (method, path, response.text)
        if status == 207:
            listed = found(response)
            given = {name for one in listed.values() for name in one.properties}
            assert set(names) <= given
            assert all(href.startswith("/dav/") for href in listed)


async def test_an_unchanged_calendar_of_many_costs_one_small_answer(world: World) -> None:
    client = of_feed(world, "many")
    mirror = Mirror(client, "/dav/many/many/")
    await mirror.sync()
    assert len(mirror.objects) > 200
    again = await client.sync("/dav/many/many/", mirror.token)
    assert len(again.content) < 500
    ctag = await client.ask("PROPFIND", "/dav/many/many/", THUNDERBIRD_CTAG, {"Depth": "0"})
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
