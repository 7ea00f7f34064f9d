"""A new configuration is deployed while the server runs: whole, or not at all."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import HOST, TODAY, UNLIMITED, Clock, events, settings
from cli_world import SECRET, line_with, plane_served, running
from msgspec.structs import replace
from plane import faults as f
from plane.api import create_plane
from plane.faults import Faults
from plane.sample import sample

from icsfeed.config.file import fingerprint
from icsfeed.config.schema import Auto, Config, Feed, Secret
from icsfeed.demo.sample import API_KEY, SLUG, sample_id
from icsfeed.errors import ConfigError, Problem
from icsfeed.plane.webhook import WebhookChange
from icsfeed.server.build import WorkspacePool
from icsfeed.server.reload import ReloadableApp, Reloader, open_app
from icsfeed.store.store import open_store
from icsfeed.web.state import ServerState

pytestmark = pytest.mark.anyio

FEEDS = {"property": Feed(project="PROP"), "all": Feed(everything=True, public=True)}
CONFIG = settings(FEEDS, auto=Auto(), admin_token=Secret("an admin token that nobody guesses"))


class Site:
    """An app over the tests' Plane, and a client of it."""

    def __init__(self, app: ReloadableApp, server: ServerState, faults: Faults, clock: Clock) -> None:
        self.app, self.server, self.faults, self.clock = app, server, faults, clock
        self.data: Any = None
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url=HOST)

    async def get(self, name: str, headers: Mapping[str, str] = {}) -> httpx.Response:
        return await self.client.get(self.app.service.links.ics_path(name), headers=headers)

    async def settled(self) -> None:
        """Wait until the background refresh has read everything."""
        workspace = self.app.service.workspaces["demo"]
        await until(lambda: workspace.is_ready and not workspace.refreshes.under_way)

    async def health(self) -> Any:
        return (await self.client.get("/api/v1/health")).json()


@asynccontextmanager
async def open_site(config: Config = CONFIG) -> AsyncIterator[Site]:
    clock, faults = Clock(), Faults()
    data = sample(TODAY, clock=clock)
    plane: Any = create_plane(data, clock, faults=faults, limits=UNLIMITED)
    transports = dict.fromkeys(("demo", "other"), httpx.ASGITransport(plane))
    store, server = open_store("memory", {}), ServerState(clock, clock.timer)
    pool = WorkspacePool(store, transports=transports, clock=clock, timer=clock.timer, chance=lambda: 0.0)
    async with open_app(config, pool, store, server) as app:
        site = Site(app, server, faults, clock)
        site.data = data
        async with site.client:
            yield site


def with_demo(config: Config, **changes: Any) -> Config:
    own = replace(config.workspaces["demo"], **changes)
    return replace(config, workspaces={**config.workspaces, "demo": own})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_feeds_come_and_go_and_the_others_stay_as_they_are() -> None:
    async with open_site() as site:
        before = await site.get("property")
        await site.settled()
        gone = site.app.service.links.ics_path("all")
        read = site.faults.count()
        await site.app.deploy(
            replace(CONFIG, feeds={"property": FEEDS["property"], "ops": Feed(project="OPS")})
        )
        after = await site.get("property")
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
        assert (await site.get("ops")).status_code == 200
        assert (await site.client.get(gone)).status_code == 404
        assert site.faults.count() == read, "Plane is not asked again"


async def test_a_workspace_with_the_same_settings_is_the_same_one() -> None:
    async with open_site() as site:
        workspace = site.app.service.workspaces["demo"]
        await site.app.deploy(
            replace(CONFIG, timezone="Europe/Berlin", cors=("https://intranet.example.com",))
        )
        assert site.app.service.workspaces["demo"] is workspace
        answer = await site.get("all", {"origin": "https://intranet.example.com"})
        assert answer.headers["access-control-allow-origin"] == "https://intranet.example.com"


async def test_a_request_under_way_is_answered_by_the_configuration_it_came_under() -> None:
    async with open_site() as site:
        path = site.app.service.links.ics_path("property")
        site.faults.add("/work-items/", f.delayed(0.3), None)
        asking = asyncio.create_task(site.client.get(path))
        await until(lambda: site.faults.count("/work-items/") > 0)
        await site.app.deploy(replace(CONFIG, feeds={"ops": Feed(project="OPS")}))
        answer = await asking
        assert answer.status_code == 200
        assert len(events(answer.content)) == 20
        assert (await site.client.get(path)).status_code == 404


async def test_a_workspace_with_other_settings_continues_with_what_was_read() -> None:
    async with open_site() as site:
        await site.get("all")
        site.faults.add("", f.refused(), times=None)
        read = site.faults.count()
        await site.app.deploy(with_demo(CONFIG, projects=("PROP",)))
        narrowed = await site.get("all")
        assert narrowed.status_code == 200
        shown = set(events(narrowed.content))
        assert f"plane-issue-{sample_id('issue', 'PROP', '1')}@calplanebot" in shown
        assert f"plane-issue-{sample_id('issue', 'WEB', '1')}@calplanebot" not in shown
        assert site.faults.count() <= read + 2
        site.faults.clear()
        await site.app.deploy(CONFIG)
        site.clock.move(61)
        assert len(events((await site.get("all")).content)) > len(shown)


@pytest.mark.parametrize("change", [{"slug": "elsewhere"}, {"url": "https://other.example.com"}])
async def test_another_workspace_under_the_same_name_takes_nothing_over(change: dict[str, str]) -> None:
    async with open_site() as site:
        assert (await site.get("all")).status_code == 200
        site.faults.add("", f.refused(), times=None)
        await site.app.deploy(with_demo(CONFIG, **change))
        assert (await site.get("all")).status_code == 503


async def test_what_was_read_and_not_yet_stored_is_taken_over() -> None:
    """A reload in the middle of a refresh must not go back to what was before it."""
    async with open_site() as site:
        await site.get("all")
        site.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        site.clock.move(61)
        site.faults.add("/states/", f.delayed(0.2), None)
        assert b"Newer" in (await site.get("all")).content
        await site.app.deploy(with_demo(CONFIG, title="Another title"))
        site.faults.add("", f.refused(), times=None)
        assert b"Newer" in (await site.get("all")).content


async def test_a_workspace_that_is_gone_is_closed() -> None:
    both = replace(
        CONFIG,
        workspaces={**CONFIG.workspaces, "other": CONFIG.workspaces["demo"]},
        feeds={
            "property": Feed(workspace="demo", project="PROP"),
            "elsewhere": Feed(workspace="other", project="PROP", public=True),
        },
    )
    async with open_site(both) as site:
        assert (await site.get("elsewhere")).status_code == 200
        gone = site.app.service.workspaces["other"]
        await site.app.deploy(CONFIG)
        assert set(site.app.service.workspaces) == {"demo"}
        with pytest.raises(RuntimeError, match="client has been closed"):
            await gone.plane.projects()
        assert (await site.get("property")).status_code == 200


async def test_counts_limits_and_readers_outlive_a_configuration() -> None:
    async with open_site() as site:
        await site.get("property", {"user-agent": "ICSx5/2"})
        bearer = {"authorization": "Bearer an admin token that nobody guesses"}
        for _ in range(10):
            await site.client.get("/status", headers={"authorization": "Bearer guess"})
        await site.app.deploy(replace(CONFIG, language="de"))
        assert (await site.client.get("/status", headers={"authorization": "Bearer x"})).status_code == 429
        site.clock.move(61)
        report = (await site.client.get("/status", headers=bearer)).json()
        feeds = {feed["name"]: feed for feed in report["feeds"]}
        assert [reader["app"] for reader in feeds["property"]["readers"]] == ["ICSx5"]
        assert site.server.reader_log.answers[200] == 1


async def test_what_a_webhook_has_touched_is_read_though_the_configuration_changes() -> None:
    async with open_site() as site:
        await site.get("all")
        workspace = site.app.service.workspaces["demo"]
        project = sample_id("project", "PROP")
        site.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Touched"})
        touched = WebhookChange(
            action="update",
            projects=frozenset({project}),
            resources=frozenset({"issues"}),
        )
        site.server.watch(workspace, CONFIG.cache).touch(touched)
        await site.app.deploy(replace(CONFIG, language="de"))
        site.clock.move(5)
        await asyncio.sleep(1.5)
        site.faults.add("", f.refused(), times=None)
        assert b"Touched" in (await site.get("all")).content


# When the configuration is loaded


class Steps:
    """A sleep that ends when the test releases it."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(0)

    async def sleep(self, _seconds: float) -> None:
        await self._gate.acquire()

    async def step(self, times: int = 1) -> None:
        for _ in range(times):
            self._gate.release()
            await asyncio.sleep(0.05)


class File:
    """A configuration that can be changed, or broken."""

    def __init__(self) -> None:
        self.config: Config | ConfigError = CONFIG
        self.text = "one"
        self.loads = 0

    def load(self) -> Config:
        self.loads += 1
        if isinstance(self.config, ConfigError):
            raise self.config
        return self.config


@asynccontextmanager
async def watched(site: Site) -> AsyncIterator[tuple[File, Steps, Reloader]]:
    file, steps = File(), Steps()
    reloading = Reloader(site.app, file.load, lambda: file.text, lambda _: None, steps.sleep)
    task = asyncio.create_task(reloading.run())
    await asyncio.sleep(0.05)
    yield file, steps, reloading
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_changed_file_is_loaded_once_it_stands_still() -> None:
    async with open_site() as site, watched(site) as (file, steps, _):
        await steps.step(3)
        assert file.loads == 0
        file.text, file.config = "half wri", replace(CONFIG, feeds={"ops": Feed(project="OPS")})
        await steps.step()
        assert file.loads == 0
        file.text = "half written, and the rest"
        await steps.step()
        assert file.loads == 0
        await steps.step()
        assert file.loads == 1
        await until(lambda: set(site.app.service.config.feeds) == {"ops"})
        await steps.step(3)
        assert file.loads == 1


async def test_a_signal_loads_it_at_once_changed_or_not() -> None:
    async with open_site() as site, watched(site) as (file, _, reloading):
        reloading.request()
        await until(lambda: file.loads == 1)
        reloading.request()
        await until(lambda: file.loads == 2)
        assert set(site.app.service.config.feeds) == set(CONFIG.feeds)


async def test_a_wrong_configuration_changes_nothing_and_shows_in_health(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_site() as site, watched(site) as (file, steps, _):
        before = await site.get("all")
        assert (await site.health())["configuration"] == "ok"
        file.text, file.config = (
            "two",
            ConfigError("feeds.yaml", [Problem("feeds.x.color", "must be a colour")]),
        )
        await steps.step(2)
        await until(lambda: file.loads == 1)
        health = await site.health()
        assert (health["status"], health["configuration"]) == ("degraded", "invalid")
        assert "feeds.x.color" in caplog.text
        after = await site.get("all")
        assert (after.status_code, after.headers["etag"]) == (200, before.headers["etag"])
        file.text, file.config = "three", CONFIG
        await steps.step(2)
        await until(lambda: file.loads == 2)
        await until(lambda: not site.server.loaded.problems)
        assert (await site.health())["configuration"] == "ok"


@pytest.mark.parametrize("when", ["loading it", "deploying it"])
async def test_a_fault_while_loading_leaves_what_is_there(
    caplog: pytest.LogCaptureFixture, when: str
) -> None:
    async with open_site() as site:
        before = await site.get("all")

        def broken(_: object = None) -> Any:
            raise RuntimeError("a fault of ours")

        load = broken if when == "loading it" else lambda: CONFIG
        await Reloader(site.app, load, lambda: None, broken).reload()
        assert "keeping the previous one" in caplog.text
        assert (await site.health())["configuration"] == "invalid"
        assert (await site.get("all")).content == before.content
        await Reloader(site.app, lambda: CONFIG, lambda: None, lambda _: None).reload()
        assert (await site.health())["configuration"] == "ok"


async def test_a_webhook_just_before_a_change_of_its_workspace_is_not_lost() -> None:
    async with open_site() as site:
        await site.get("all")
        await site.settled()
        site.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        watch = site.server.watch(site.app.service.workspaces["demo"], CONFIG.cache)
        watch.touch(
            WebhookChange(
                action="update",
                resources=frozenset({"issues"}),
                projects=frozenset({sample_id("project", "PROP")}),
            )
        )
        await site.app.deploy(with_demo(CONFIG, title="Another title"))
        site.clock.move(2)
        assert b"Newer" in (await site.get("all")).content


async def test_what_is_read_until_the_swap_is_taken_over() -> None:
    async with open_site() as site:
        await site.settled()
        before = site.app.service.workspaces["demo"]
        asking = asyncio.create_task(site.client.get(site.app.service.links.ics_path("all")))
        site.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        site.clock.move(61)
        site.faults.add("order_by=-updated_at", f.delayed(0.5), None)
        loading = asyncio.create_task(site.app.deploy(with_demo(CONFIG, title="Another title")))
        await until(lambda: site.app.service.workspaces["demo"] is not before)
        assert b"Newer" in (await asking).content
        await loading
        site.faults.add("", f.refused(), None)
        assert b"Newer" in (await site.get("all")).content


async def test_a_sync_that_a_new_configuration_ends_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with open_site() as site:
        await site.settled()
        site.faults.add("", f.delayed(0.3), None)
        site.clock.move(1)
        site.server.sync.start(tuple(site.app.service.workspaces.values()))
        await until(lambda: site.app.service.workspaces["demo"].refreshes.under_way > 0)
        await site.app.deploy(with_demo(CONFIG, title="Another title"))
        await until(lambda: not site.server.sync.is_running)
        assert site.server.sync.last is not None
        assert site.server.sync.last.errors == (
            "workspace 'demo': the configuration was changed meanwhile; sync again",
        )
        assert "unexpected" not in caplog.text


def test_the_fingerprint_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    assert fingerprint(path) is None
    path.write_text("a", encoding="utf-8")
    first = fingerprint(path)
    path.write_text("b", encoding="utf-8")
    second = fingerprint(path)
    path.write_text("a", encoding="utf-8")
    assert first == fingerprint(path) != second


def test_a_server_reloads_a_changed_file_and_on_sighup(tmp_path: Path) -> None:
    with plane_served(sample(TODAY)) as plane:
        text = f"""
secret: {SECRET}
store: memory
workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}
feeds: {{first: {{project: PROP, public: true}}}}
"""
        file = tmp_path / "feeds.yaml"
        file.write_text(text, encoding="utf-8")
        with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = line_with(process, "listening on").rpartition(" ")[2]
            assert _settles(f"{url}/feeds/first.ics", 200)
            file.write_text(text.replace("first", "second"), encoding="utf-8")
            process.send_signal(signal.SIGHUP)
            assert _settles(f"{url}/feeds/second.ics", 200)
            assert _settles(f"{url}/feeds/first.ics", 404)
            file.write_text("feeds: [", encoding="utf-8")
            process.send_signal(signal.SIGHUP)
            assert "keeping the previous one" in line_with(process, "configuration rejected")
            assert httpx.get(f"{url}/feeds/second.ics").status_code == 200
            assert httpx.get(f"{url}/api/v1/health").json()["configuration"] == "invalid"
            file.write_text(text.replace("first", "third"), encoding="utf-8")
            assert _settles(f"{url}/feeds/third.ics", 200), "without a signal, too"


def _settles(url: str, status: int) -> bool:
    """Return whether the address answers with this status within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if httpx.get(url).status_code == status:
            return True
        time.sleep(0.1)
    return False
