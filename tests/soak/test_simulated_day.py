"""Three replicas as processes and a simulated few hours of faults: every answer and every request is checked.

The whole day, and long runs with other seeds, are commands (simulated_day.py).
"""

from pathlib import Path

from fleet import Fleet
from fleet_world import Scale
from redis_world import redis_server
from simulated_day import SLACK_SECONDS, Day

SCALE = Scale(workspaces=3, projects=4, issues_ttl=300, names_ttl=1_800, tick=5.0, grid=1.0)
HOURS = 2


def test_replicas_that_are_killed_and_stopped_and_a_redis_that_forgets_are_noticed_by_no_reader(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path) as server:
        day = Day(SCALE, server.address, tmp_path, seed=5, polls=600)
        try:
            day.run(HOURS, faults=True)
        finally:
            day.fleet.close()
    found = day.figures()
    assert day.violations == []
    assert day.fleet.clashes == []
    assert day.fleet.refused == 0
    assert max(day.ages) <= SCALE.issues_ttl + SLACK_SECONDS
    assert max(day.waits) <= 5 + SCALE.grid
    assert max(day.fleet.takeovers) <= 15
    assert min(day.counts[name] for name in ("200", "304", "changes", "killed", "stopped")) > 0
    shares = found["by replica"]
    assert isinstance(shares, dict)
    assert set(shares) == {"a", "b", "c"}, "each has read"


def test_a_step_of_time_is_on_the_grid(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        fleet = Fleet(SCALE, server.address, tmp_path, seed=1)
        done: list[float] = []
        fleet.at(1.2, lambda: done.append(fleet.now))
        fleet.at(1.9, lambda: done.append(fleet.now))
        fleet.run(10)
        fleet.close()
    assert done == [2.0, 2.0]
