"""Work that blocks nobody."""

import asyncio
from threading import get_ident

import pytest
from leaping import Simulation

from icsfeed.single_flight import FEW_ITEMS, SingleFlight, cancel, run_in_thread

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("items", "here"), [(0, True), (FEW_ITEMS, True), (FEW_ITEMS + 1, False)])
async def test_long_work_is_done_in_a_thread(items: int, here: bool) -> None:
    assert (await run_in_thread(items, get_ident) == get_ident()) is here


async def test_a_second_caller_gets_the_same_result() -> None:
    flights: SingleFlight[object] = SingleFlight()

    async def made() -> object:
        await asyncio.sleep(0)
        return object()

    first, second, other = await asyncio.gather(*(flights.result(key, made) for key in ("a", "a", "b")))
    assert first is second is not other
    assert await flights.result("a", made) is not first


async def test_a_failure_reaches_all_callers_and_is_not_remembered() -> None:
    flights: SingleFlight[str] = SingleFlight()

    async def failing() -> str:
        raise ValueError("no")

    async def good() -> str:
        return "good"

    found = await asyncio.gather(*(flights.result("a", failing) for _ in range(2)), return_exceptions=True)
    assert list(map(str, found)) == ["no", "no"]
    assert await flights.result("a", good) == "good"


async def test_a_caller_that_is_cancelled_ends_nothing_for_the_others() -> None:
    flights: SingleFlight[str] = SingleFlight()
    ready = asyncio.Event()

    async def made() -> str:
        await ready.wait()
        return "made"

    impatient = asyncio.create_task(flights.result("a", made))
    wait_if_throttled = asyncio.create_task(flights.result("a", made))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    ready.set()
    assert await wait_if_throttled == "made"


async def test_closing_cancels_what_is_running() -> None:
    flights: SingleFlight[bool] = SingleFlight()
    task = flights.task("a", asyncio.Event().wait)
    await flights.close()
    assert task.cancelled()
    await flights.close()


def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def work() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        await cancel([task])
        assert task.cancelled()

    with asyncio.Runner(loop_factory=Simulation) as runner:
        runner.run(main())
    assert lost == 3
