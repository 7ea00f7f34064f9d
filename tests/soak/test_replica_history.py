"""Histories of three servers over one Redis, with faults: what they answer is checked afterwards.

ICSFEED_HISTORY_SECONDS=300 ICSFEED_HISTORY_SEED=1 .venv/bin/pytest tests/soak/test_replica_history.py -s

The seed is printed. It says what happens; Redis and the machine have a say in when it does.
"""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
from history import Answer, History, Item, Part, Read, Request, first, violations
from redis_world import RedisServer, redis_server
from replicas import Chances, LockedStore, Replicas

pytestmark = pytest.mark.anyio

SECONDS = float(os.environ.get("ICSFEED_HISTORY_SECONDS", "4"))
SEED = int(os.environ.get("ICSFEED_HISTORY_SEED") or time.time_ns() % 1_000_000)
NEVER = 1e6
KILLS = Chances(cut=NEVER, pause=NEVER)
"""While Redis answers, what one server has shown counts for all of them."""
QUIET = Chances(kill=NEVER, cut=NEVER, pause=NEVER)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("chances", "seed"), [(Chances(), SEED), (KILLS, 1)], ids=["with all faults", "with kills"]
)
async def test_no_reader_sees_what_must_not_be_whatever_happens_to_the_servers(
    redis: RedisServer, chances: Chances, seed: int
) -> None:
    print(f"history: seed {seed}", end=" ", flush=True)  # noqa: T201
    world = Replicas(redis, seed)
    history = await world.run(SECONDS, chances)
    print(f"{len(history.answers)} answers, {len(history.requests)} requests", dict(world.counts))  # noqa: T201
    assert first(violations(history)) == []
    assert len({answer.replica for answer in history.answers}) == 3
    assert history.reads


class NoLocks(LockedStore):
    """As if there were no lock and no lease that replicas share."""

    @asynccontextmanager
    async def lock(self, name: str, seconds: float, wait: float = 0.0) -> AsyncIterator[bool]:  # noqa: ARG002
        yield True

    async def run_script(self, *_: object) -> int | None:
        return None


async def test_without_locks_the_history_shows_it(redis: RedisServer) -> None:
    history = await Replicas(redis, 1, NoLocks).run(SECONDS, QUIET)
    assert [text for text in violations(history) if "at once" in text]


ONE, TWO = (f"plane-issue-{number}@calplanebot" for number in (1, 2))
DAY = date(2026, 11, 23)


def item(uid: str, version: int) -> Item:
    return uid, f"v{version}", DAY


def part(uid: str, version: int) -> tuple[str, Part]:
    return uid, (item(uid, version), f"20261123T1000{version:02}Z", version, f"{version}")


def answer(at: float, *parts: tuple[str, Part], replica: str = "a", life: int = 1, **more: object) -> Answer:
    """One answer for the feed of the project whose item is `ONE`."""
    versions = "-".join(f"{found[1]}" for _, found in parts)
    known = Answer(
        *(replica, life, "one", at, at, (int(10 * at), int(10 * at) + 1), 200),
        etag=versions,
        last_modified="Mon, 23 Nov 2026 10:00:00 GMT",
        parts=dict(parts),
    )
    return known._replace(**more)  # type: ignore[arg-type]


def history(*answers: Answer, **more: object) -> History:
    """Of two projects: `ONE` is changed at 20, 40 and 60, and `TWO` stays."""
    past = {
        "ONE": [(20.0 * number, frozenset({item(ONE, number)})) for number in range(4)],
        "TWO": [(0.0, frozenset({item(TWO, 1)}))],
    }
    known = History(past, {"one": ["ONE"]}, answers, [], [], [], 30.0, 200.0)
    return known._replace(**more)  # type: ignore[arg-type]


REFUSED = Request("a", 1, 10.0, 11.0, wait=20.0)
CASES = [
    ("empty", history(answer(1))),
    ("twice", history(answer(1, part(ONE, 0), repeated=(ONE,)))),
    ("of another", history(answer(1, part(ONE, 0), part(TWO, 1)))),
    ("was never like this", history(answer(1, part(ONE, 7)))),
    ("was shown before", history(answer(45, part(ONE, 2)), answer(46, part(ONE, 1)))),
    (
        "was shown before",
        history(answer(65, part(ONE, 3), replica="b"), answer(99, part(ONE, 2), replica="a")),
    ),
    ("s old", history(answer(199, part(ONE, 2)))),
    ("status 500", history(answer(1, part(ONE, 0), status=500))),
    ("status 503", history(answer(1, part(ONE, 0)), answer(2, status=503))),
    ("same ETag", history(answer(1, part(ONE, 0), etag="x"), answer(21, part(ONE, 1), etag="x"))),
    (
        "Last-Modified fell",
        history(
            answer(1, part(ONE, 0)),
            answer(2, part(ONE, 0), last_modified="Mon, 23 Nov 2026 09:00:00 GMT"),
        ),
    ),
    (
        "fell from",
        history(
            answer(1, part(ONE, 0)),
            answer(21, (ONE, (item(ONE, 1), "20261123T095959Z", 1, "1"))),
        ),
    ),
    (
        "at the same LAST-MODIFIED",
        history(
            answer(1, part(ONE, 0)),
            answer(21, (ONE, (item(ONE, 1), "20261123T100000Z", 1, "1"))),
        ),
    ),
    ("at once", history(reads=[Read("a", "ONE", 1, 3, True), Read("b", "ONE", 2, 4, True)])),
    (
        "sent a request",
        history(requests=[REFUSED, Request("a", 1, 20.0, 21.0)]),
    ),
    (
        "was refused at",
        history(requests=[REFUSED, Request("a", 1, 35.0, 36.0, wait=1.0)]),
    ),
]


@pytest.mark.parametrize(("text", "bad"), CASES, ids=[text for text, _ in CASES])
def test_each_violation_is_found(text: str, bad: History) -> None:
    assert [found for found in violations(bad) if text in found]


@pytest.mark.parametrize(
    "good",
    [
        history(answer(1, part(ONE, 0)), answer(45, part(ONE, 1)), answer(46, part(ONE, 2))),
        history(answer(65, part(ONE, 3), replica="b"), answer(66, part(ONE, 2), replica="a")),
        history(answer(65, part(ONE, 3)), answer(66, part(ONE, 2), life=2)),
        history(answer(1, status=503), answer(2, part(ONE, 0))),
        history(answer(199, part(ONE, 1)), troubled=[(150.0, 180.0)]),
        history(reads=[Read("a", "ONE", 1, 3, True), Read("b", "TWO", 2, 4, True)]),
        history(reads=[Read("a", "ONE", 1, 3, False), Read("b", "ONE", 2, 4, False)], troubled=[(0.0, 1.0)]),
        history(requests=[REFUSED, Request("b", 1, 20.0, 21.0), Request("a", 2, 20.0, 21.0)]),
    ],
)
def test_what_is_allowed_is_not_a_violation(good: History) -> None:
    assert list(violations(good)) == []
