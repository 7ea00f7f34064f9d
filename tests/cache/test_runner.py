"""Plane is left alone after failures, longer each time."""

import pytest
from app_world import Clock

from icsfeed.cache.runner import Backoff
from icsfeed.errors import Throttled, Unreachable

DOWN = Unreachable("it", "no answer in time")


def test_backoff_doubles_from_five_seconds_to_five_minutes() -> None:
    clock = Clock()
    backoff = Backoff(clock.timer, lambda: 0.0)
    waits = []
    for _ in range(9):
        backoff.failed(DOWN)
        waits.append(backoff.seconds_left)
        clock.move(backoff.seconds_left)
        assert backoff.seconds_left == 0
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert backoff.error is DOWN


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (Throttled("it", 42), 42),
        (Throttled("it", 1), 5),
        (Unreachable("it", "503", retry_after=1000), 1000),
        (Unreachable("it", "503"), 5),
    ],
)
def test_a_backoff_is_never_shorter_than_plane_asks(error: Throttled | Unreachable, wait: float) -> None:
    backoff = Backoff(Clock().timer, lambda: 0.0)
    backoff.failed(error)
    assert backoff.seconds_left == wait


def test_chance_makes_a_backoff_shorter_by_up_to_a_quarter() -> None:
    clock = Clock()
    for chance, wait in ((0.0, 5.0), (0.5, 4.375), (1.0, 3.75)):
        backoff = Backoff(clock.timer, lambda chance=chance: chance)  # type: ignore[misc]
        backoff.failed(DOWN)
        assert backoff.seconds_left == pytest.approx(wait)


def test_a_backoff_can_be_ended_unless_plane_asked_for_it() -> None:
    backoff, asked = (Backoff(Clock().timer, lambda: 0.0) for _ in range(2))
    backoff.failed(DOWN)
    asked.failed(Throttled("it", 42))
    backoff.end()
    asked.end()
    assert (backoff.seconds_left, backoff.error, asked.seconds_left) == (0, DOWN, 42)


def test_after_a_success_backoff_starts_small_again() -> None:
    backoff = Backoff(Clock().timer, lambda: 0.0)
    backoff.failed(DOWN)
    backoff.failed(DOWN)
    backoff.succeeded()
    assert (backoff.seconds_left, backoff.error) == (0, None)
    backoff.failed(DOWN)
    assert backoff.seconds_left == 5
