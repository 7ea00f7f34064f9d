"""The demo's sample workspace, to change."""

from collections.abc import Callable
from datetime import date, datetime

from icsfeed.demo import sample as demo
from icsfeed.demo.editions import COMMUNITY, Edition
from plane.data import PlaneData, changeable, utc_now


def sample(
    today: date,
    *,
    issues: int = 0,
    clock: Callable[[], datetime] = utc_now,
    edition: Edition = COMMUNITY,
) -> PlaneData:
    """As `icsfeed.demo.sample.sample`; `clock` is for what changes afterwards."""
    return changeable(demo.sample(today, issues=issues, edition=edition), clock)
