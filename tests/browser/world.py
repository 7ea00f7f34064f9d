"""A server on loopback for a browser: the embedded Plane behind it, a clock that stands still, odd issues."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from msgspec.structs import replace
from plane.api import create_plane
from plane.data import PlaneData
from plane.sample import sample
from playwright.sync_api import Browser

from icsfeed.config.schema import AuthProxy, Config, Embed, Feed
from icsfeed.demo.access import KeyLimits
from icsfeed.demo.settings import ADMIN_TOKEN, demo_config
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened
from icsfeed.store.store import open_store
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
NOW = datetime(2026, 11, 25, 10, 2, tzinfo=UTC)
TODAY = date(2026, 11, 25)

LONG = (
    "Rahmenvertrag über die Instandhaltungsrücklagenzuführungsvereinbarung der "
    "Wohnungseigentümergemeinschaft Donaudampfschifffahrtsgesellschaftskapitänsstraße prüfen, abstimmen, "
    "unterschreiben und an alle verschicken"
)
ODD = (
    "<script>window.broken = 1</script><img src=x onerror=alert(1)>",
    LONG,
    "تجديد عقد الصيانة للمبنى رقم 7 قبل نهاية العام",
    "לחדש את חוזה התחזוקה (בניין 7) — urgent",
    '"quotes" & <b>tags</b> {{ 7 * 7 }} {% raw %}',
    "日本語のとても長い題名がここに入りますので折り返しを確認してください",
)
"""Names of issues that a page must show as text, whatever they hold."""


class Served:
    """A running server: its address, and its feeds' links."""

    def __init__(self, url: str, service: FeedService, server: uvicorn.Server) -> None:
        self.url = url
        self.service = service
        self.server = server

    def page(self, feed: str, subscriber: str = "") -> str:
        return self.url + self.service.links.page_path(feed, subscriber)

    def embed(self, feed: str) -> str:
        return self.url + self.service.links.embed_path(feed)

    def ics(self, feed: str) -> str:
        return self.url + self.service.links.ics_path(feed)


class Visit:
    """A page in a browser context of its own, and what happened on it: messages, faults, requests."""

    def __init__(self, browser: Browser, served: Served, url: str, **options: Any) -> None:
        settings = {
            "viewport": {"width": 1200, "height": 900},
            "locale": "en-GB",
            "extra_http_headers": {"X-Forwarded-Email": "anna@example.com"},
            "http_credentials": {"username": "admin", "password": ADMIN_TOKEN, "origin": served.url},
        }
        self.context = browser.new_context(**{**settings, **options})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"fault: {error}"))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def everywhere(self, url: str) -> list[str]:
        """Requests that went elsewhere than to this address."""
        return [request for request in self.requests if not request.startswith(url)]


def odd_sample(issues: int = 0) -> PlaneData:
    """The sample, with odd names for some of the issues around today."""
    data = sample(TODAY, issues=issues, clock=lambda: NOW)
    website = next(project for project in data.projects.values() if project.row["identifier"] == "WEB")
    for (id_, _), name in zip(list(website.issues.items())[1:], ODD, strict=False):
        due = TODAY + timedelta(days=len(name) % 5)
        data.patch_issue(id_, {"name": name, "target_date": due.isoformat(), "start_date": None})
    operations = next(project for project in data.projects.values() if project.row["identifier"] == "OPS")
    dates = {"start_date": "2026-10-29", "target_date": "2026-11-01"}
    data.patch_issue([*operations.issues][-1], {"name": "Begun in October", **dates})
    return data


def browser_config(framed_by: Sequence[str] = (), **changes: Any) -> Config:
    """The demo's configuration, with feeds of all sizes, frames allowed, and a sign-in on loopback."""
    config = demo_config()
    feeds: Mapping[str, Feed] = {
        **config.feeds,
        "none": Feed(project="OPS", title="Nothing at all", where=replace(Feed().where, label=("no such",))),
        "few": Feed(project="OPS", title="Operations", dates="span"),
        "many": Feed(everything=True, title="Everything there is", dates="span"),
        "busy": Feed(project="PROP", title="Property, busy", details="busy"),
        "rtl": Feed(project="WEB", title="As they are called", summary="{name}"),
    }
    signed = AuthProxy(header="X-Forwarded-Email", networks=("127.0.0.0/8",))
    return replace(
        config,
        feeds=feeds,
        timezone="Europe/Berlin",
        embed=Embed(frame_ancestors=tuple(framed_by)),
        auth_proxy=signed,
        **changes,
    )


@contextmanager
def serving_browsers(
    config: Config, data: PlaneData | None = None, state: Path | None = None
) -> Iterator[Served]:
    """The server on a free port of loopback, in a thread of its own. `state`: its store's folder, if any."""
    started: list[Served] = []
    ready = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(config, data, state, started, ready)), daemon=True
    )
    thread.start()
    assert ready.wait(20)
    yield started[0]
    started[0].server.should_exit = True
    thread.join(20)


async def _serve(
    config: Config,
    data: PlaneData | None,
    state: Path | None,
    started: list[Served],
    ready: threading.Event,
) -> None:
    store = open_store("file", {"STATE_DIRECTORY": str(state)}) if state else None
    plane: Any = create_plane(data or odd_sample(), lambda: NOW, limits=KeyLimits(person=1_000_000))
    transports = {"demo": httpx.ASGITransport(plane)}
    async with opened(config, store=store, transports=transports, clock=lambda: NOW) as service:
        settings = uvicorn.Config(
            create_app(service, ServerState(lambda: NOW)), port=0, log_config=None, ws="none"
        )
        server = uvicorn.Server(settings)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        started.append(Served(url, service, server))
        ready.set()
        await serving
