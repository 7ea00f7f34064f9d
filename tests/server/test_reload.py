"""A new configuration is taken up while the server runs: whole, or not at all."""

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
    """A host over one embedded Plane, and a client of it."""

    def __init__(self, host: ReloadableApp, server: ServerState, faults: Faults, clock: Clock) -> None:
        self.host, self.server, self.faults, self.clock = host, server, faults, clock
        self.data: Any = None
        transport = httpx.ASGITransport(host)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url=HOST)

    async def get(self, name: str, headers: Mapping[str, str] = {}) -> httpx.Response:
        return await self.client.get(self.host.service.links.ics_path(name), headers=headers)

    async def settled(self) -> None:
        """Waits until the watch has read everything."""
        workspace = self.host.service.workspaces["demo"]
        await until(lambda: workspace.is_ready and not workspace.refreshes.under_way)

    async def health(self) -> Any:
        return (await self.client.get("/api/v1/health")).json()


@asynccontextmanager
async def site(config: Config = CONFIG) -> AsyncIterator[Site]:
    clock, faults = Clock(), Faults()
    data = sample(TODAY, clock=clock)
    plane: Any = create_plane(data, clock, faults=faults, limits=UNLIMITED)
    transports = dict.fromkeys(("demo", "other"), httpx.ASGITransport(plane))
    store, server = open_store("memory", {}), ServerState(clock, clock.timer)
    pool = WorkspacePool(store, transports=transports, clock=clock, timer=clock.timer, chance=lambda: 0.0)
    async with open_app(config, pool, store, server) as host:
        made = Site(host, server, faults, clock)
        made.data = data
        async with made.client:
            yield made


def with_demo(config: Config, **changes: Any) -> Config:
    own = replace(config.workspaces["demo"], **changes)
    return replace(config, workspaces={**config.workspaces, "demo": own})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - as a person looks
            await asyncio.sleep(0.01)


async def test_feeds_come_and_go_and_the_others_stay_as_they_are() -> None:
    async with site() as made:
        before = await made.get("property")
        await made.settled()
        gone = made.host.service.links.ics_path("all")
        read = made.faults.count()
        await made.host.deploy(
            replace(CONFIG, feeds={"property": FEEDS["property"], "ops": Feed(project="OPS")})
        )
        after = await made.get("property")
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
        assert (await made.get("ops")).status_code == 200
        assert (await made.client.get(gone)).status_code == 404
        assert made.faults.count() == read, "Plane is not asked again"


async def test_a_workspace_with_the_same_settings_is_the_same_one() -> None:
    async with site() as made:
        workspace = made.host.service.workspaces["demo"]
        await made.host.deploy(
            replace(CONFIG, timezone="Europe/Berlin", cors=("https://intranet.example.com",))
        )
        assert made.host.service.workspaces["demo"] is workspace
        answer = await made.get("all", {"origin": "https://intranet.example.com"})
        assert answer.headers["access-control-allow-origin"] == "https://intranet.example.com"


async def test_a_request_under_way_is_answered_by_the_configuration_it_came_under() -> None:
    async with site() as made:
        path = made.host.service.links.ics_path("property")
        made.faults.add("/work-items/", f.delayed(0.3), None)
        asking = asyncio.create_task(made.client.get(path))
        await until(lambda: made.faults.count("/work-items/") > 0)
        await made.host.deploy(replace(CONFIG, feeds={"ops": Feed(project="OPS")}))
        answer = await asking
        assert answer.status_code == 200
        assert len(events(answer.content)) == 20
        assert (await made.client.get(path)).status_code == 404


async def test_a_workspace_with_other_settings_goes_on_from_what_was_known() -> None:
    async with site() as made:
        await made.get("all")
        made.faults.add("", f.refused(), times=None)
        read = made.faults.count()
        await made.host.deploy(with_demo(CONFIG, projects=("PROP",)))
        narrowed = await made.get("all")
        assert narrowed.status_code == 200
        shown = set(events(narrowed.content))
        assert f"plane-issue-{sample_id('issue', 'PROP', '1')}@calplanebot" in shown
        assert f"plane-issue-{sample_id('issue', 'WEB', '1')}@calplanebot" not in shown
        assert made.faults.count() <= read + 2
        made.faults.clear()
        await made.host.deploy(CONFIG)
        made.clock.move(61)
        assert len(events((await made.get("all")).content)) > len(shown)


@pytest.mark.parametrize("change", [{"slug": "elsewhere"}, {"url": "https://other.example.com"}])
async def test_another_workspace_under_the_same_name_takes_nothing_over(change: dict[str, str]) -> None:
    async with site() as made:
        assert (await made.get("all")).status_code == 200
        made.faults.add("", f.refused(), times=None)
        await made.host.deploy(with_demo(CONFIG, **change))
        assert (await made.get("all")).status_code == 503


async def test_what_was_read_and_not_yet_kept_is_handed_on() -> None:
    """A reload in the middle of a refresh must not go back to what was before it."""
    async with site() as made:
        await made.get("all")
        made.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        made.clock.move(61)
        made.faults.add("/states/", f.delayed(0.2), None)
        assert b"Newer" in (await made.get("all")).content
        await made.host.deploy(with_demo(CONFIG, title="Another title"))
        made.faults.add("", f.refused(), times=None)
        assert b"Newer" in (await made.get("all")).content


async def test_a_workspace_that_is_gone_is_closed() -> None:
    both = replace(
        CONFIG,
        workspaces={**CONFIG.workspaces, "other": CONFIG.workspaces["demo"]},
        feeds={
            "property": Feed(workspace="demo", project="PROP"),
            "elsewhere": Feed(workspace="other", project="PROP", public=True),
        },
    )
    async with site(both) as made:
        assert (await made.get("elsewhere")).status_code == 200
        gone = made.host.service.workspaces["other"]
        await made.host.deploy(CONFIG)
        assert set(made.host.service.workspaces) == {"demo"}
        assert gone.plane._client.is_closed  # type: ignore[attr-defined]
        assert (await made.get("property")).status_code == 200


async def test_counts_limits_and_readers_outlive_a_configuration() -> None:
    async with site() as made:
        await made.get("property", {"user-agent": "ICSx5/2"})
        bearer = {"authorization": "Bearer an admin token that nobody guesses"}
        for _ in range(10):
            await made.client.get("/status", headers={"authorization": "Bearer guess"})
        await made.host.deploy(replace(CONFIG, language="de"))
        assert (await made.client.get("/status", headers={"authorization": "Bearer x"})).status_code == 429
        made.clock.move(61)
        report = (await made.client.get("/status", headers=bearer)).json()
        feeds = {feed["name"]: feed for feed in report["feeds"]}
        assert [reader["app"] for reader in feeds["property"]["readers"]] == ["ICSx5"]
        assert made.server.reader_log.answers[200] == 1


async def test_what_a_webhook_has_touched_is_read_though_the_configuration_changes() -> None:
    async with site() as made:
        await made.get("all")
        workspace = made.host.service.workspaces["demo"]
        project = sample_id("project", "PROP")
        made.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Touched"})
        touched = WebhookChange(
            action="update",
            projects=frozenset({project}),
            resources=frozenset({"issues"}),
        )
        made.server.watch(workspace, CONFIG.cache).touch(touched)
        await made.host.deploy(replace(CONFIG, language="de"))
        made.clock.move(5)
        await asyncio.sleep(1.5)
        made.faults.add("", f.refused(), times=None)
        assert b"Touched" in (await made.get("all")).content


# When it is loaded


class Steps:
    """A sleep that ends when the test says so."""

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
async def watched(made: Site) -> AsyncIterator[tuple[File, Steps, Reloader]]:
    file, steps = File(), Steps()
    reloading = Reloader(made.host, file.load, lambda: file.text, lambda _: None, steps.sleep)
    task = asyncio.create_task(reloading.run())
    await asyncio.sleep(0.05)
    yield file, steps, reloading
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_changed_file_is_loaded_once_it_stands_still() -> None:
    async with site() as made, watched(made) as (file, steps, _):
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
        await until(lambda: set(made.host.service.config.feeds) == {"ops"})
        await steps.step(3)
        assert file.loads == 1


async def test_a_signal_loads_it_at_once_changed_or_not() -> None:
    async with site() as made, watched(made) as (file, _, reloading):
        reloading.request()
        await until(lambda: file.loads == 1)
        reloading.request()
        await until(lambda: file.loads == 2)


async def test_a_wrong_configuration_changes_nothing_and_shows_in_health(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site() as made, watched(made) as (file, steps, _):
        before = await made.get("all")
        assert (await made.health())["configuration"] == "ok"
        file.text, file.config = (
            "two",
            ConfigError("feeds.yaml", [Problem("feeds.x.color", "must be a colour")]),
        )
        await steps.step(2)
        await until(lambda: file.loads == 1)
        health = await made.health()
        assert (health["status"], health["configuration"]) == ("degraded", "invalid")
        assert "feeds.x.color" in caplog.text
        after = await made.get("all")
        assert (after.status_code, after.headers["etag"]) == (200, before.headers["etag"])
        file.text, file.config = "three", CONFIG
        await steps.step(2)
        await until(lambda: file.loads == 2)
        await until(lambda: not made.server.loaded.problems)
        assert (await made.health())["configuration"] == "ok"


@pytest.mark.parametrize("when", ["reading it", "taking it up"])
async def test_a_fault_while_loading_leaves_what_is_there(
    caplog: pytest.LogCaptureFixture, when: str
) -> None:
    async with site() as made:
        before = await made.get("all")

        def broken(_: object = None) -> Any:
            raise RuntimeError("a fault of ours")

        load = broken if when == "reading it" else lambda: CONFIG
        await Reloader(made.host, load, lambda: None, broken).reload()
        assert "keeping the previous one" in caplog.text
        assert (await made.health())["configuration"] == "invalid"
        assert (await made.get("all")).content == before.content
        await Reloader(made.host, lambda: CONFIG, lambda: None, lambda _: None).reload()
        assert (await made.health())["configuration"] == "ok"


async def test_a_webhook_just_before_a_change_of_its_workspace_is_not_lost() -> None:
    async with site() as made:
        await made.get("all")
        await made.settled()
        made.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        watch = made.server.watch(made.host.service.workspaces["demo"], CONFIG.cache)
        watch.touch(
            WebhookChange(
                action="update",
                resources=frozenset({"issues"}),
                projects=frozenset({sample_id("project", "PROP")}),
            )
        )
        await made.host.deploy(with_demo(CONFIG, title="Another title"))
        made.clock.move(2)
        assert b"Newer" in (await made.get("all")).content


async def test_what_is_read_until_the_swap_is_handed_on() -> None:
    async with site() as made:
        await made.settled()
        before = made.host.service.workspaces["demo"]
        asking = asyncio.create_task(made.client.get(made.host.service.links.ics_path("all")))
        made.data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Newer"})
        made.clock.move(61)
        made.faults.add("order_by=-updated_at", f.delayed(0.5), None)
        loading = asyncio.create_task(made.host.deploy(with_demo(CONFIG, title="Another title")))
        await until(lambda: made.host.service.workspaces["demo"] is not before)
        assert b"Newer" in (await asking).content
        await loading
        made.faults.add("", f.refused(), None)
        assert b"Newer" in (await made.get("all")).content


async def test_a_sync_that_a_new_configuration_ends_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as made:
        await made.settled()
        made.faults.add("", f.delayed(0.3), None)
        made.clock.move(1)
        made.server.sync.start(tuple(made.host.service.workspaces.values()))
        await until(lambda: made.host.service.workspaces["demo"].refreshes.under_way > 0)
        await made.host.deploy(with_demo(CONFIG, title="Another title"))
        await until(lambda: not made.server.sync.is_running)
        assert made.server.sync.last is not None
        assert made.server.sync.last.errors == (
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


def test_a_server_takes_up_its_file_and_obeys_sighup(tmp_path: Path) -> None:
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
    """Whether the address gives this status within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if httpx.get(url).status_code == status:
            return True
        time.sleep(0.1)
    return False
