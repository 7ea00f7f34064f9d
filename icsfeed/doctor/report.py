"""`icsfeed doctor`: asks for a feed as the calendar apps do, and says what each will make of it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from icsfeed.doctor.observations import FeedResponse, NoResponse, Observations
from icsfeed.doctor.probe import examine, open_doctor
from icsfeed.doctor.verdict import Verdict, is_readable, judge

WORKS, PARTLY, UNREACHABLE, NO_CALENDAR = 0, 4, 69, 76


async def doctor(url: str) -> tuple[Observations, Sequence[Verdict]]:
    """What was seen of the feed, and a verdict for each app. Raises InvalidValue when `url` is no address."""
    async with open_doctor(url) as client:
        seen = await examine(client, url)
    return seen, judge(seen)


def severity(seen: Observations, verdicts: Sequence[Verdict]) -> int:
    """The exit code: whether there is an answer, a calendar in it, and no app that fails on it."""
    if isinstance(seen.first, NoResponse):
        return UNREACHABLE
    if not is_readable(seen):
        return NO_CALENDAR
    return PARTLY if any(verdict.word == "fails" for verdict in verdicts) else WORKS


def report(seen: Observations, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """For scripts: the feed in a few words, and the verdicts."""
    first = seen.first
    found = {"status": first.status, "bytes": len(first.body)} if isinstance(first, FeedResponse) else {}
    return {"feed": found, "apps": msgspec.to_builtins(verdicts)}
