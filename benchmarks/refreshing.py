"""A refresh with 5 changes, from Plane's answer to the rendered feed; compared with a full read."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from time import process_time
from typing import Any

import corpus
import httpx
from measure import Row, on_the_wire, times_faster
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Config
from icsfeed.demo.access import KeyLimits
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from plane.api import create_plane
from plane.data import PlaneData, changeable

CHANGES = 5
STALE_SECONDS = 61.0


class Hand:
    """A timer that the benchmark moves."""

    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Recorded(httpx.AsyncBaseTransport):
    """A transport to Plane that counts the CPU of its answers, which is not that of icsfeed."""

    def __init__(self, data: PlaneData) -> None:
        self._plane = httpx.ASGITransport(create_plane(data, limits=KeyLimits(person=1_000_000)))  # type: ignore[arg-type]
        self.spent = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began = process_time()
        answer = await self._plane.handle_async_request(request)
        body = b"".join([piece async for piece in answer.stream])  # type: ignore[union-attr]
        self.spent += process_time() - began
        return httpx.Response(answer.status_code, headers=answer.headers, content=body, request=request)


def measure(issues: int, rounds: int = 3) -> list[Row]:
    """Return the row of a refresh."""
    cold, fresh, size = asyncio.run(_measure_refreshes(issues, rounds))
    what = f"refresh {issues:,} issues with {CHANGES} changes, rendered"
    return [times_faster(what, "full read and cold render", fresh, cold, 20, on_the_wire(size))]


async def _measure_refreshes(issues: int, rounds: int) -> tuple[float, float, int]:
    data, colds, refreshes = changeable(corpus.plane_data(issues), lambda: corpus.NOW), [], []
    for turn in range(rounds):
        hand = Hand()
        wire = Recorded(data)
        async with opened(_config(), transports={"demo": wire}, timer=hand) as service:
            colds.append(await _cost(service, wire))
            # The first refresh has more to do than all later ones.
            for again in range(2):
                _change(data, turn * 2 + again)
                hand.seconds += STALE_SECONDS
                cost = await _cost(service, wire)
            refreshes.append(cost)
            size = (await service.rendered("feed")).size
    return sorted(colds)[rounds // 2], sorted(refreshes)[rounds // 2], size


async def _cost(service: FeedService, wire: Recorded) -> float:
    wire.spent, began = 0.0, process_time()
    await service.rendered("feed")
    return process_time() - began - wire.spent


def _change(data: PlaneData, turn: int) -> None:
    ids = [id_ for project in data.projects.values() for id_ in project.issues]
    for number in range(CHANGES):
        data.patch_issue(ids[(turn * 7_919 + number * 104_729) % len(ids)], {"name": f"Changed {turn}"})


def _config() -> Config:
    plain = corpus.config()
    more: Mapping[str, Any] = {"feeds": {"feed": corpus.FEED}, "auto": Auto(projects=False, assignees=False)}
    return replace(plain, cache=replace(plain.cache, deadline=600), **more)
