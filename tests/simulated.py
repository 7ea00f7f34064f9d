"""A server that lives in a loop whose time leaps: days in a second."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from app_world import NOW, TODAY, Clock, World, serving
from leaping import START, Simulation
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import Config

TICK = 20.0
"""Seconds between looks of the watch: twenty times the server's, to spend fewer turns of the loop."""


BACKEND: tuple[str, Mapping[str, object]] = ("asyncio", {"loop_factory": Simulation})


class LoopClock(Clock):
    """The time of day that belongs to the loop's time; `put` sets it back or forth, as a person would."""

    def __init__(self) -> None:
        super().__init__()
        self.off = timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self.timer() - START) + self.off

    def timer(self) -> float:
        return asyncio.get_running_loop().time()

    def put(self, **by: float) -> None:
        self.off += timedelta(**by)


@asynccontextmanager
async def living(
    config: Config | None = None,
    *,
    data: PlaneData | None = None,
    issues: int = 0,
    version: str = "v1.3.1",
    watching: bool = True,
    clock: LoopClock | None = None,
) -> AsyncIterator[World]:
    """The server with its background refresh running. Plane has a clock of its own."""
    clock = clock or LoopClock()
    data = data or sample(TODAY, issues=issues, clock=LoopClock())
    async with serving(config, data=data, clock=clock, version=version) as world:
        cache = world.service.config.cache
        watch = BackgroundRefresh(world.workspace, cache, clock.timer, lambda _: asyncio.sleep(TICK))
        task = asyncio.create_task(watch.run()) if watching else None
        yield world
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
