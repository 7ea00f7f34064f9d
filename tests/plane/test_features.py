"""Which optional lists a Plane has is found out by asking, and asked again a day after a refusal."""

from datetime import UTC, datetime, timedelta

import pytest

from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NoSuchPath,
    NotFound,
    NotPlane,
    PlaneError,
    ServerError,
    Throttled,
    Unreachable,
)
from icsfeed.plane.features import Features, is_refusal

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_what_was_never_asked_for_is_asked_for() -> None:
    features = Features()
    assert features.has("milestones") is None
    assert features.should_ask("milestones", NOW)


def test_what_was_refused_is_asked_for_again_after_a_day() -> None:
    features = Features()
    features.refused("milestones", NOW)
    assert features.has("milestones") is False
    assert not features.should_ask("milestones", NOW + 23 * HOUR)
    assert features.should_ask("milestones", NOW + 24 * HOUR)
    assert features.should_ask("releases", NOW), "each by itself"


def test_a_clock_that_was_set_back_does_not_keep_it_from_being_asked_for() -> None:
    features = Features()
    features.refused("milestones", NOW)
    assert features.should_ask("milestones", NOW - 25 * HOUR)


def test_what_only_failed_is_asked_for_again_sooner() -> None:
    features = Features()
    features.refused("milestones", NOW, HOUR)
    assert not features.should_ask("milestones", NOW)
    assert features.should_ask("milestones", NOW + HOUR)


def test_the_last_answer_counts() -> None:
    features = Features()
    features.refused("milestones", NOW)
    features.answered("milestones")
    assert features.has("milestones") is True
    assert features.should_ask("milestones", NOW)
    features.refused("milestones", NOW)
    assert features.has("milestones") is False


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoAccess("it", "403"), True),
        (NotFound("it", "404"), True),
        (NoSuchPath("it", "404"), True),
        (BadAnswer("it", "400", status=400), True),
        (BadAnswer("it", "402", status=402), True),
        (BadAnswer("it", "405", status=405), True),
        (BadAnswer("it", "501", status=501), True),
        (BadAnswer("it", "409", status=409), False),
        (BadAnswer("it", "cut off"), False),
        (KeyRefused("it", "401"), False),
        (NotPlane("it", "HTML"), False),
        (Throttled("it", 5), False),
        (Unreachable("it", "502"), False),
        (ServerError("it", "500"), False),
    ],
)
def test_which_errors_are_refusals(error: PlaneError, expected: bool) -> None:
    assert is_refusal(error) is expected


def test_what_was_refused_is_asked_for_again_once_refusals_are_forgotten() -> None:
    features = Features()
    features.refused("milestones", NOW)
    features.answered("releases")
    features.forget_refusals()
    assert features.should_ask("milestones", NOW)
    assert (features.has("milestones"), features.has("releases")) == (None, True)
