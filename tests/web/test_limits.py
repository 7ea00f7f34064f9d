"""How often somebody may ask: the window, and what its headers say."""

from app_world import Clock

from icsfeed.web.limits import Limiter


def test_so_many_pass_in_a_window_and_the_headers_say_what_is_left() -> None:
    clock = Clock()
    limiter = Limiter(3, 60, clock.timer)
    seen = []
    for _ in range(5):
        seen.append(dict(limiter.take("a").headers()))
        clock.move(10)
    assert [one["X-RateLimit-Remaining"] for one in seen] == ["2", "1", "0", "0", "0"]
    assert [one["X-RateLimit-Reset"] for one in seen] == ["60", "50", "40", "30", "20"]
    assert [one.get("Retry-After") for one in seen] == [None, None, None, "30", "20"]
    assert {one["X-RateLimit-Limit"] for one in seen} == {"3"}


def test_a_look_does_not_count() -> None:
    limiter = Limiter(2, 60, Clock().timer)
    assert [limiter.look("a").remaining for _ in range(3)] == [2, 2, 2]
    limiter.take("a")
    assert [limiter.look("a").remaining for _ in range(3)] == [1, 1, 1]


def test_keys_do_not_share_a_window() -> None:
    limiter = Limiter(1, 60, Clock().timer)
    assert [limiter.take(key).granted for key in ("a", "b", "a", "b")] == [True, True, False, False]


def test_after_retry_after_the_next_passes_though_refused_ones_went_on() -> None:
    clock = Clock()
    limiter = Limiter(2, 60, clock.timer)
    for _ in range(50):
        last = limiter.take("a")
        clock.move(1)
    assert not last.granted
    clock.move(last.reset - 1)
    again = limiter.take("a")
    assert (again.granted, again.remaining, again.reset) == (True, 1, 60)


def test_reset_is_whole_seconds_rounded_up_and_never_0() -> None:
    clock = Clock()
    limiter = Limiter(1, 60, clock.timer)
    limiter.take("a")
    clock.move(59.9)
    assert limiter.take("a").headers()["Retry-After"] == "1"
