"""Three replicas, one Redis, 1,000 projects in 10 workspaces with a key each, 5,000 links, and a day.

    .venv/bin/python tests/soak/simulated_day.py [--hours N] [--seed N] [--faults] [--seconds N]

Every hour one replica is killed in the middle of what it does, and started again a few minutes later. Every
answer is checked (plane_history.py), and at Plane every request. With --faults, replicas are also stopped for
a minute (SIGSTOP), and Redis loses what it had, or is put back to what it held up to 20 minutes before.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from app_world import TODAY
from fleet import Fleet
from fleet_world import SUBSCRIBERS, Scale, settings
from plane_history import History, Reader, Violation
from redis_world import redis_server

from icsfeed.demo.data import DemoProject
from icsfeed.feeds.links import Links

NAMES = ("a", "b", "c")
WARM_SECONDS = 2_400.0
"""Until every project was read once, within the budget; readers come from then on."""
SLACK_SECONDS = 90.0
"""What an answer may be older than the TTL: looks, the read, and a lease that must run out first."""
AGAIN_SECONDS = 30.0
"""Between two requests of the same reader, at least. Replicas may differ for as long as a look takes."""
CHANGE_SECONDS = 300.0
"""Between two changes in a workspace, on average."""


class Day:
    """A run of so many hours. `polls`: seconds between a reader's requests, on average."""

    def __init__(self, scale: Scale, address: str, folder: Path, seed: int, polls: float) -> None:
        self.rng = Random(seed)
        self.scale, self.polls = scale, polls
        self.fleet = Fleet(scale, address, folder, seed)
        self.counts: Counter[str] = Counter()
        self.ages: list[float] = []
        self.waits: list[float] = []
        self.violations: list[str] = []
        by_key = {(p.slug, p.row["identifier"]): p for p in self.fleet.data.projects.values()}
        self.histories = {name: History(by_key[where]) for name, where in scale.feeds.items()}
        links = Links(settings(scale))
        bound = scale.issues_ttl + SLACK_SECONDS
        self.readers = [
            Reader(links.ics_path(name, subscriber), history, bound)
            for name, history in self.histories.items()
            for subscriber in ("", *SUBSCRIBERS)
        ]
        for history in self.histories.values():
            history.note(0.0)

    def run(self, hours: int, faults: bool) -> None:
        fleet = self.fleet
        for name in NAMES:
            fleet.start(name)
        fleet.run(WARM_SECONDS)
        for reader in self.readers:
            self._later(self.polls, partial(self._poll, reader))
        for number in range(self.scale.workspaces):
            self._later(CHANGE_SECONDS, partial(self._change, f"w{number}"))
        for hour in range(hours):
            fleet.at(WARM_SECONDS + 3_600 * (hour + self.rng.random()), self._kill)
            if faults:
                fleet.at(WARM_SECONDS + 3_600 * (hour + self.rng.random()), self._pause)
                fleet.at(WARM_SECONDS + 3_600 * (hour + self.rng.random()), self._lose)
        for hour in range(hours):
            fleet.run(WARM_SECONDS + 3_600 * (hour + 1))
            self._report(hour + 1)

    def _later(self, mean: float, do: Callable[[], None]) -> None:
        self.fleet.after(AGAIN_SECONDS + (mean - AGAIN_SECONDS) * 2 * self.rng.random(), do)

    def _poll(self, reader: Reader) -> None:
        asked = self.fleet.now
        headers = reader.headers(conditional=self.rng.random() < 0.9)

        def ask() -> None:
            # Any of them, as a load balancer without affinity would.
            self.fleet.ask(self.rng.choice(self.fleet.serving()), reader.path, headers, answered)

        def answered(answer: Mapping[str, Any] | None) -> None:
            if answer is None:  # killed before it could answer: a proxy asks the next one
                self.counts["asked again"] += 1
                ask()
                return
            self.counts[str(answer["status"])] += 1
            self.waits.append(self.fleet.now - asked)
            try:
                self.ages.append(reader.check(answer, asked, self.fleet.now))
            except Violation as violation:
                self.violations.append(f"{self.fleet.now:.0f} s: {violation}")
            self._later(self.polls, partial(self._poll, reader))

        ask()

    def _change(self, slug: str) -> None:
        self.counts["changes"] += 1
        history = self.rng.choice([h for h in self.histories.values() if h.project.slug == slug])
        changed(history.project, self.counts["changes"] + 1_000, self.fleet, self.rng)
        history.note(self.fleet.now)
        self._later(CHANGE_SECONDS, partial(self._change, slug))

    def _kill(self) -> None:
        if len(serving := self.fleet.serving()) > 1:
            name = self.rng.choice(serving)
            self.counts["killed"] += 1
            self.fleet.kill(name)
            self.fleet.after(60 + 240 * self.rng.random(), lambda: self.fleet.start(name))

    def _pause(self) -> None:
        if len(serving := self.fleet.serving()) > 1:
            name = self.rng.choice(serving)
            self.counts["stopped"] += 1
            self.fleet.pause(name)
            self.fleet.after(60, lambda: self.fleet.resume(name))

    def _lose(self) -> None:
        """Redis forgets everything, or is put back to what it held some time ago."""
        before = self.fleet.dump()
        if self.rng.random() < 0.3:
            self.counts["lost"] += 1
            self.fleet.put_back({})
        else:
            self.counts["put back"] += 1
            self.fleet.after(1_200 * self.rng.random(), lambda: self.fleet.put_back(before))

    def _report(self, hour: int) -> None:
        found = f"{len(self.violations)} violations, {len(self.fleet.clashes)} clashes"
        print(f"hour {hour}: {dict(self.counts)}, {found}", flush=True)  # noqa: T201

    def figures(self) -> dict[str, object]:
        by_replica: Counter[str] = Counter()
        for (replica, _), requests in self.fleet.requests.items():
            by_replica[replica] += requests
        ages = sorted(self.ages)
        return {
            **self.counts,
            "requests to Plane": sum(by_replica.values()),
            "by replica": dict(by_replica),
            "refused by Plane": self.fleet.refused,
            "longest age": round(ages[-1]),
            "median age": round(ages[len(ages) // 2]),
            "waited a second": sum(wait >= 1 for wait in self.waits),
            "longest wait": max(self.waits),
            "longest takeover": round(max(self.fleet.takeovers, default=0.0), 1),
            "clashes": len(self.fleet.clashes),
            "violations": len(self.violations),
        }


def changed(project: DemoProject, number: int, fleet: Fleet, rng: Random) -> None:
    """Change something in a project."""
    data, issues = fleet.data, project.shown()
    fields = {"name": f"Thing v{number}", "target_date": TODAY.isoformat()}
    kind = rng.randrange(4)
    if kind == 0 and len(issues) > 3:
        del project.issues[rng.choice(issues)["id"]]
    elif kind == 1 and len(issues) < 20:
        data.create_issue(project.row["id"], {**fields, "state": next(iter(project.states))})
    else:
        data.edit(rng.choice(issues), name=fields["name"])


def simulate(scale: Scale, given: argparse.Namespace, seed: int) -> Day:
    """Run once, and print the figures and what is wrong."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        day = Day(scale, server.address, Path(folder), seed, given.polls)
        try:
            day.run(given.hours, given.faults)
        finally:
            day.fleet.close()
        if day.violations or day.fleet.clashes:
            for name in NAMES:
                print(name, (Path(folder) / f"{name}.log").read_text()[-3_000:])  # noqa: T201
    for text in (*day.fleet.clashes[:20], *day.violations[:20]):
        print(text)  # noqa: T201
    print(f"seed {seed}, {time.monotonic() - began:.0f} s:", day.figures(), flush=True)  # noqa: T201
    return day


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--workspaces", type=int, default=10)
    parser.add_argument("--projects", type=int, default=100, help="in each workspace")
    parser.add_argument("--polls", type=float, default=14_400, help="seconds between requests of a reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--seconds", type=float, default=0, help="go on with the next seeds for so long")
    given = parser.parse_args()
    scale, seed = Scale(given.workspaces, given.projects), given.seed
    until, wrong, answers = time.monotonic() + given.seconds, 0, 0
    while seed == given.seed or time.monotonic() < until:
        day = simulate(scale, given, seed)
        wrong += len(day.violations) + len(day.fleet.clashes)
        answers += len(day.waits)
        seed += 1
    print(f"{seed - given.seed} runs, {answers} answers, {wrong} wrong")  # noqa: T201
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
