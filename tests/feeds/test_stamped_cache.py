"""Values that hold while their stamp does: made once for all who ask, and served again where that fails."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from icsfeed.errors import NoCopy, UnknownFeed
from icsfeed.feeds.stamped_cache import StampedCache

pytestmark = pytest.mark.anyio


class Maker:
    """Makes values and counts them; each takes until `go` is set."""

    def __init__(self) -> None:
        self.count = 0
        self.go = asyncio.Event()
        self.go.set()

    def makes(self, value: str) -> Callable[[], Coroutine[None, None, str]]:
        async def make() -> str:
            self.count += 1
            await self.go.wait()
            return value

        return make


async def fails(error: Exception) -> str:
    raise error


async def test_a_value_holds_while_its_stamp_does() -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    assert cache.last("feed") is None
    assert await cache.value("feed", 1, maker.makes("a")) == "a"
    assert await cache.value("feed", 1, maker.makes("b")) == "a"
    assert await cache.value("feed", 2, maker.makes("b")) == "b"
    assert (cache.last("feed"), maker.count) == ("b", 2)
    assert cache.holds("feed", 2)
    assert not cache.holds("feed", 1)


async def test_a_value_is_made_once_for_all_who_ask_and_keeps_the_stamp_that_it_was_made_of() -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    maker.go.clear()
    asking = [asyncio.create_task(cache.value("feed", stamp, maker.makes("a"))) for stamp in (1, 1, 2)]
    await asyncio.sleep(0)
    maker.go.set()
    assert await asyncio.gather(*asking) == ["a", "a", "a"]
    assert maker.count == 1
    assert cache.holds("feed", 1), "what joined asked for stamp 2, which this value is not of"


async def test_a_cancelled_reader_does_not_stop_what_others_wait_for() -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    maker.go.clear()
    gone, staying = (asyncio.create_task(cache.value("feed", 1, maker.makes("a"))) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    maker.go.set()
    assert await staying == "a"


async def test_an_update_keeps_the_stamp() -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    cache.update("feed", "nothing to update")
    assert cache.last("feed") is None
    await cache.value("feed", 1, maker.makes("a"))
    cache.update("feed", "b")
    assert await cache.value("feed", 1, maker.makes("c")) == "b"


async def test_the_least_recently_used_value_goes_first_and_one_too_large_is_not_stored() -> None:
    cache, maker = StampedCache[str, str](5, len), Maker()
    assert await cache.value("large", 1, maker.makes("abcdef")) == "abcdef"
    assert cache.last("large") is None
    for key in ("one", "two", "one", "three"):
        await cache.value(key, 1, maker.makes("ab"))
    assert [cache.last(key) for key in ("one", "two", "three")] == ["ab", None, "ab"]


async def test_the_last_value_is_served_where_making_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    error = NoCopy("feed", 5)
    with pytest.raises(NoCopy):
        await cache.or_last("feed", fails(error))
    await cache.value("feed", 1, maker.makes("a"))
    assert await cache.or_last("feed", fails(error)) == "a"
    assert "serving the last good copy" in caplog.text
    assert "Traceback" not in caplog.text, "an expected error needs none"
    assert await cache.or_last("feed", fails(ZeroDivisionError())) == "a"
    assert "Traceback" in caplog.text


async def test_a_feed_that_is_gone_is_not_served_from_the_cache() -> None:
    cache, maker = StampedCache[str, str](10), Maker()
    await cache.value("feed", 1, maker.makes("a"))
    with pytest.raises(UnknownFeed):
        await cache.or_last("feed", fails(UnknownFeed("feed")))
