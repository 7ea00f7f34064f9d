"""The status of a feed URL and its headers (docs/clients.md)."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from app_world import TODAY, World, events, quick, serving, settings, titles
from msgspec.structs import replace
from plane import faults as f
from plane.faults import Fault
from plane.versions import VERSIONS

from icsfeed.config.schema import Feed, Secret
from icsfeed.demo.access import KeyLimits

pytestmark = pytest.mark.anyio

FEEDS = {
    "everything": Feed(everything=True, public=True),
    "property": Feed(project="PROP"),
    "team": Feed(project="OPS", subscribers=("anna", "ben"), revoked=("carl",)),
    "off": Feed(project="PROP", active=False),
    "off-public": Feed(project="PROP", active=False, public=True),
    "elsewhere": Feed(workspace="asleep", everything=True),
}


CONFIG = settings(FEEDS)
ASLEEP = replace(CONFIG.workspaces["demo"], active=False)
CONFIG = replace(CONFIG, workspaces={**CONFIG.workspaces, "asleep": ASLEEP})


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    """For tests that only read."""
    async with serving(CONFIG) as made:
        yield made


@pytest.fixture
async def fresh() -> AsyncIterator[World]:
    """For tests in which something happens, or nothing was read yet."""
    async with serving(CONFIG) as made:
        yield made


# 200


async def test_a_feed_is_a_calendar_with_exactly_these_headers(world: World) -> None:
    answer = await world.get("property")
    assert answer.status_code == 200
    headers = dict(answer.headers)
    assert re.fullmatch(r'"[0-9a-f]{32}"', headers.pop("etag"))
    assert headers.pop("last-modified").endswith(" GMT")
    assert headers == {
        "content-type": "text/calendar; charset=utf-8",
        "content-disposition": 'inline; filename="property.ics"',
        "content-length": str(len(answer.content)),
        "cache-control": "private, no-cache",
        "vary": "Accept-Encoding",
        "x-robots-tag": "noindex, nofollow",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    assert len(events(answer.content)) == 20


async def test_a_public_feed_needs_no_token_and_may_be_kept_by_caches(world: World) -> None:
    answer = await world.ask("GET", "/feeds/everything.ics")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=60, stale-if-error=86400"
    # The same behind a token: that answer is for one reader.
    token = world.service.links.token("everything")
    private = await world.ask("GET", f"/feeds/{token}/everything.ics")
    assert private.content == answer.content
    assert private.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    "accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "application/json", "image/png", "", "nonsense"]
)
async def test_the_calendar_comes_whatever_accept_says(world: World, accept: str) -> None:
    plain = await world.get("property")
    answer = await world.get("property", accept=accept)
    assert (answer.status_code, answer.headers) == (200, plain.headers)
    assert answer.content == plain.content


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer x", "Negotiate", "Digest username=x"])
async def test_authorization_is_not_looked_at(world: World, value: str) -> None:
    answer = await world.get("property", authorization=value)
    assert (answer.status_code, "www-authenticate" in answer.headers) == (200, False)
    for path in ("/feeds/x/property.ics", "/feeds/property.ics", "/nope", "/"):
        refused = await world.ask("GET", path, authorization=value)
        assert refused.status_code in (200, 404)
        assert "www-authenticate" not in refused.headers


@pytest.mark.parametrize("agent", ["Google-Calendar-Importer", "Microsoft.Exchange", "", "Mozilla/5.0"])
async def test_every_reader_gets_the_same_bytes_and_no_cookies(world: World, agent: str) -> None:
    plain = await world.get("property")
    answer = await world.get("property", user_agent=agent, cookie="session=1", referer="https://example.com/")
    assert answer.content == plain.content
    assert "set-cookie" not in answer.headers


async def test_each_subscriber_has_a_link_and_one_whom_nobody_listed_has_none(world: World) -> None:
    links = [world.path("team", who) for who in ("", "anna", "ben")]
    assert len(set(links)) == 3
    bodies = {(await world.ask("GET", link)).content for link in links}
    assert len(bodies) == 1
    stranger = links[0].replace(world.service.links.token("team") or "", f"icsf_{'a' * 26}")
    assert (await world.ask("GET", stranger)).status_code == 404


async def test_links_are_shorter_than_any_calendar_service_allows() -> None:
    long = "A" * 64
    async with serving(settings({long: Feed(everything=True)})) as world:
        person = next(iter(world.data.users.values()))
        world.data.users[person.id] = replace(person, display_name="x" * 200)
        links = await world.service.all_links(
            "https://calendar.department.some-long-company-name.example.com"
        )
        assert max(len(link["ics"]) for link in links.values()) < 200
        assert all(re.fullmatch(r"https://[a-zA-Z0-9._/-]+\.ics", link["ics"]) for link in links.values())
        for link in links.values():
            assert (await world.ask("GET", link["ics"])).status_code == 200


# HEAD, OPTIONS and other methods


@pytest.mark.parametrize("query", ["", "?priority=urgent", "?days=x"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_head_has_the_headers_of_get_and_no_body(world: World, query: str, encoding: str) -> None:
    for feed in ("property", "everything"):
        got = await world.get(feed, query, accept_encoding=encoding)
        head = await world.ask("HEAD", world.path(feed) + query, accept_encoding=encoding)
        assert (head.status_code, head.headers, head.content) == (got.status_code, got.headers, b"")


@pytest.mark.parametrize(
    "path", ["/feeds/x/property.ics", "/feeds/property.ics", "/nope", "/", "/health", "/robots.txt"]
)
async def test_head_equals_get_everywhere(world: World, path: str) -> None:
    got, head = await world.ask("GET", path), await world.ask("HEAD", path)
    assert (head.status_code, head.headers) == (got.status_code, got.headers)


async def test_head_may_be_conditional(world: World) -> None:
    etag = (await world.get("property")).headers["etag"]
    answer = await world.ask("HEAD", world.path("property"), if_none_match=etag)
    assert answer.status_code == 304


@pytest.mark.parametrize("path", ["/feeds/x/y.ics", "/feeds/everything.ics"])
async def test_options_says_what_is_allowed_without_a_body(world: World, path: str) -> None:
    answer = await world.ask("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "method", ["PROPFIND", "REPORT", "PUT", "POST", "PATCH", "DELETE", "MKCALENDAR", "LOCK", "TRACE", "FOO"]
)
async def test_other_methods_are_not_allowed_and_told_which_are(world: World, method: str) -> None:
    # Apps that look for a CalDAV account ask the root with PROPFIND.
    root = ["/"] if method != "PROPFIND" else []
    for path in (world.path("property"), "/feeds/x/property.ics", "/feeds/everything.ics", *root):
        answer = await world.ask(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
        assert answer.json()["error_code"] == "METHOD_NOT_ALLOWED"


# 404


def _nowhere(world: World) -> dict[str, str]:
    """Addresses where there is nothing, or nothing for this reader."""
    token = world.service.links.token
    good = token("property") or ""
    return {
        "unknown token": f"/feeds/icsf_{'a' * 26}/property.ics",
        "no token": "/feeds/property.ics",
        "unknown feed": f"/feeds/{good}/unknown.ics",
        "unknown public feed": "/feeds/unknown.ics",
        "another feed's token": f"/feeds/{token('team')}/property.ics",
        "an embed's token": f"/feeds/{token('property', kind='embed')}/property.ics",
        "a page by an embed's token": f"/feeds/{token('property', kind='embed')}/property",
        "an embed by the feed's token": f"/embed/{good}/property",
        "inactive feed": f"/feeds/{token('off')}/off.ics",
        "inactive public feed": "/feeds/off-public.ics",
        "inactive workspace": f"/feeds/{token('elsewhere')}/elsewhere.ics",
        "unlisted subscriber": f"/feeds/{token('team', 'dora')}/team.ics",
        "unknown auto feed": f"/feeds/{token('project-nope')}/project-nope.ics",
        "auto feed without its token": f"/feeds/{good}/project-prop.ics",
        "upper-case token": f"/feeds/{good.upper()}/property.ics",
        "cut token": f"/feeds/{good[:-1]}/property.ics",
        "longer token": f"/feeds/{good}a/property.ics",
        "page of an unknown feed": f"/feeds/{good}/unknown",
        "another ending": f"/feeds/{good}/property.ICS",
        "twice .ics": f"/feeds/{good}/property.ics.ics",
        "only .ics": f"/feeds/{good}/.ics",
        "other case": f"/feeds/{good}/Property.ics",
        "deeper": f"/feeds/{good}/property.ics/more",
        "traversal": f"/feeds/{good}/%2e%2e%2fproperty.ics",
        "percent": f"/feeds/{good}/%00property.ics",
        "not utf-8": f"/feeds/%ff%fe/{good}/%ff.ics",
        "not utf-8 token": "/feeds/%ff%fe/property.ics",
        "surrogate": "/feeds/%ed%a0%80/property.ics",
        "injection": f"/feeds/{good}/x%22%0d%0aSet-Cookie:%20a=b.ics",
        "no name": "/feeds/",
    }


async def test_whatever_is_wrong_with_an_address_the_404_is_the_same_to_the_byte(world: World) -> None:
    answers = {what: await world.ask("GET", path) for what, path in _nowhere(world).items()}
    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(answers, 404)
    first = answers["unknown token"]
    assert {what: answer.content for what, answer in answers.items()} == dict.fromkeys(answers, first.content)
    assert all(answer.headers == first.headers for answer in answers.values())
    assert dict(first.headers) == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(first.content)),
        "cache-control": "no-store",
        "vary": "Accept-Encoding",
        "x-content-type-options": "nosniff",
    }


async def test_a_404_tells_no_names(world: World) -> None:
    text = (await world.ask("GET", "/feeds/unknown.ics")).text
    assert text == "There is no calendar here. Ask for a new link.\n"


async def test_a_wrong_query_tells_nothing_about_a_feed_to_those_without_its_link(world: World) -> None:
    plain = await world.ask("GET", "/feeds/x/property.ics")
    asked = await world.ask("GET", "/feeds/x/property.ics?days=x")
    assert (asked.status_code, asked.content) == (404, plain.content)


async def test_wrong_addresses_cost_plane_nothing(fresh: World) -> None:
    for what, path in _nowhere(fresh).items():
        if what != "unknown auto feed":
            await fresh.ask("GET", path)
    assert fresh.faults.count() == 0


async def test_without_a_secret_only_public_feeds_are_served() -> None:
    async with serving(settings(FEEDS, secret=None)) as world:
        assert (await world.ask("GET", "/feeds/everything.ics")).status_code == 200
        assert world.path("property") == "/feeds/property.ics"
        assert (await world.ask("GET", "/feeds/property.ics")).status_code == 404
        assert (await world.ask("GET", "/feeds/icsf_x/property.ics")).status_code == 404


async def test_nothing_is_ever_redirected(world: World) -> None:
    good = world.path("property")
    for path in (
        good,
        f"{good}/",
        f"/{good}",
        "/feeds/x/",
        "/feeds/everything.ics/",
        "/feeds",
        "/health/",
        "/docs/",
    ):
        answer = await world.ask("GET", path)
        assert answer.status_code in (200, 404)
        assert "location" not in answer.headers


# Revoked


async def test_a_revoked_link_empties_the_calendar_of_those_who_have_it(world: World) -> None:
    answer = await world.ask("GET", world.path("team", "carl"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert titles(answer.content) == {"This calendar link was revoked"}
    only = next(iter(events(answer.content).values()))
    assert only["dtstart"].dt == TODAY
    assert answer.headers["cache-control"] == "private, no-cache"
    again = await world.ask("GET", world.path("team", "carl"), if_none_match=answer.headers["etag"])
    assert again.status_code == 304


async def test_a_revoked_link_needs_no_plane_and_takes_any_query(fresh: World) -> None:
    fresh.faults.add("", f.server_error(), None)
    answer = await fresh.ask("GET", f"{fresh.path('team', 'carl')}?days=x&priority=urgent")
    assert titles(answer.content) == {"This calendar link was revoked"}
    assert fresh.faults.count() == 0


async def test_a_new_revision_turns_the_links_over() -> None:
    async with serving(settings({"team": Feed(everything=True, subscribers=("anna",))})) as world:
        old = world.path("team"), world.path("team", "anna")
    async with serving(settings({"team": Feed(everything=True, subscribers=("anna",), revision=2)})) as world:
        assert [(await world.ask("GET", path)).status_code for path in old] == [404, 404]
        assert (await world.get("team")).status_code == 200


async def test_another_secret_gives_other_links() -> None:
    async with serving() as world:
        old = world.path("property")
    async with serving(settings(secret=Secret("another secret of thirty-two letters"))) as world:
        assert (await world.ask("GET", old)).status_code == 404


# Plane fails

TWICE = b'{"results":[{"id":"1"},{"id":"1"}],"next_page_results":false,"total_results":2}'
BROKEN: dict[str, Fault] = {
    "500": f.server_error(),
    "502 in HTML": f.bad_gateway(),
    "503 with Retry-After": f.answering(503, b"{}", Retry_After="120"),
    "429": f.throttled(30),
    "key refused": f.refused(),
    "401": f.answering(401, b'{"detail":"Authentication credentials were not provided."}'),
    "403": f.answering(403, b'{"detail":"You do not have permission to perform this action."}'),
    "404": f.answering(404, b'{"error":"The requested resource does not exist."}'),
    "a log-in page": f.wrong_type(),
    "a redirect": f.redirected("https://login.example.com/"),
    "cut off": f.cut_off(),
    "empty": f.answering(200),
    "null": f.answering(200, b"null"),
    "a bare empty list": f.answering(200, b"[]"),
    "an empty object": f.answering(200, b"{}"),
    "a page without its counts": f.answering(200, b'{"results":[]}'),
    "the same id twice": f.answering(200, TWICE),
    "not gzip": f.answering(200, b"{}", Content_Encoding="gzip"),
    "not UTF-8": f.answering(200, bytes(range(256))),
    "no connection": f.raising(httpx.ConnectError("refused")),
    "no answer in time": f.raising(httpx.ReadTimeout("")),
    "connection lost": f.raising(httpx.RemoteProtocolError("peer closed connection")),
    "a fault of ours": f.raising(ZeroDivisionError("a bug")),
}
SOME_OF_IT = ("projects/[?]", "/members/", "work-items/", "states/", "labels/", "cycles/[?]", "cycle-issues/")


@pytest.mark.parametrize("what", BROKEN)
async def test_readers_keep_the_last_good_copy_when_plane_fails(fresh: World, what: str) -> None:
    good = {feed: await fresh.get(feed) for feed in ("property", "everything", "team")}
    narrowed = await fresh.get("property", "?priority=urgent")
    fresh.faults.add("", BROKEN[what], None)
    for _ in range(3):
        fresh.clock.move(hours=2)
        for feed, before in good.items():
            answer = await fresh.get(feed)
            assert (answer.status_code, answer.content, answer.headers) == (
                200,
                before.content,
                before.headers,
            )
            again = await fresh.get(feed, if_none_match=before.headers["etag"])
            assert (again.status_code, again.content) == (304, b"")
        assert (await fresh.get("property", "?priority=urgent")).content == narrowed.content


@pytest.mark.parametrize("part", SOME_OF_IT)
@pytest.mark.parametrize("what", ["500", "429", "403", "cut off"])
async def test_readers_keep_the_last_good_copy_when_a_part_of_plane_fails(part: str, what: str) -> None:
    async with serving() as world:
        before = await world.get("plan")
        world.faults.add(part, BROKEN[what], None)
        world.clock.move(hours=2)
        answer = await world.get("plan")
        assert world.faults.count(part) > 1
        assert (answer.status_code, answer.content, answer.headers) == (200, before.content, before.headers)


@pytest.mark.parametrize(
    ("part", "what"), [*(("", what) for what in BROKEN), ("work-items/", "cut off"), ("states/", "500")]
)
async def test_without_a_copy_the_answer_is_a_503_in_plain_text(part: str, what: str) -> None:
    async with serving() as world:
        world.faults.add(part, BROKEN[what], None)
        for path in (world.path("property"), world.path("everything"), world.path("project-prop")):
            answer = await world.ask("GET", path)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert len(answer.text) < 200
            assert "CALENDAR" not in answer.text


async def test_after_the_503_the_calendar_is_there_when_plane_is(fresh: World) -> None:
    fresh.faults.add("", f.throttled(30), None)
    answer = await fresh.get("property")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "31")
    fresh.faults.clear()
    assert (await fresh.get("property")).status_code == 503
    fresh.clock.move(31)
    assert (await fresh.get("property")).status_code == 200


async def test_one_unreadable_issue_is_left_out_and_the_others_are_served(fresh: World) -> None:
    fresh.faults.add("work-items/", f.malformed(created_at="yesterday"))
    answer = await fresh.get("property")
    assert (answer.status_code, len(events(answer.content))) == (200, 19)


async def test_a_reader_of_a_slow_plane_gets_the_old_copy_at_the_deadline_and_the_new_one_later() -> None:
    async with serving(quick()) as world:
        before = await _answered(world)
        world.change("PROP", 1, name="Changed")
        arrived = asyncio.Event()

        async def wait(_: float) -> None:
            await arrived.wait()

        world.faults.add("work-items/", f.delayed(30, wait), None)
        world.clock.move(61)
        slow = await asyncio.gather(*(world.get("property") for _ in range(20)))
        assert {answer.content for answer in slow} == {before.content}
        arrived.set()
        after = await _answered(world, but=before.content)
        assert "[1] Changed" in titles(after.content)


async def _answered(world: World, but: bytes = b"") -> httpx.Response:
    """The feed as soon as it is there, or another one: the machine may be slower than the deadline."""
    for _ in range(200):
        answer = await world.get("property")
        if answer.status_code == 200 and answer.content != but:
            break
        await asyncio.sleep(0.001)
        world.clock.move(1)
    return answer


async def test_many_requests_with_a_good_link_are_all_answered(fresh: World) -> None:
    answers = await asyncio.gather(*(fresh.get("property") for _ in range(150)))
    assert {answer.status_code for answer in answers} == {200}
    assert fresh.faults.count("work-items") == 1


async def test_many_requests_with_a_bad_link_do_not_harm_those_with_a_good_one(world: World) -> None:
    await asyncio.gather(*(world.ask("GET", "/feeds/icsf_x/property.ics") for _ in range(200)))
    assert (await world.get("property")).status_code == 200


async def test_within_planes_budget_a_cold_start_reads_every_feed() -> None:
    async with serving(limits=KeyLimits()) as world:
        for feed in world.service.config.feeds:
            assert (await world.get(feed)).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_of_plane_is_read(version: str) -> None:
    async with serving(version=version, issues=105) as world:
        # As over a network: the first answers are not there before the next questions.
        world.faults.add("", f.delayed(0.001), None)
        answers = await asyncio.gather(*(world.get(feed) for feed in ("everything", "plan", "anna")))
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len(events(answers[0].content)) == 124
