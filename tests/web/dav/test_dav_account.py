"""A read-only CalDAV account over http: who gets in, what is found, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from app_world import World, events, serving, settings
from dav_client import DavClient, Mirror, basic, found, of_feed, of_subscriber
from litestar.types import HTTPRequestEvent, Message
from msgspec.structs import replace

from icsfeed.config.schema import Config, Feed
from icsfeed.dav.names import DATA, DAV, ETAG, HOME, KINDS, NAME, PRINCIPAL, TYPE
from icsfeed.demo.settings import demo_config

pytestmark = pytest.mark.anyio
PROP, BUSY = Feed(project="PROP"), Feed(project="PROP", details="busy")
SHARED = ("anna@example.com", "bert")


def configured(**feeds: Feed) -> Config:
    return settings(
        feeds
        or {
            "prop": replace(PROP, subscribers=SHARED),
            "busy": replace(BUSY, subscribers=("bert",)),
            "old": replace(PROP, revoked=("anna@example.com",)),
            "mine": PROP,
        }
    )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(configured()) as running:
        yield running


@pytest.fixture
def anna(world: World) -> DavClient:
    return of_subscriber(world, "prop", "anna@example.com")


async def test_objects_are_the_components_of_the_feed(world: World) -> None:
    client = of_feed(world, "mine")
    feed = await world.get("mine")
    listed = await client.propfind("/dav/mine/mine/", "getetag", depth=1)
    hrefs = [href for href in listed if href.endswith(".ics")]
    read = await client.multiget("/dav/mine/mine/", hrefs)
    assert len(hrefs) == len(events(feed.content)) > 3
    components: set[str] = set()
    for href, one in read.items():
        data = "".join(one.properties[DATA].itertext()).encode()
        got = await client.ask("GET", href)
        assert (got.content, got.headers["etag"]) == (data, one.text(ETAG)) == (data, listed[href].text(ETAG))
        components |= events(data).keys()
        begin = data.index(b"BEGIN:VEVENT")
        assert data[begin : data.index(b"END:VCALENDAR")] in feed.content
    assert components == events(feed.content).keys()


async def test_an_account_is_found_from_the_root(world: World, anna: DavClient) -> None:
    for path in ("/principals/", "/.well-known/caldav", "/"):
        response = await anna.ask("PROPFIND", path)
        assert (response.status_code, response.headers["location"]) == (301, "/dav/")
    (root,) = (await anna.propfind("/dav/", "current-user-principal")).values()
    home = root.href_in(PRINCIPAL)
    (person,) = (await anna.propfind(home, "c:calendar-home-set", "resourcetype", "principal-URL")).values()
    assert person.href_in(HOME) == home == "/dav/anna@example.com/"
    listed = await anna.propfind(
        home, "displayname", "resourcetype", "c:supported-calendar-component-set", depth=1
    )
    assert [href for href, one in listed.items() if one.is_calendar] == [f"{home}prop/"]
    calendar = listed[f"{home}prop/"]
    assert calendar.text(NAME)
    assert [one.get("name") for one in calendar.properties[KINDS]] == ["VEVENT"]


async def test_a_subscribers_link_opens_its_feed_and_no_other(world: World) -> None:
    bert = of_subscriber(world, "busy", "bert")
    listed = await bert.propfind(bert.home, "resourcetype", depth=1)
    assert {href for href, one in listed.items() if one.is_calendar} == {"/dav/bert/busy/"}
    for path in (
        "/dav/bert/mine/",
        "/dav/bert/prop/",
        "/dav/mine/mine/",
        "/dav/anna@example.com/prop/",
        "/dav/bert/../mine/mine/",
        "/dav/bert/prop/../../mine/",
        "/dav/bert/prop/%2e%2e/x.ics",
        "/dav/bert//",
        "/dav/bert/prop/x/y.ics",
    ):
        for method in ("PROPFIND", "GET", "REPORT"):
            response = await bert.ask(method, path, headers={"Depth": "0"})
            assert response.status_code in (403, 404), (method, path)
            assert b"VEVENT" not in response.content


async def test_task_lists_only_for_those_who_ask(world: World) -> None:
    bert = of_subscriber(world, "prop", "bert")
    asking = DavClient(world, "bert+tasks", world.service.links.token("prop", "bert") or "")
    assert "/dav/bert/prop+tasks/" not in await bert.propfind(bert.home, "resourcetype", depth=1)
    assert (await bert.ask("PROPFIND", "/dav/bert/prop+tasks/", headers={"Depth": "0"})).status_code == 404
    listed = await asking.propfind(asking.home, "c:supported-calendar-component-set", depth=1)
    kinds = {
        href: one.properties[KINDS][0].get("name") for href, one in listed.items() if KINDS in one.properties
    }
    assert kinds == {
        "/dav/bert+tasks/prop/": "VEVENT",
        "/dav/bert+tasks/prop+tasks/": "VTODO",
    }
    assert await asking.query("/dav/bert+tasks/prop+tasks/", "", "VTODO")
    assert not await asking.query("/dav/bert+tasks/prop+tasks/", "", "VEVENT")


@pytest.mark.parametrize("user", ["mine", "prop", "nobody", "bert", "anna@example.com", "old", "../mine"])
async def test_wrong_tokens_and_revoked_links_do_not_log_in(world: World, user: str) -> None:
    links = world.service.links
    tokens = [
        "",
        "icsf_" + "a" * 26,
        links.token("old", "anna@example.com"),
        links.token("mine", kind="embed"),
    ]
    tokens += [links.token("mine")] if user != "mine" else []
    for token in tokens:
        response = await world.ask("PROPFIND", "/dav/", **basic(user, token or ""))
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic ")
    for header in ("Basic", "Basic !!", "Bearer x", "Basic " + "A" * 5_000):
        assert (await world.ask("PROPFIND", "/dav/", authorization=header)).status_code == 401


async def test_wrong_tokens_are_slowed_like_wrong_links(world: World) -> None:
    world.server.token_throttle._sleep = _no_wait
    statuses = [(await world.ask("PROPFIND", "/dav/", **basic("mine", "x"))).status_code for _ in range(105)]
    assert statuses[:20] == [401] * 20
    assert statuses[-1] == 429
    assert (await of_feed(world, "mine").ask("PROPFIND", "/dav/", headers={"Depth": "0"})).status_code == 207


async def _no_wait(_seconds: float) -> None: ...


async def test_no_password_is_asked_for_where_others_could_read_it() -> None:
    async with serving(configured(), base="http://cal.example.com") as plain:
        plain.client._transport.client = ("192.0.2.1", 1)  # type: ignore[attr-defined]
        response = await plain.ask("PROPFIND", "/dav/")
        assert (response.status_code, "www-authenticate" in response.headers) == (403, False)
        assert (await of_feed(plain, "mine").ask("PROPFIND", "/dav/")).status_code == 403
        plain.client._transport.client = ("127.0.0.1", 1)  # type: ignore[attr-defined]
        assert (await plain.ask("PROPFIND", "/dav/")).status_code == 401
    async with serving(configured()) as world:
        assert (await world.ask("GET", "/feeds/icsf_x/mine.ics")).status_code == 404


@pytest.mark.parametrize(
    "method",
    [
        "PUT",
        "DELETE",
        "PROPPATCH",
        "MKCALENDAR",
        "MKCOL",
        "MOVE",
        "COPY",
        "POST",
        "PATCH",
        "LOCK",
        "UNLOCK",
        "ACL",
    ],
)
async def test_nothing_can_be_written(anna: DavClient, method: str) -> None:
    for path in (anna.home, f"{anna.home}prop/", f"{anna.home}prop/plane-issue-1.ics", f"{anna.home}new/"):
        response = await anna.ask(method, path, "<x/>" if method == "PROPPATCH" else "BEGIN:VCALENDAR")
        assert response.status_code == 403
        assert b"need-privileges" in response.content


async def test_properties_are_refused_one_by_one(anna: DavClient) -> None:
    update = (
        '<propertyupdate xmlns="DAV:"><set><prop><calendar-order xmlns="http://apple.com/ns/ical/">3'
        "</calendar-order></prop></set></propertyupdate>"
    )
    for path in (anna.home, f"{anna.home}prop/", f"{anna.home}new/"):
        response = await anna.ask("PROPPATCH", path, update)
        (one,) = found(response).values()
        assert (one.status, dict(one.properties)) == (403, {})
        assert b"need-privileges" in response.content
    assert (await anna.ask("PROPPATCH", anna.home, "<propertyupdate xmlns='DAV:'/>")).status_code == 403
    assert (await anna.ask("PROPPATCH", anna.home, "x")).status_code == 400
    assert (await anna.ask("PROPPATCH", anna.home, "x" * 2_000_000)).status_code == 413


async def test_an_automatic_feed_has_task_lists_as_others() -> None:
    async with serving(demo_config()) as demo:
        await demo.service.feed("project-prop")
        asking = of_feed(demo, "project-prop", "+tasks")
        listed = await asking.propfind(asking.home, "resourcetype", depth=1)
        assert [href for href, one in listed.items() if one.is_calendar] == [
            "/dav/project-prop+tasks/project-prop/",
            "/dav/project-prop+tasks/project-prop+tasks/",
        ]


async def test_long_answers_are_compressed_for_those_who_unpack(world: World) -> None:
    path, body = "/dav/mine/mine/", '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
    client = of_feed(world, "mine")
    plain = await client.ask("PROPFIND", path, body, {"Depth": "1"})
    zipped = await client.ask("PROPFIND", path, body, {"Depth": "1", "Accept-Encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), zipped.headers["content-encoding"]) == (None, "gzip")
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content) / 3
    assert "Accept-Encoding" in plain.headers["vary"]
    for coding, depth in (("gzip;q=0", "1"), ("br", "1"), ("identity;q=0", "0"), ("gzip", "0")):
        other = await client.ask("PROPFIND", path, body, {"Depth": depth, "Accept-Encoding": coding})
        assert "content-encoding" not in other.headers
    async with serving(replace(configured(), gzip=False)) as never:
        answer = await of_feed(never, "mine").ask(
            "PROPFIND", path, body, {"Depth": "1", "Accept-Encoding": "gzip"}
        )
        assert "content-encoding" not in answer.headers


async def test_privileges_say_read_only(anna: DavClient) -> None:
    name = f"{DAV}current-user-privilege-set"
    for path in ("/dav/", anna.home, f"{anna.home}prop/"):
        (one,) = (await anna.propfind(path, "current-user-privilege-set")).values()
        rights = {right.tag for privilege in one.properties[name] for right in privilege}
        assert rights == {f"{DAV}read", f"{DAV}read-current-user-privilege-set"}


async def test_options_need_no_login(world: World) -> None:
    response = await world.ask("OPTIONS", "/dav/")
    assert response.status_code == 200
    assert "calendar-access" in response.headers["dav"]
    assert "PUT" not in response.headers["allow"]


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PROPFIND", "<propfind", 400),
        ("PROPFIND", "<x/>", 400),
        ("REPORT", "", 400),
        ("REPORT", "<x/>", 403),
        ("PROPFIND", '<!DOCTYPE a [<!ENTITY b "c">]><propfind xmlns="DAV:">&b;</propfind>', 400),
        ("PROPFIND", "<a>" * 5_000 + "</a>" * 5_000, 400),
        ("PROPFIND", "<a>" + "x" * 1024 * 1024 + "</a>", 413),
        ("REPORT", '<free-busy-query xmlns="urn:ietf:params:xml:ns:caldav"/>', 403),
        ("REPORT", '<calendar-query xmlns="urn:ietf:params:xml:ns:caldav"/>', 403),
        ("REPORT", '<sync-collection xmlns="DAV:"><prop/></sync-collection>', 400),
    ],
)
async def test_bodies_that_cannot_be_used(anna: DavClient, method: str, body: str, status: int) -> None:
    response = await anna.ask(method, f"{anna.home}prop/", body, {"Depth": "0"})
    assert response.status_code == status, response.text


async def test_depth_infinity_is_refused(anna: DavClient) -> None:
    for headers in ({"Depth": "infinity"}, {}):
        response = await anna.ask("PROPFIND", anna.home, headers=headers)
        assert response.status_code == 403
        assert b"propfind-finite-depth" in response.content


async def test_brief_and_minimal_leave_out_what_is_missing(anna: DavClient) -> None:
    body = '<propfind xmlns="DAV:"><prop><displayname/><x xmlns="urn:x"/></prop></propfind>'
    whole = await anna.ask("PROPFIND", anna.home, body, {"Depth": "0"})
    assert b"404" in whole.content
    for headers in ({"Brief": "t"}, {"Prefer": "return=minimal"}):
        brief = await anna.ask("PROPFIND", anna.home, body, {"Depth": "0", **headers})
        assert b"404" not in brief.content
        assert found(brief)[anna.home].text(NAME) == anna.user


async def test_allprop_and_propname(anna: DavClient) -> None:
    path = f"{anna.home}prop/"
    every = found(await anna.ask("PROPFIND", path, headers={"Depth": "0"}))[path]
    assert every.properties.keys() == {TYPE, NAME}
    body = '<propfind xmlns="DAV:"><propname/></propfind>'
    names = found(await anna.ask("PROPFIND", path, body, {"Depth": "0"}))[path]
    assert {TYPE, NAME, KINDS, f"{DAV}sync-token"} <= names.properties.keys()


async def test_conditional_get(anna: DavClient) -> None:
    listed = await anna.propfind(f"{anna.home}prop/", "getetag", depth=1)
    href = next(href for href in listed if href.endswith(".ics"))
    again = await anna.ask("GET", href, headers={"If-None-Match": listed[href].text(ETAG)})
    assert (again.status_code, again.content) == (304, b"")
    head = await anna.ask("HEAD", href)
    assert (head.status_code, head.content) == (200, b"")
    assert (await anna.ask("GET", f"{anna.home}prop/nothing.ics")).status_code == 404
    assert (await anna.ask("GET", f"{anna.home}prop/")).status_code == 200


async def test_multiget_answers_404_for_what_is_elsewhere(world: World, anna: DavClient) -> None:
    path = f"{anna.home}prop/"
    issue = f"plane-issue-{world.issue('PROP', 1)['id']}.ics"
    hrefs = [
        f"{path}{issue}",
        f"{path}x.ics",
        f"/dav/mine/mine/{issue}",
        "http://[",
        "/etc/passwd",
        f"{path}../mine/{issue}",
    ]
    body = await anna.ask(
        "REPORT",
        path,
        '<c:calendar-multiget xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop>'
        + "".join(f"<href>{href}</href>" for href in hrefs)
        + "</c:calendar-multiget>",
    )
    assert body.content.count(b"HTTP/1.1 200 OK") == 1
    assert body.content.count(b"HTTP/1.1 404") == len(hrefs) - 1


async def test_a_change_sends_one_object_and_a_removal_its_address(world: World, anna: DavClient) -> None:
    mirror = Mirror(anna, f"{anna.home}prop/")
    await mirror.sync()
    first = dict(mirror.objects)
    await mirror.sync()
    assert mirror.read == 0
    row = world.change("PROP", 1, name="Something else")
    world.service.expire()
    world.clock.move(60)
    await mirror.sync()
    href = f"{anna.home}prop/plane-issue-{row['id']}.ics"
    assert mirror.read == 1
    assert "Something else" in mirror.objects[href]
    world.change("PROP", 1, target_date=None)
    world.service.expire()
    world.clock.move(60)
    await mirror.sync()
    assert mirror.objects.keys() == first.keys() - {href}
    assert not mirror.read


async def test_tokens_that_nobody_gave_are_refused(anna: DavClient) -> None:
    for token in ("urn:icsfeed:sync:" + "0" * 32, "x", "data:,1"):
        response = await anna.sync(f"{anna.home}prop/", token)
        assert response.status_code == 403
        assert b"valid-sync-token" in response.content
    limited = await anna.sync(f"{anna.home}prop/", "", "<limit><nresults>1</nresults></limit>")
    assert limited.status_code == 507


async def test_parts_of_objects(anna: DavClient) -> None:
    path = f"{anna.home}prop/"
    listed = await anna.propfind(path, "getetag", depth=1)
    href = next(href for href in listed if href.endswith(".ics"))
    part = (
        '<c:calendar-data><c:comp name="VCALENDAR"><c:prop name="VERSION"/><c:comp name="VEVENT">'
        '<c:prop name="UID"/><c:prop name="SUMMARY" novalue="yes"/></c:comp></c:comp>'
        '<c:expand start="20260101T000000Z" end="20270101T000000Z"/></c:calendar-data>'
    )
    one = (await anna.multiget(path, [href], part))[href]
    lines = "".join(one.properties[DATA].itertext()).split("\r\n")
    assert [line.partition(":")[0] for line in lines] == [
        "BEGIN",
        "VERSION",
        "BEGIN",
        "UID",
        "SUMMARY",
        "END",
        "END",
        "",
    ]
    assert "SUMMARY:" in lines
    other = await anna.ask(
        "REPORT",
        path,
        '<c:calendar-multiget xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><prop>'
        f'<c:calendar-data content-type="application/calendar+json"/></prop><href>{href}</href>'
        "</c:calendar-multiget>",
    )
    assert other.status_code == 403
    assert b"supported-calendar-data" in other.content


async def test_a_defect_is_logged_and_the_answer_says_nothing_about_it(
    world: World, anna: DavClient, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Message] = []

    async def receive() -> HTTPRequestEvent:
        raise RuntimeError("the defect")

    async def send(message: Message) -> None:
        sent.append(message)

    path, method = "/dav/anna@example.com/prop/", "PROPFIND"
    login = anna.login["Authorization"].encode()
    scope = http_scope(path, method, [(b"host", b"cal.example.com"), (b"authorization", login)])
    await world.app(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    assert sent[0]["status"] == 500
    assert b"defect" not in b"".join(message.get("body", b"") for message in sent)  # type: ignore[misc]
    assert "RuntimeError: the defect" in caplog.text


def http_scope(path: str, method: str, headers: list[tuple[bytes, bytes]]) -> Any:
    """A scope as servers make it."""
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "https",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "server": ("cal.example.com", 443),
        "headers": headers,
        "state": {},
    }
