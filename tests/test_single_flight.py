"""Work that holds up nobody."""

import asyncio
from threading import get_ident

import pytest

from icsfeed.single_flight import FEW, SingleFlight, run_in_thread

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("items", "here"), [(0, True), (FEW, True), (FEW + 1, False)])
async def test_much_work_goes_to_a_thread(items: int, here: bool) -> None:
    assert (await run_in_thread(items, get_ident) == get_ident()) is here


async def test_who_asks_meanwhile_gets_the_same() -> None:
    joined: SingleFlight[object] = SingleFlight()

    async def made() -> object:
        await asyncio.sleep(0)
        return object()

    first, second, other = await asyncio.gather(*(joined.result(key, made) for key in ("a", "a", "b")))
    assert first is second is not other
    assert await joined.result("a", made) is not first


async def test_a_failure_is_told_to_all_and_not_remembered() -> None:
    joined: SingleFlight[str] = SingleFlight()

    async def failing() -> str:
        raise ValueError("no")

    async def good() -> str:
        return "good"

    found = await asyncio.gather(*(joined.result("a", failing) for _ in range(2)), return_exceptions=True)
    assert list(map(str, found)) == ["no", "no"]
    assert await joined.result("a", good) == "good"


async def test_who_no_longer_waits_takes_nothing_from_the_others() -> None:
    joined: SingleFlight[str] = SingleFlight()
    ready = asyncio.Event()

    async def made() -> str:
        await ready.wait()
        return "made"

    impatient = asyncio.create_task(joined.result("a", made))
    patient = asyncio.create_task(joined.result("a", made))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    ready.set()
    assert await patient == "made"


async def test_what_is_under_way_ends_when_it_is_closed() -> None:
    joined: SingleFlight[bool] = SingleFlight()
    task = joined.task("a", asyncio.Event().wait)
    await joined.close()
    assert task.cancelled()
    await joined.close()
