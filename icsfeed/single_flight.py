"""Work that must hold up nobody: in a thread where it is long, and once for all who ask for it at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

FEW = 50
"""Issues that take a millisecond or two to render, or to put on a page."""

T = TypeVar("T")


async def run_in_thread(items: int, work: Callable[[], T]) -> T:
    """Work on so many items: on the spot where that takes less than the way to a thread and back."""
    return work() if items <= FEW else await asyncio.to_thread(work)


class SingleFlight(Generic[T]):
    """Work that is under way, by key: whoever asks for the same meanwhile waits for the same result."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    def task(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """What is under way for this key; begun now where nothing is."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def result(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What it gives, or raises. Who waits may be cancelled: the work goes on for the others."""
        return await asyncio.shield(self.task(key, make))

    async def close(self) -> None:
        """End what is under way."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
