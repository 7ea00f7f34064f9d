"""Days in a second: a loop whose time leaps to the next timer, and a server that lives in it.

Sleeps, time-outs and deadlines need no stand-ins: they are the loop's own, and take no time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from selectors import SelectorKey, SelectSelector
from typing import Any, TypeVar

from app_world import NOW, TODAY, Clock, World, serving

from icsfeed.app.watch import Watch
from icsfeed.core.config import Config
from icsfeed.demo.data import PlaneData
from icsfeed.demo.sample import sample

T = TypeVar("T")
START = 1_000.0
TICK = 20.0
"""Seconds between looks of the watch: twenty times the server's, to spend fewer turns of the loop."""


class Leaping(SelectSelector):
    """Does not wait: where nothing is ready, time goes on to when the loop wanted to be woken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


class Inline(ThreadPoolExecutor):
    """Work for threads is done at once: no time passes meanwhile, and a test goes the same way each time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on
            done.set_exception(error)
        return done


class Simulation(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = Leaping()
        super().__init__(self._leaping)
        self.set_default_executor(Inline())

    def time(self) -> float:
        return self._leaping.now


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
    """The server with what keeps it fresh running beside it. Plane has a clock of its own."""
    clock = clock or LoopClock()
    data = data or sample(TODAY, issues=issues, clock=LoopClock())
    async with serving(config, data=data, clock=clock, version=version) as world:
        cache = world.service.config.cache
        watch = Watch(world.workspace, cache, clock.timer, lambda _: asyncio.sleep(TICK))
        task = asyncio.create_task(watch.run()) if watching else None
        yield world
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
