"""A cached value outlives its freshness, is read once for all who ask, and is replaced by newer ones only."""

import asyncio
from datetime import timedelta

import pytest
from app_world import NOW, Clock
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.cache.ttl import CachedValue, Ttl, TtlCache, relaxed_ttl, stretch_factor
from icsfeed.errors import Unreachable

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


def _value(clock: Clock) -> CachedValue[list[int]]:
    return CachedValue(Ttl(60, clock.timer, clock))


async def test_a_fresh_value_is_not_read_again_and_an_old_one_is() -> None:
    clock, source = Clock(), Source()
    cached = _value(clock)
    for seconds, reads in ((0, 1), (59, 1), (2, 2), (59, 2)):
        clock.move(seconds)
        await cached.get_or_refresh(source)
        assert source.asked == reads


async def test_many_who_ask_at_once_share_one_read() -> None:
    source = Source()
    cached = _value(Clock())
    source.open.clear()
    tasks = [asyncio.create_task(cached.get_or_refresh(source)) for _ in range(200)]
    await asyncio.sleep(0)
    source.open.set()
    values = await asyncio.gather(*tasks)
    assert source.asked == 1
    assert all(value is values[0] for value in values)


async def test_a_read_that_finds_nothing_new_keeps_the_old_object_and_its_version() -> None:
    clock, source = Clock(), Source()
    ttl = Ttl(60, clock.timer, clock)
    cached: CachedValue[list[int]] = CachedValue(ttl)
    first = await cached.get_or_refresh(source)
    clock.move(61)
    assert await cached.get_or_refresh(source) is first
    assert (cached.version, ttl.reads, cached.read_at) == (1, 2, clock.now)
    clock.move(61)
    source.value = [2]
    assert await cached.get_or_refresh(source) == [2]
    assert cached.version == 2


async def test_a_failed_read_is_raised_and_the_value_stays() -> None:
    clock, source = Clock(), Source()
    cached = _value(clock)
    await cached.get_or_refresh(source)
    clock.move(61)
    source.error = DOWN
    with pytest.raises(Unreachable):
        await cached.get_or_refresh(source)
    assert cached.value == [1]
    assert not cached.is_fresh
    assert cached.read_at == NOW


async def test_what_was_never_read_is_none_and_has_version_0() -> None:
    cached = _value(Clock())
    assert (cached.value, cached.version, cached.read_at) == (None, 0, None)


async def test_an_expired_value_is_read_again() -> None:
    source = Source()
    cached = _value(Clock())
    await cached.get_or_refresh(source)
    cached.expire()
    assert cached.value == [1]
    await cached.get_or_refresh(source)
    assert source.asked == 2


async def test_a_cancelled_reader_does_not_cancel_the_read() -> None:
    source = Source()
    cached = _value(Clock())
    source.open.clear()
    task = asyncio.create_task(cached.get_or_refresh(source))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    source.open.set()
    assert await cached.get_or_refresh(source) == [1]
    assert source.asked == 1


async def test_closing_cancels_the_reads_under_way() -> None:
    clock, source = Clock(), Source()
    ttl = Ttl(60, clock.timer, clock)
    source.open.clear()
    task = asyncio.create_task(CachedValue[list[int]](ttl).get_or_refresh(source))
    await asyncio.sleep(0)
    await ttl.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_values_of_two_keys_are_read_and_expire_by_themselves() -> None:
    clock, source = Clock(), Source()
    values: TtlCache[str, list[int]] = TtlCache(Ttl(60, clock.timer, clock))
    await asyncio.gather(*(values[key].get_or_refresh(source) for key in ("a", "b", "a")))
    values["a"].expire()
    assert (source.asked, values["a"].is_fresh, values["b"].is_fresh) == (2, False, True)
    assert (values["c"].value, values["c"] is values["c"]) == (None, True)


async def test_a_value_read_elsewhere_counts_when_it_is_newer() -> None:
    clock, source = Clock(), Source()
    cached = _value(clock)
    await cached.get_or_refresh(source)
    cached.merge([3], NOW)
    assert cached.value == [1]
    clock.move(90)
    cached.merge([3], NOW + timedelta(seconds=50))
    assert (cached.value, cached.seconds_fresh) == ([3], 20)
    cached.confirm(NOW + timedelta(seconds=80))
    assert (cached.value, cached.version, cached.seconds_fresh) == ([3], 2, 50)


@pytest.mark.parametrize(
    ("counts", "limit", "factor"),
    [
        ({}, 60, 1.0),
        ({"issues": 40}, 60, 1.0),  # 40 a minute of 48
        ({"issues": 60}, 60, 1.25),
        ({"issues": 60, "states": 60, "labels": 60, "projects": 1}, 60, 84.5 / 48),
        ({"issues": 60}, 300, 1.0),
        ({"issues": 60}, 0, 75.0),
    ],
)
def test_ttls_grow_by_what_the_budget_lacks(counts: dict[str, int], limit: int, factor: float) -> None:
    ttls = {"issues": 60.0, "states": 300.0, "labels": 300.0, "projects": 120.0}
    assert stretch_factor(ttls, counts, limit) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("counts", "limit", "ttl"),
    [
        ({}, 60, 60),
        ({"issues": 12, "states": 12}, 60, 60),  # 14.4 a minute of 48
        ({"issues": 60}, 60, 75),
        ({"issues": 30, "states": 90}, 60, 60),
        ({"issues": 30, "states": 150}, 60, 100),  # 30 a minute for states, 18 are left
        ({"issues": 30, "states": 220}, 60, 300),
        ({"issues": 30, "states": 300}, 60, 300),
        ({"issues": 30}, 0, 300),
    ],
)
def test_one_kind_gives_way_by_what_the_budget_lacks(counts: dict[str, int], limit: int, ttl: float) -> None:
    ttls = {"issues": 60.0, "states": 300.0}
    assert relaxed_ttl("issues", 300, ttls, counts, limit) == pytest.approx(ttl)


@given(
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.floats(1, 1e6), st.integers(0, 10_000))),
    st.integers(1, 10_000),
    st.floats(0.01, 1),
)
def test_stretched_ttls_always_fit(kinds: dict[str, tuple[float, int]], limit: int, share: float) -> None:
    ttls, counts = ({kind: pair[part] for kind, pair in kinds.items()} for part in (0, 1))
    factor = stretch_factor(ttls, {kind: int(count) for kind, count in counts.items()}, limit, share)
    demand = sum(counts[kind] * 60 / (ttls[kind] * factor) for kind in kinds)
    assert factor >= 1
    assert demand <= share * limit * (1 + 1e-9)
