"""Work that blocks nobody: in a thread where it is long, and once for all who need the same result."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar

FEW_ITEMS = 50
"""Issues that take a millisecond or two to render, or to put on a page."""

CANCEL_AGAIN_SECONDS = 5.0
"""Longer than what a task may wait for while it ends: a lock in Redis is released, say."""

T = TypeVar("T")


async def run_in_thread(items: int, work: Callable[[], T]) -> T:
    """Do work on that many items in a thread, or right here where a thread would take longer."""
    return work() if items <= FEW_ITEMS else await asyncio.to_thread(work)


async def cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, and wait until they have ended. What they raise is dropped.

    A task that goes on is cancelled again: `asyncio.wait_for` loses a cancellation that comes when its work
    is done (Python before 3.12), and redis-py (8.1) calls it for each command.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        await asyncio.gather(*done, return_exceptions=True)


class SingleFlight(Generic[T]):
    """Running work, by key: a second caller of the same key waits for the result of the first."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    def task(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the running task for this key; start it where there is none."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def result(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work returns, or raise what it raises."""
        # Shielded: a caller who is cancelled (a reader hangs up) must not end the work of the others.
        return await asyncio.shield(self.task(key, make))

    async def close(self) -> None:
        """Cancel everything that is running."""
        await cancel(self._running.values())
