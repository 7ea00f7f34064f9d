"""A loop whose time leaps to the next timer: days pass in a second, and a run goes the same way each time.

Sleeps, time-outs and deadlines need no stand-ins: they are the loop's own, and take no time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from selectors import SelectorKey, SelectSelector
from typing import Any, TypeVar

T = TypeVar("T")
START = 1_000.0
"""Where the loop's time begins, in seconds."""


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
    """Work for threads is done at once: no time passes meanwhile, and all goes the same way each time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on
            done.set_exception(error)
        return done


class Simulation(asyncio.SelectorEventLoop):
    """A loop whose time starts at `START`."""

    def __init__(self) -> None:
        self._leaping = Leaping()
        super().__init__(self._leaping)
        self.set_default_executor(Inline())

    def time(self) -> float:
        return self._leaping.now
