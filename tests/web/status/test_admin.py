"""What the administrator may ask, and what everybody may know of the server's health."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from app_world import HOST, World, quick, serving, settings
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plane import faults as f
from prometheus_client.parser import text_string_to_metric_families

from icsfeed.config.schema import Config, Feed, Secret
from icsfeed.config.values import secrets_of
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.web.state import LoadedConfig
from icsfeed.web.status.admin import given_token

pytestmark = pytest.mark.anyio

TOKEN = "an admin token that nobody guesses"
BEARER = {"authorization": f"Bearer {TOKEN}"}
FEEDS = {
    "property": Feed(project="PROP"),
    "team": Feed(project="OPS", subscribers=("anna", "ben"), revoked=("carl",)),
    "everything": Feed(everything=True, public=True),
}
CONFIG = settings(FEEDS, admin_token=Secret(TOKEN))
ROUTES = [
    ("POST", "/webhooks/sync"),
    ("GET", "/webhooks/status"),
    ("GET", "/status"),
    ("GET", "/metrics"),
]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(CONFIG) as made:
        yield made


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


async def synced(world: World) -> None:
    """Waits for the sync that is under way."""
    async with asyncio.timeout(20):
        while world.server.sync.is_running:  # noqa: ASYNC110 - as a person looks
            await asyncio.sleep(0.01)


async def figures(world: World) -> dict[str, float]:
    answer = await world.ask("GET", "/metrics", **BEARER)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for metric in text_string_to_metric_families(answer.text):
        assert metric.documentation
        for sample_ in metric.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample_.labels.items()))
            found[f"{sample_.name}{{{labels}}}"] = sample_.value
    return found


# Who is the administrator


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_the_administrator_is_answered(world: World, method: str, path: str) -> None:
    refused = await world.ask(method, path)
    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"].startswith("Basic ")
    for header in ("Bearer wrong", basic("wrong"), basic(""), "Bearer", "Basic ???", "Digest x"):
        assert (await world.ask(method, path, authorization=header)).status_code == 401
    for header in (BEARER["authorization"], f"bearer  {TOKEN} ", basic(TOKEN)):
        answer = await world.ask(method, path, authorization=header)
        assert answer.status_code in (200, 202, 409)
        assert answer.headers["cache-control"] == "no-store"
    await synced(world)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_an_admin_token_nobody_is_the_administrator(method: str, path: str) -> None:
    async with serving(settings(FEEDS, admin_token=None)) as world:
        for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}):
            answer = await world.ask(method, path, **headers)
            assert (answer.status_code, answer.json()["error_code"]) == (403, "ADMIN_NOT_CONFIGURED")


async def test_another_sites_page_cannot_use_what_a_browser_remembers(world: World) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        sent = {"authorization": basic(TOKEN), "sec_fetch_site": site}
        assert (await world.ask("GET", "/webhooks/status", **sent)).status_code == status


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("https://cal.example.com", True),
        ("https://CAL.example.com", True),
        ("http://cal.example.com", True),
        ("https://people.example.com:8443", True),
        ("https://evil.example.com", False),
        ("https://cal.example.com.evil.com", False),
        ("https://cal.example.com:8443", False),
        ("https://people.example.com", False),
        ("null", False),
        ("", False),
        ("cal.example.com", False),
    ],
)
async def test_the_sync_button_is_pressed_on_our_own_page_in_browsers_that_name_only_the_origin(
    origin: str, is_ours: bool
) -> None:
    async with serving(replace(CONFIG, public_url="https://people.example.com:8443/cal")) as world:
        sent = {"authorization": basic(TOKEN), "accept": "text/html", "origin": origin}
        answer = await world.ask("POST", "/webhooks/sync", **sent)
        assert answer.status_code == (303 if is_ours else 403)
        assert world.server.sync.is_running is is_ours
        assert (await world.ask("GET", "/status", **sent)).status_code == (200 if is_ours else 403)
        await synced(world)


async def test_what_a_browser_says_of_the_site_decides_before_the_origin(world: World) -> None:
    for site, origin, status in (
        ("same-origin", "null", 200),  # as with "no-referrer"
        ("cross-site", "https://cal.example.com", 403),
        ("nonsense", "https://cal.example.com", 403),
    ):
        sent = {"authorization": basic(TOKEN), "sec_fetch_site": site, "origin": origin}
        assert (await world.ask("GET", "/webhooks/status", **sent)).status_code == status
    two = [
        *{"authorization": basic(TOKEN)}.items(),
        *[("origin", HOST), ("origin", "https://evil.example.com")],
    ]
    assert (await world.client.get("/webhooks/status", headers=two)).status_code == 403


async def test_the_page_with_the_sync_button_lets_browsers_name_its_origin(world: World) -> None:
    page = await world.ask("GET", "/status", **BEARER, accept="text/html")
    assert page.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("scheme", [lambda token: f"Bearer {token}", basic], ids=["bearer", "basic"])
async def test_while_an_address_is_limited_a_right_token_waits_too(
    scheme: Callable[[str], str], method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(CONFIG) as world:
        wrong, right = {"authorization": scheme("guess")}, {"authorization": scheme(TOKEN)}
        answers = [await world.ask(method, path, **wrong) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert answers[0].headers["x-ratelimit-limit"] == "10"
        world.clock.move(20)
        refused = await world.ask(method, path, **right)
        assert (refused.status_code, refused.json()["error_code"]) == (429, "RATE_LIMITED")
        assert (refused.headers["retry-after"], refused.headers["x-ratelimit-remaining"]) == ("40", "0")
        assert refused.content == (await world.ask(method, path, **wrong)).content, "nothing tells them apart"
        assert caplog.text.count("too many wrong admin tokens from 127.0.0.1") == 1
        world.clock.move(40)
        assert (await world.ask(method, path, **right)).status_code in (200, 202)
        await synced(world)
        found = await figures(world)
        assert found["icsfeed_wrong_tokens_total{kind=admin,result=wrong}"] == 10
        assert found["icsfeed_wrong_tokens_total{kind=admin,result=refused}"] == 4


async def test_another_address_is_not_limited_with_it_and_a_customers_ipv6_network_is_one() -> None:
    config = replace(CONFIG, trusted_proxies=("127.0.0.0/8",))
    async with serving(config) as world:
        for number in range(10):
            sent = {"authorization": "Bearer guess", "x_forwarded_for": f"2001:db8::{number}"}
            await world.ask("GET", "/status", **sent)
        for address, status in (("2001:db8::abc", 429), ("2001:db8:1::", 200), ("192.0.2.1", 200)):
            answer = await world.ask("GET", "/status", **BEARER, x_forwarded_for=address)
            assert answer.status_code == status


async def test_requests_without_a_token_or_with_two_guess_nothing(world: World) -> None:
    two = [("authorization", BEARER["authorization"]), ("authorization", "Bearer guess")]
    for _ in range(12):
        assert (await world.ask("GET", "/status")).status_code == 401
        assert (await world.client.get("/status", headers=two)).status_code == 401
    assert (await world.ask("GET", "/status", **BEARER)).status_code == 200


@given(st.text(), st.binary())
def test_any_authorization_is_read_or_passed_over(text: str, raw: bytes) -> None:
    for header in (text, f"Basic {text}", "Basic " + base64.b64encode(raw).decode()):
        assert given_token(header) is None or given_token(header)


# Sync


async def test_a_sync_reads_everything_again_whatever_is_fresh(world: World) -> None:
    await world.get("property")
    world.change("PROP", 1, name="Renamed before the sync")
    before = world.faults.count()
    answer = await world.ask("POST", "/webhooks/sync", **BEARER)
    assert answer.status_code == 202
    body = answer.json()
    assert re.fullmatch(r"[0-9a-f-]{36}", body.pop("sync_id"))
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", body.pop("timestamp"))
    assert body == {"status": "triggered", "message": "Manual sync initiated"}
    assert [answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining")] == ["10", "9"]
    await synced(world)
    assert world.faults.count() > before
    assert b"Renamed before the sync" in (await world.get("property")).content


async def test_one_sync_at_a_time(world: World) -> None:
    world.faults.add("", f.delayed(0.05), None)
    first, second = [await world.ask("POST", "/webhooks/sync", **BEARER) for _ in range(2)]
    assert (first.status_code, second.status_code) == (202, 409)
    assert second.json()["error_code"] == "SYNC_IN_PROGRESS"
    for answer in (first, second):
        assert answer.headers["x-ratelimit-limit"] == "10"
        assert answer.headers["x-ratelimit-remaining"] == "9", "a refused one does not count"
        assert answer.headers["x-ratelimit-reset"] == "3600"
    status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
    assert status["status"] == "running"
    await world.server.sync.close()


async def test_ten_syncs_an_hour(world: World) -> None:
    statuses = []
    for _ in range(11):
        answer = await world.ask("POST", "/webhooks/sync", **BEARER)
        statuses.append(answer.status_code)
        await synced(world)
    assert statuses == [202] * 10 + [429]
    assert answer.json()["error_code"] == "RATE_LIMITED"
    assert answer.headers["retry-after"] == "3600"
    world.clock.move(3601)
    assert (await world.ask("POST", "/webhooks/sync", **BEARER)).status_code == 202
    await synced(world)


async def test_a_sync_asks_again_after_a_failure_without_waiting_for_the_rest(world: World) -> None:
    world.faults.add("", f.bad_gateway(), times=None)
    await world.ask("GET", world.path("property"))
    world.faults.clear()
    await world.ask("POST", "/webhooks/sync", **BEARER)
    await synced(world)
    assert (await world.get("property")).status_code == 200


async def test_a_sync_waits_as_long_as_plane_asks(world: World) -> None:
    await world.get("property")
    world.faults.add("", f.throttled(100), times=None)
    world.clock.move(400)
    await world.get("property")
    before = world.faults.count()
    await world.ask("POST", "/webhooks/sync", **BEARER)
    await synced(world)
    assert world.faults.count() == before
    status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
    assert status["status"] == "error"


async def test_the_status_of_syncs_is_that_of_the_last_reading() -> None:
    async with serving(CONFIG) as world:
        status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
        assert status.pop("push") == {}
        assert status == {"status": "idle", "last_sync": None, "next_sync": None, "queue_length": 0}
        await world.get("everything")
        status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
        issues = sum(len(project.issues) for project in world.data.projects.values())
        assert status.pop("last_sync") == {
            "timestamp": "2026-11-23T10:00:00Z",
            "duration_seconds": 0.0,
            "status": "success",
            "events_processed": world.workspace.issue_count,
            "errors": [],
        }
        assert 0 < world.workspace.issue_count <= issues
        assert status.pop("push") == {}
        assert status == {"status": "idle", "next_sync": "2026-11-23T10:01:00Z", "queue_length": 0}
        world.clock.move(61)
        status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
        assert status["next_sync"] == "2026-11-23T10:01:01Z", "now"
        assert status["queue_length"] == len(world.workspace.resources.all_projects)
        world.faults.add("", f.bad_gateway(), times=None)
        await world.get("everything")
        status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
        assert (status["status"], status["last_sync"]["status"]) == ("error", "error")
        assert "502" in status["last_sync"]["errors"][0]


# Health for everybody


async def test_the_next_sync_is_when_something_is_read_again(world: World) -> None:
    async def upcoming() -> str:
        status = (await world.ask("GET", "/webhooks/status", **BEARER)).json()
        return str(status["next_sync"])

    await world.get("property")
    world.workspace.resources.ttls["issues"].seconds = 300
    world.clock.move(61)
    await world.get("property")
    assert await upcoming() == "2026-11-23T10:06:01Z", "webhooks are the news: issues are polled less"
    world.clock.move(301)
    world.faults.add("", f.refused(), times=None)
    await world.get("property")
    assert await upcoming() == "2026-11-23T10:06:08Z", "five seconds of rest, and one"


async def test_health_tells_figures_and_ages_and_names_nothing_secret() -> None:
    async with serving(CONFIG) as world:
        cold = (await world.ask("GET", "/api/v1/health")).json()
        assert cold["status"] == "degraded"
        assert cold["metrics"]["plane_api_connection"] == "not read yet"
        assert cold["copies"] == {
            "demo": {"age_seconds": None, "ready": False, "problem": None, "unread": {}}
        }
        assert world.faults.count() == 0
        await world.get("everything")
        world.clock.move(42)
        answer = await world.ask("GET", "/api/v1/health")
        assert answer.headers["cache-control"] == "no-store"
        warm = answer.json()
        assert warm["status"] == "healthy"
        assert warm["uptime"] == 42
        assert warm["copies"] == {"demo": {"age_seconds": 42, "ready": True, "problem": None, "unread": {}}}
        assert warm["metrics"] == {
            "projects_synced": len(world.workspace.resources.all_projects),
            "events_created": 0,
            "events_updated": 0,
            "events_deleted": 0,
            "last_sync": "2026-11-23T10:00:00Z",
            "sync_status": "idle",
            "caldav_connection": "not configured",
            "plane_api_connection": "ok",
        }
        assert (warm["store"], warm["configuration"]) == ("ok", "ok")
        for secret in ("icsf_", TOKEN, *FEEDS):
            assert secret not in answer.text


async def test_health_says_what_is_wrong_in_words_that_give_nothing_away(world: World) -> None:
    await world.get("everything")
    world.faults.add("", f.answering(403, b'{"detail":"Given API token is not valid"}'), times=None)
    world.clock.move(400)
    await world.get("everything")
    answer = (await world.ask("GET", "/api/v1/health")).json()
    assert answer["status"] == "degraded"
    assert answer["metrics"]["plane_api_connection"] == "key refused"
    assert answer["copies"]["demo"]["problem"] == "key refused"
    assert answer["copies"]["demo"]["ready"] is True


async def test_health_says_that_a_newer_configuration_cannot_be_used(world: World) -> None:
    await world.get("everything")
    world.server.loaded = LoadedConfig(world.clock.now, ("feeds.secret-plan.color: must be a colour",))
    answer = await world.ask("GET", "/api/v1/health")
    assert (answer.json()["status"], answer.json()["configuration"]) == ("degraded", "invalid")
    assert "secret-plan" not in answer.text
    report = (await world.ask("GET", "/status", **BEARER)).json()
    assert report["problems"] == ["feeds.secret-plan.color: must be a colour"]


# The status of everything


async def test_the_report_shows_workspaces_feeds_and_readers(world: World) -> None:
    token = world.service.links.token("team", "anna")
    await world.ask("GET", f"/feeds/{token}/team.ics", user_agent="ICSx5/2.2")
    await world.get("property", user_agent="curl/8")
    await world.ask("GET", "/feeds/everything.ics", user_agent="Google-Calendar-Importer")
    report = (await world.ask("GET", "/status", **BEARER)).json()
    (workspace,) = report["workspaces"]
    assert (workspace["name"], workspace["is_ready"], workspace["last_error"]) == ("demo", True, None)
    assert {project["key"] for project in workspace["projects"]} == {
        project.key for project in world.workspace.resources.all_projects
    }
    feeds = {feed["name"]: feed for feed in report["feeds"]}
    assert set(FEEDS) <= set(feeds)
    assert feeds["property"]["items"] == 20
    assert feeds["property"]["size"] > 1_000
    assert feeds["property"]["undated"] + feeds["property"]["start_only"] > 0
    assert feeds["everything"]["readers"][0]["app"] == "Google Calendar"
    reader = feeds["team"]["readers"][0]
    assert (reader["subscriber"], reader["app"], reader["status"]) == ("anna", "ICSx5", 200)
    assert [link["subscriber"] for link in feeds["team"]["links"]] == ["", "anna", "ben", "carl"]
    assert [link["revoked"] for link in feeds["team"]["links"]] == [False, False, False, True]


async def test_links_are_shown_when_they_are_asked_for(world: World) -> None:
    hidden = await world.ask("GET", "/status", **BEARER)
    assert "icsf_" not in hidden.text
    shown = (await world.ask("GET", "/status?links=1", **BEARER)).json()
    feeds = {feed["name"]: feed for feed in shown["feeds"]}
    assert feeds["property"]["links"][0]["path"] == world.path("property")


async def test_readers_are_counted_with_their_last_status_and_without_tokens(world: World) -> None:
    first = await world.get("property", user_agent="Thunderbird")
    world.clock.move(10)
    await world.get("property", user_agent="Thunderbird", if_none_match=first.headers["etag"])
    await world.get("property", "?priority=urgent", user_agent="HomeAssistant/1")
    carl = world.service.links.token("team", "carl")
    await world.ask("GET", f"/feeds/{carl}/team.ics", user_agent="Thunderbird")
    reader_log = world.server.reader_log
    found = [(reader.app, reader.status) for reader in reader_log.readers().get("property", ())]
    assert sorted(found) == [("Home Assistant", 200), ("Thunderbird", 304)]
    assert {reader.at for reader in reader_log.readers().get("property", ())} == {world.clock.now}
    assert [reader.subscriber for reader in reader_log.readers().get("team", ())] == ["carl"]
    assert dict(reader_log.answers) == {200: 3, 304: 1}
    assert "icsf_" not in repr(vars(reader_log))


async def test_wrong_links_are_counted_and_nobody_is_remembered(world: World) -> None:
    for path in ("/feeds/icsf_wrong/property.ics", "/feeds/nothing.ics", f"{world.path('property')}x"):
        assert (await world.ask("GET", path)).status_code == 404
    reader_log = world.server.reader_log
    assert dict(reader_log.answers) == {404: 3}
    assert not [*reader_log.readers().get("property", ()), *reader_log.readers().get("nothing", ())]


# Metrics


async def test_metrics_count_what_happened(world: World) -> None:
    etag = (await world.get("everything")).headers["etag"]
    await world.get("everything", if_none_match=etag)
    await world.ask("GET", "/feeds/icsf_wrong/property.ics")
    await world.ask("POST", "/webhooks/plane")
    found = await figures(world)
    assert found["icsfeed_feed_answers_total{status=200}"] == 1
    assert found["icsfeed_feed_answers_total{status=304}"] == 1
    assert found["icsfeed_feed_answers_total{status=404}"] == 1
    assert found["icsfeed_webhooks_total{result=webhook_not_configured}"] == 1
    assert found["icsfeed_plane_requests_total{result=ok,workspace=demo}"] == world.faults.count()
    assert found["icsfeed_refreshes_total{result=ok,workspace=demo}"] >= 2
    assert found["icsfeed_refresh_seconds_count{workspace=demo}"] >= 2
    assert found["icsfeed_workspace_ready{workspace=demo}"] == 1
    assert found["icsfeed_configuration_valid{}"] == 1
    assert found["icsfeed_store_healthy{}"] == 1
    world.faults.add("", f.throttled(30), times=None)
    world.clock.move(400)
    await world.get("property")
    found = await figures(world)
    assert found["icsfeed_plane_requests_total{result=throttled,workspace=demo}"] == 1
    assert found["icsfeed_refreshes_total{result=throttled,workspace=demo}"] == 1
    assert found["icsfeed_plane_budget_left{workspace=demo}"] == 0
    assert found["icsfeed_copy_age_seconds{workspace=demo}"] == 400


@pytest.mark.parametrize("kind", ["api_key", "token"])
async def test_metrics_hold_no_feed_no_token_and_no_key(kind: str) -> None:
    config = hidden(CONFIG)
    own = config.workspaces["demo"]
    keys = {"api_key": None, kind: own.api_key}
    config = replace(config, workspaces={"demo": replace(own, **keys)})
    async with serving(config, edition=COMMERCIAL) as world:
        await world.get("property")
        # What is refused is counted and shown, too.
        world.faults.add("", f.refused(), times=None)
        world.clock.move(hours=1)
        await world.get("property")
        paths = ("/metrics", "/status", "/webhooks/status", "/api/v1/health", "/health/ready")
        text = "".join([(await world.ask("GET", path, **BEARER)).text for path in paths])
        assert own.api_key is not None
        assert own.api_key.reveal() not in text
        text = (await world.ask("GET", "/metrics", **BEARER)).text
        for secret in ("icsf_", "property", *secrets_of(config)):
            assert secret == config.store.reveal() or secret not in text


def hidden(config: Config) -> Config:
    return replace(quick(config), admin_token=Secret(TOKEN))


async def test_admin_answers_and_openapi_describe_each_other(world: World) -> None:
    described = (await world.ask("GET", "/openapi.json")).json()["paths"]
    for method, path in ROUTES:
        assert method.lower() in described[path]
    assert isinstance((await world.ask("GET", "/api/v1/health")), httpx.Response)
