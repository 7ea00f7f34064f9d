"""Issues of all projects, refreshed with one request for the workspace, are what reading everything gives."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import TypeVar

import pytest
from app_world import Clock
from fake_plane import FakePlane, issue
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cache.change_check import WORKSPACE_ISSUES
from icsfeed.cache.lists import AFTER_FAILURE
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache, Duration
from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NotFound,
    NotPlane,
    PlaneError,
    ServerError,
    Throttled,
    Unreachable,
)
from icsfeed.model import Issue, Needs, Project
from icsfeed.plane.incremental import Rows, WorkspaceRow, WorkspaceRows
from icsfeed.plane.rate_limit import Budget
from icsfeed.plane.webhook import WebhookChange
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

KEYS = ("A", "B", "C", "D")
FOREIGN = "X"
"""A project that the key may see in the workspace's list only."""
WEEK = Duration(7 * 86_400)
Step = tuple[str, str, int]
T = TypeVar("T")


class Space(FakePlane):
    """A Commercial Plane: it lists the issues of all projects, with drafts and those of another project."""

    def __init__(self, *keys: str, clock: Clock) -> None:
        super().__init__(*keys)
        self.clock = clock
        self.numbers = count(100)
        self.of_issues = {key: [issue(key, number) for number in range(3)] for key in (*keys, FOREIGN)}
        self.drafts: dict[str, WorkspaceRow] = {}
        self.archived: dict[str, list[Issue]] = {key: [] for key in (*keys, FOREIGN)}
        self.meanwhile: tuple[int, Sequence[Step]] = (0, ())

    async def newest_rows(self, since: datetime | None) -> WorkspaceRows | None:
        rows = [
            WorkspaceRow(row.id, f"id-{key.lower()}", row.updated)
            for key, issues in self.of_issues.items()
            for row in issues
        ]
        rows = sorted((*rows, *self.drafts.values()), key=lambda row: row.updated, reverse=True)
        few = max(3, sum(since is None or row.updated >= since for row in rows))
        return await self._answer("newest", WorkspaceRows(tuple(rows[:few]), len(rows)))

    async def recent_issues(self, project: Project, since: datetime) -> Rows | None:
        rows = self._rows(project)
        recent = replace(rows, items=tuple(row for row in rows.items if row.updated >= since))
        return await self._answer(f"issues {project.key}", recent)

    async def _answer(self, what: str, value: T) -> T:
        value = await super()._answer(what, value)  # and while it is on its way, Plane goes on
        left, steps = self.meanwhile
        self.meanwhile = left - 1, steps if left > 0 else ()
        for step in steps if left == 0 else ():
            self.change(*step)
        return value

    def change(self, what: str, key: str, number: int) -> None:
        """Do something to the issue with this number in a project; Plane notes the time."""
        self.clock.move(0.001)  # no two changes are at the same moment
        issues, at = self.of_issues[key], self.clock()
        at_hand = issues[number % len(issues)] if issues else None
        if what == "create":
            issues.append(replace(issue(key, next(self.numbers)), updated=at))
        elif what == "draft":
            id_ = f"draft-{number}"
            self.drafts[id_] = WorkspaceRow(id_, f"id-{key.lower()}", at)
        elif what == "back" and self.archived[key]:
            issues.append(replace(self.archived[key].pop(), updated=at))
        elif at_hand and what in ("delete", "archive", "move"):
            issues.remove(at_hand)
            if what == "archive":
                self.archived[key].append(at_hand)
            elif what == "move":
                other = KEYS[number % len(KEYS)]
                self.of_issues[other].append(replace(at_hand, project=f"id-{other.lower()}", updated=at))
        elif at_hand and what == "edit":
            issues[issues.index(at_hand)] = replace(at_hand, name=f"{at_hand.name}!", updated=at)


class Case:
    """A workspace over it, whose issues alone grow old."""

    def __init__(
        self, *keys: str, store: Store | None = None, space: Space | None = None, limit: int = 100_000
    ) -> None:
        self.clock = space.clock if space else Clock()
        self.plane = space or Space(*(keys or KEYS), clock=self.clock)
        rests = dict.fromkeys(("projects", "members", "states", "labels", "cycles", "modules", "full"), WEEK)
        self.workspace = Workspace(
            "acme",
            self.plane,
            replace(Cache(), **rests),
            store=store or open_store("memory", {}),
            budget=Budget(timer=self.clock.timer, limit=limit),
            clock=self.clock,
            timer=self.clock.timer,
            chance=lambda: 0.0,
        )

    async def asked(self, seconds: float = 61) -> list[str]:
        """What was asked when everything is read after so many seconds."""
        self.clock.move(seconds)
        before = len(self.plane.asked)
        await self.workspace.view(lambda projects: projects, Needs())
        return sorted(self.plane.asked[before:])

    async def checking(self) -> "Case":
        """When the first check is done, and all projects have been read after it."""
        await self.asked(0)
        assert await self.asked() == ["issues A", "issues B", "issues C", "issues D", "newest"]
        return self

    def is_right(self) -> bool:
        known = self.workspace.resources.issue_lists
        return all(
            dict(known[project.id].items) == {row.id: row for row in self.plane.of_issues[project.key]}
            for project in self.plane.held_projects
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "edit", "delete", "archive", "back", "move", "draft"]),
        st.sampled_from([*KEYS, FOREIGN]),
        st.integers(0, 3),
    ),
    max_size=3,
)


# What comes back from the archive in the middle of a refresh may hide another deletion for some turns.
MEANWHILE = STEPS.map(lambda steps: [step for step in steps if step[0] != "back"])


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 9), MEANWHILE, st.booleans()), max_size=8))
def test_refreshing_gives_what_reading_everything_gives(
    rounds: list[tuple[list[Step], int, list[Step], bool]],
) -> None:
    """Also when Plane changes in the middle of a refresh: then the next one shows it."""

    async def play() -> None:
        case = await Case().checking()
        for steps, number, meanwhile, is_touched in rounds:
            for step in steps:
                case.plane.change(*step)
            if is_touched:
                case.workspace.resources.expire(case.plane.held_projects[number % 4], {"issues"})
            case.plane.meanwhile = number, meanwhile
            await case.asked(61 + number)
            case.plane.meanwhile = 0, ()
            if not meanwhile:
                assert case.is_right()
        await case.asked(200)
        assert case.is_right()

    asyncio.run(play())


async def test_an_unchanged_workspace_costs_a_check_and_the_turn_of_one_project() -> None:
    case = await Case().checking()
    turns = [await case.asked() for _ in range(5)]
    assert turns == [
        ["issues A", "newest"],
        ["issues B", "newest"],
        ["issues C", "newest"],
        ["issues D", "newest"],
        turns[0],
    ]
    assert case.workspace.read_at == case.clock()
    assert case.workspace.check.requests == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("edit", "C", 1)], "AC"),
        ([("create", "C", 1)], "AC"),
        ([("edit", "B", 1), ("create", "D", 2)], "ABD"),
        ([("edit", FOREIGN, 0), ("create", FOREIGN, 1)], "A"),
        ([("create", FOREIGN, 1)], "A"),
        ([("draft", "C", 1)], "AC"),
        ([("move", "C", 1)], "ABC"),
        ([("delete", "C", 1)], "ABCD"),
        ([("archive", "C", 1)], "ABCD"),
        ([("delete", "C", 1), ("create", "B", 1)], "ABCD"),
        ([("delete", FOREIGN, 1)], "ABCD"),
    ],
)
async def test_projects_are_read_that_changed_and_all_where_one_may_have_lost_something(
    steps: list[Step], expected: str
) -> None:
    case = await Case().checking()
    for step in steps:
        case.plane.change(*step)
    asked = await case.asked()
    assert {line[-1] for line in asked if line.startswith("issues")} == {*expected}
    assert asked.count("newest") == 1
    assert case.is_right()
    assert len(await case.asked()) == 2, "and nothing of it is asked again"


async def test_a_project_that_a_webhook_names_is_read_and_what_it_lost_is_no_riddle() -> None:
    case = await Case().checking()
    case.plane.change("delete", "C", 1)
    case.workspace.resources.expire(case.plane.held_projects[2], {"issues"})
    assert await case.asked(5) == ["ids C", "issues C", "issues C"]
    assert await case.asked() == ["issues A", "newest"]
    assert case.is_right()


async def test_so_is_one_that_is_not_fresh_anyway() -> None:
    case = await Case().checking()
    case.clock.move(61)
    case.workspace.resources.expire(case.plane.held_projects[2], {"issues"})
    assert await case.asked(0) == ["issues A", "issues C", "newest"]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (NotFound("it", "404"), 86_400),
        (NoAccess("it", "403"), 86_400),
        (BadAnswer("it", "400", status=400), 86_400),
        (BadAnswer("it", "cut off"), AFTER_FAILURE.total_seconds()),
        (KeyRefused("it", "401"), AFTER_FAILURE.total_seconds()),
        (NotPlane("it", "HTML"), AFTER_FAILURE.total_seconds()),
        (ServerError("it", "500"), AFTER_FAILURE.total_seconds()),
        (Unreachable("it", "no answer in time"), AFTER_FAILURE.total_seconds()),
    ],
)
async def test_where_there_is_no_such_list_each_project_is_read_and_it_is_asked_for_much_later(
    error: PlaneError, again: int
) -> None:
    case = Case()
    case.plane.failing["newest"] = error
    each = [f"issues {key}" for key in KEYS]
    await case.asked(0)
    assert await case.asked() == [*each, "newest"]
    assert case.workspace.last_error is None
    assert await case.asked() == each
    assert await case.asked(again - 150) == each
    assert await case.asked(100) == [*each, "newest"]
    assert case.workspace.resources.features.has(WORKSPACE_ISSUES) is False


async def test_a_list_that_is_refused_one_day_is_not_needed_any_more() -> None:
    case = await Case().checking()
    case.plane.failing["newest"] = NoAccess("it", "403")
    case.plane.change("delete", "B", 0)
    await case.asked()
    assert case.is_right()
    assert case.workspace.check.requests == 4


async def test_a_rate_limit_is_respected() -> None:
    case = await Case().checking()
    case.plane.failing["newest"] = Throttled("it", 30)
    assert set(await case.asked()) == {"newest"}
    assert isinstance(case.workspace.last_error, Throttled)
    case.plane.failing.clear()
    assert await case.asked() == ["issues A", "newest"]


async def test_few_projects_are_read_without_a_check() -> None:
    case = Case("A", "B")
    for _ in range(3):
        assert "newest" not in await case.asked()


async def test_pages_that_shifted_leave_each_project_to_be_read() -> None:
    case = await Case().checking()
    case.plane.newest_rows = _shifted  # type: ignore[method-assign]
    assert await case.asked() == [f"issues {key}" for key in KEYS]
    del case.plane.newest_rows
    assert await case.asked() == [*(f"issues {key}" for key in KEYS), "newest"], "a new beginning"
    assert len(await case.asked()) == 2


async def _shifted(since: datetime | None) -> WorkspaceRows | None:
    return None


async def test_a_sync_reads_each_project_whole() -> None:
    case = await Case().checking()
    # Nothing tells: neither the time nor the total moves.
    case.plane.of_issues["B"][0] = replace(case.plane.of_issues["B"][0], name="Another")
    await case.asked()
    case.clock.move(61)
    await case.workspace.sync()
    assert case.is_right()
    assert len(await case.asked()) <= 5


async def test_a_lost_project_is_not_confirmed() -> None:
    case = await Case().checking()
    lost = case.plane.held_projects.pop(1)
    case.workspace.resources.projects.expire()
    await case.asked()
    before = case.workspace.resources.read_at(lost)
    await case.asked()
    assert case.workspace.resources.read_at(lost) == before


async def test_replicas_each_check_and_share_what_they_read() -> None:
    store = open_store("memory", {})
    one = await Case(store=store).checking()
    other = Case(store=store, space=one.plane)
    await other.asked(0)
    for _ in range(6):
        await one.asked()
        await other.asked(0)
    one.plane.change("edit", "C", 1)
    one.plane.change("delete", "D", 1)
    await one.asked()
    await other.asked(0)
    assert one.is_right()
    assert other.is_right()


async def test_issues_that_a_check_covers_are_read_at_their_ttl_however_tight_the_budget_is() -> None:
    case = Case(*(f"P{number}" for number in range(40)), limit=25)
    watch = BackgroundRefresh(case.workspace, Cache(), case.clock.timer)
    ttls = case.workspace.resources.ttls
    await case.asked(0)
    await case.asked(61)
    await watch.refresh_stale()
    assert ttls["issues"].stretch == ttls["states"].stretch > 2
    await case.asked(600)
    await watch.refresh_stale()
    assert case.workspace.check.requests == 2
    assert ttls["states"].stretch > ttls["issues"].stretch == 1
    project = frozenset({case.plane.held_projects[3].id})
    watch.touch(WebhookChange(action="update", resources=frozenset({"issues"}), projects=project))
    await watch.refresh_stale()
    assert ttls["issues"].seconds == 60, "webhooks are no reason to read them less"
    await watch.close()
