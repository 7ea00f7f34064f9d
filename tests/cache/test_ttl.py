"""Copies outlive their freshness; Plane is left alone after failures, longer each time."""

import asyncio

import pytest
from app_world import NOW, Clock

from icsfeed.cache.ttl import Backoff, TtlCache
from icsfeed.errors import Throttled, Unreachable

pytestmark = pytest.mark.anyio
DOWN = Unreachable("it", "no answer in time")


class Source:
    """Gives `value` and counts how often it was asked; waits while it is not open."""

    def __init__(self) -> None:
        self.value: list[int] = [1]
        self.asked = 0
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> list[int]:
        self.asked += 1
        await self.open.wait()
        if self.error:
            raise self.error
        return list(self.value)


def _copies(clock: Clock) -> TtlCache[str, list[int]]:
    return TtlCache(60, clock.timer, clock)


async def test_a_fresh_copy_is_not_read_again_and_an_old_one_is() -> None:
    clock, source = Clock(), Source()
    copies = _copies(clock)
    for seconds, reads in ((0, 1), (59, 1), (2, 2), (59, 2)):
        clock.move(seconds)
        await copies.look("a", source)
        assert source.asked == reads


async def test_many_who_ask_at_once_share_one_read() -> None:
    source = Source()
    copies = _copies(Clock())
    source.open.clear()
    looks = [asyncio.create_task(copies.look("a", source)) for _ in range(200)]
    await asyncio.sleep(0)
    source.open.set()
    found = await asyncio.gather(*looks)
    assert source.asked == 1
    assert all(copy is found[0] for copy in found)


async def test_a_read_that_finds_nothing_new_keeps_the_old_object_and_its_version() -> None:
    clock, source = Clock(), Source()
    copies = _copies(clock)
    first = await copies.look("a", source)
    clock.move(61)
    assert await copies.look("a", source) is first
    assert (copies.version("a"), copies.reads, copies.read_at("a")) == (1, 2, clock.now)
    clock.move(61)
    source.value = [2]
    assert await copies.look("a", source) == [2]
    assert copies.version("a") == 2


async def test_a_failed_read_is_raised_and_the_copy_stays() -> None:
    clock, source = Clock(), Source()
    copies = _copies(clock)
    await copies.look("a", source)
    clock.move(61)
    source.error = DOWN
    with pytest.raises(Unreachable):
        await copies.look("a", source)
    assert copies.get("a") == [1]
    assert not copies.is_fresh("a")
    assert copies.read_at("a") == NOW


async def test_what_was_never_read_is_none_and_has_version_nought() -> None:
    copies = _copies(Clock())
    assert (copies.get("a"), copies.version("a"), copies.read_at("a")) == (None, 0, None)


async def test_an_expired_copy_is_read_at_the_next_look() -> None:
    source = Source()
    copies = _copies(Clock())
    await copies.look("a", source)
    copies.expire("a")
    copies.expire("unknown")
    assert copies.get("a") == [1]
    await copies.look("a", source)
    assert source.asked == 2


async def test_a_reader_that_goes_away_does_not_end_the_read() -> None:
    source = Source()
    copies = _copies(Clock())
    source.open.clear()
    look = asyncio.create_task(copies.look("a", source))
    await asyncio.sleep(0)
    look.cancel()
    await asyncio.wait({look})
    source.open.set()
    assert await copies.look("a", source) == [1]
    assert source.asked == 1


async def test_closing_ends_the_reads_under_way() -> None:
    source = Source()
    copies = _copies(Clock())
    source.open.clear()
    look = asyncio.create_task(copies.look("a", source))
    await asyncio.sleep(0)
    await copies.close()
    with pytest.raises(asyncio.CancelledError):
        await look


def test_rests_double_from_five_seconds_to_five_minutes() -> None:
    clock = Clock()
    rest = Backoff(clock.timer, lambda: 0.0)
    waits = []
    for _ in range(9):
        rest.failed(DOWN)
        waits.append(rest.left)
        clock.move(rest.left)
        assert rest.left == 0
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert rest.error is DOWN


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (Throttled("it", 42), 42),
        (Throttled("it", 1), 5),
        (Unreachable("it", "503", retry_after=1000), 1000),
        (Unreachable("it", "503"), 5),
    ],
)
def test_a_rest_is_never_shorter_than_plane_asks(error: Throttled | Unreachable, wait: float) -> None:
    rest = Backoff(Clock().timer, lambda: 0.0)
    rest.failed(error)
    assert rest.left == wait


def test_chance_makes_a_rest_shorter_by_up_to_a_quarter() -> None:
    clock = Clock()
    for chance, wait in ((0.0, 5.0), (0.5, 4.375), (1.0, 3.75)):
        rest = Backoff(clock.timer, lambda chance=chance: chance)  # type: ignore[misc]
        rest.failed(DOWN)
        assert rest.left == pytest.approx(wait)


def test_a_rest_can_be_ended_but_for_one_that_plane_asked_for() -> None:
    rest, asked = (Backoff(Clock().timer, lambda: 0.0) for _ in range(2))
    rest.failed(DOWN)
    asked.failed(Throttled("it", 42))
    rest.end()
    asked.end()
    assert (rest.left, rest.error, asked.left) == (0, DOWN, 42)


def test_a_rest_that_is_over_starts_small_again() -> None:
    rest = Backoff(Clock().timer, lambda: 0.0)
    rest.failed(DOWN)
    rest.failed(DOWN)
    rest.over()
    assert (rest.left, rest.error) == (0, None)
    rest.failed(DOWN)
    assert rest.left == 5
