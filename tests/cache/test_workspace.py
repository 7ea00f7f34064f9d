"""One workspace kept fresh: what is read of Plane, when, and what readers get when it fails."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import pytest
from app_world import NOW, Clock
from fake_plane import FakePlane, cycle, issue
from msgspec.structs import replace

from icsfeed.cache.runner import MAX_CONCURRENT_PROJECTS
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NameNotFound,
    NoAccess,
    NotFound,
    PlaneError,
    Throttled,
    Unreachable,
)
from icsfeed.model import Label, Needs, OtherProject, Person, Project, State, View
from icsfeed.plane.rate_limit import Budget
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

DOWN = Unreachable("it", "no answer in time")
FORBIDDEN = NoAccess("it", "not for you")
PAST, AHEAD = date(2026, 3, 1), date(2026, 12, 24)


class Case(NamedTuple):
    """A workspace over a fake Plane, and the clock of both."""

    plane: FakePlane
    workspace: Workspace
    clock: Clock

    async def view(self, needs: Needs = Needs()) -> View | None:  # noqa: B008 - frozen
        return await self.workspace.view(_all, needs)

    async def known(self, needs: Needs = Needs()) -> View:  # noqa: B008 - frozen
        view = await self.view(needs)
        assert view is not None
        return view

    async def settled(self) -> None:
        """When what was under way has ended, however slow the machine is."""
        for _ in range(100):
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if not others:
                return
            await asyncio.wait(others, timeout=0.05)


def _case(*keys: str, deadline: float = 5, only: Sequence[str] = (), links: bool = True) -> Case:
    plane, clock = FakePlane(*(keys or ("PROP",))), Clock()
    cache = replace(Cache(), deadline=deadline)
    workspace = Workspace(
        "acme",
        plane,
        cache,
        store=open_store("memory", {}),
        budget=Budget(timer=clock.timer, limit=100_000),
        clock=clock,
        timer=clock.timer,
        chance=lambda: 0.0,
        keys=only,
        needs=Needs(links=links),
    )
    return Case(plane, workspace, clock)


def _all(projects: tuple[Project, ...]) -> tuple[Project, ...]:
    return projects


def _issues(view: View | None) -> dict[str, int]:
    """How many issues are known of each project."""
    assert view is not None
    return {snapshot.project.key: len(snapshot.issues) for snapshot in view.snapshots}


# One read for all


async def test_two_hundred_readers_cost_one_read_of_each_thing() -> None:
    case = _case("PROP", "OPS")
    views = await asyncio.gather(*(case.view() for _ in range(200)))
    assert all(view is not None for view in views)
    expected = {
        f"{what} {key}"
        for what in ("issues", "states", "labels", "cycles", "modules")
        for key in ("PROP", "OPS")
    }
    assert sorted(case.plane.asked) == sorted(expected | {"projects", "members"})


async def test_readers_of_different_projects_share_what_they_have_in_common() -> None:
    case = _case("PROP", "OPS")
    chosen = [case.workspace.view(lambda projects: projects[:1], Needs()), case.view(), case.view()]
    await asyncio.gather(*chosen)
    assert (case.plane.count("members"), case.plane.count("issues PROP")) == (1, 1)


async def test_only_the_chosen_projects_are_read() -> None:
    case = _case("PROP", "OPS")
    view = await case.workspace.view(lambda projects: projects[1:], Needs())
    assert _issues(view) == {"OPS": 1}
    assert case.plane.count("issues PROP") == 0


async def test_few_projects_are_asked_at_the_same_time() -> None:
    case = _case(*(f"P{number}" for number in range(10)), deadline=0.05)
    await case.view()
    case.clock.move(61)
    await case.view()  # asks whether this edition lists the issues of a workspace
    await case.settled()  # on a busy machine, not all was read within the deadline
    case.plane.asked.clear()
    case.plane.of_issues["P0"] = []
    case.clock.move(61)
    case.plane.open.clear()
    await case.view()
    assert case.plane.count("issues") == MAX_CONCURRENT_PROJECTS
    case.plane.open.set()
    await case.settled()
    # The emptied one is looked at once more, when its ids are known.
    assert case.plane.count("issues") == 11


# Freshness


@pytest.mark.parametrize(
    ("what", "seconds"),
    [
        ("projects", 120),
        ("members", 600),
        ("issues", 60),
        ("states", 300),
        ("labels", 300),
        ("cycles", 300),
        ("modules", 300),
        ("held", 300),
    ],
)
async def test_each_resource_is_read_again_after_its_own_time(what: str, seconds: int) -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", "Sprint", AHEAD)]
    await case.view()
    case.clock.move(seconds - 1)
    await case.view()
    assert case.plane.count(what) == 1
    case.clock.move(2)
    await case.view()
    assert case.plane.count(what) == 2


async def test_an_unchanged_read_changes_nothing_but_the_time_of_the_read() -> None:
    case = _case()
    before = await case.known()
    case.clock.move(3_600)
    after = await case.known()
    assert after.snapshots[0] is before.snapshots[0]
    assert after.stamp == before.stamp
    assert (before.read_at, after.read_at) == (NOW, case.clock.now)


@pytest.mark.parametrize("what", ["issues", "states", "labels", "members", "cycles", "projects", "held"])
async def test_a_change_of_any_part_gives_another_stamp(what: str) -> None:
    case = _case()
    sprint = cycle("PROP", "Sprint", AHEAD)
    case.plane.of_periods["PROP"] = [sprint]
    before = await case.known()
    match what:
        case "issues":
            case.plane.of_issues["PROP"].append(issue("PROP", 2))
        case "states":
            case.plane.of_states["PROP"] = [State("todo-PROP", "To do", "unstarted")]
        case "labels":
            case.plane.of_labels["PROP"] = [Label("bug-PROP", "defect")]
        case "members":
            case.plane.people.append(Person("ben", "Ben"))
        case "cycles":
            case.plane.of_periods["PROP"] = [replace(sprint, name="Sprint 2")]
        case "projects":
            case.plane.held_projects = [Project("id-prop", "PROP", "Renamed")]
        case "held":
            case.plane.held[sprint.id] = frozenset({"PROP-1"})
    case.clock.move(601)
    after = await case.known()
    assert after.stamp != before.stamp
    assert after.snapshots[0] is not before.snapshots[0]


async def test_a_name_that_changed_alone_revises_the_issues_that_show_it() -> None:
    case = _case()
    await case.view()
    case.plane.of_labels["PROP"] = [Label("bug-PROP", "defect")]
    case.clock.move(301)
    view = await case.known()
    assert view.snapshots[0].touched == {"PROP-1": case.clock.now}


async def test_a_project_that_may_not_be_read_leaves_the_others_alone() -> None:
    """It is missing, and said to be; where nothing else is asked for there is nothing to show."""
    case = _case("PROP", "OPS")
    case.plane.failing["issues OPS"] = NoAccess("it", "no")
    view = await case.known()
    assert _issues(view) == {"PROP": 1}
    assert [project.key for project in view.unread] == ["OPS"]
    assert case.workspace.is_ready
    assert case.workspace.unread == {"closed": 1}
    only = await case.workspace.view(lambda projects: projects[1:], Needs())
    assert only is None
    case.plane.failing.clear()
    case.clock.move(400)
    view = await case.known()
    assert (_issues(view), view.unread) == ({"PROP": 1, "OPS": 1}, ())


async def test_a_project_that_was_archived_is_gone() -> None:
    case = _case("PROP", "OPS")
    await case.view()
    case.plane.others.append(OtherProject(case.plane.held_projects.pop(), archived=True))
    case.clock.move(121)
    assert _issues(await case.view()) == {"PROP": 1}
    assert case.workspace.resources.lost == {}


@pytest.mark.parametrize("listed", [True, False], ids=["public, not joined", "not listed"])
async def test_a_project_that_the_keys_owner_has_left_stays_as_it_was(
    listed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Plane answers for it as for one that was deleted: its events must not go for that."""
    case = _case("PROP", "OPS")
    await case.view()
    left = case.plane.held_projects.pop()
    if listed:
        case.plane.others.append(OtherProject(left, archived=False))
    case.plane.failing["issues OPS"] = NoAccess("it", "no")
    for _ in range(3):
        case.clock.move(121)
        assert _issues(await case.view()) == {"PROP": 1, "OPS": 1}
    assert list(case.workspace.resources.lost) == [left.id]
    assert [record.message for record in caplog.records if "not listed any more" in record.message] == [
        "workspace acme: project OPS (id-ops) is not listed any more: the key's owner has left it, or it was "
        "deleted. Its last copy is shown. If it was deleted, name the other ones in `projects` of the "
        "workspace"
    ]
    assert "project OPS of workspace 'acme': not listed any more since" in str(case.workspace.last_error)
    assert case.plane.count("issues OPS") == 1, "it is not asked for any more"
    assert case.workspace.is_ready
    assert case.workspace.unread == {"lost": 1}
    case.plane.held_projects.append(left)
    case.plane.others.clear()
    case.plane.failing.clear()
    case.clock.move(400)
    await case.view()
    assert case.workspace.resources.lost == {}


async def test_a_project_that_a_webhook_calls_deleted_is_gone() -> None:
    case = _case("PROP", "OPS")
    await case.view()
    case.workspace.resources.deleted.add(case.plane.held_projects.pop().id)
    case.clock.move(121)
    assert _issues(await case.view()) == {"PROP": 1}


@pytest.mark.parametrize(
    ("only", "seen"), [((), ["PROP", "OPS"]), (("prop",), ["PROP"]), (("ID-ops",), ["OPS"]), (("NONE",), [])]
)
async def test_the_configuration_may_limit_the_projects(only: tuple[str, ...], seen: list[str]) -> None:
    case = _case("PROP", "OPS", only=only)
    view = await case.known()
    assert [project.key for project in view.projects] == seen
    assert case.plane.count("issues") == len(seen)


async def test_what_the_choice_raises_reaches_the_reader() -> None:
    def choose(projects: tuple[Project, ...]) -> tuple[Project, ...]:
        raise NameNotFound("feed", "project", "X", [project.key for project in projects])

    with pytest.raises(NameNotFound, match="PROP"):
        await _case().workspace.view(choose, Needs())


# Names that are not known yet


@pytest.mark.parametrize("field", ["state", "labels", "assignees"])
async def test_an_unknown_id_has_the_names_read_again_once(field: str) -> None:
    case = _case()
    await case.view()
    value = "new" if field == "state" else ("new",)
    case.plane.of_issues["PROP"] = [replace(issue("PROP"), **{field: value})]
    for _ in range(3):
        case.clock.move(61)
        await case.view()
    assert [case.plane.count(what) for what in ("states", "labels", "members")] == [2, 2, 2]


async def test_a_new_name_is_there_in_the_view_that_first_needs_it() -> None:
    case = _case()
    await case.view()
    case.plane.of_labels["PROP"].append(Label("new", "urgent!"))
    case.plane.of_issues["PROP"] = [replace(issue("PROP"), labels=("new",))]
    case.clock.move(61)
    view = await case.known()
    assert view.snapshots[0].labels["new"].name == "urgent!"


async def test_every_further_unknown_id_is_looked_for() -> None:
    case = _case()
    for number in range(3):
        case.plane.of_issues["PROP"] = [replace(issue("PROP"), labels=(f"new {number}",))]
        case.clock.move(61)
        await case.view()
    assert case.plane.count("labels") == 4


# Cycles and modules


async def test_only_open_periods_are_asked_for_their_issues() -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [
        cycle("PROP", "over", PAST),
        cycle("PROP", "open", AHEAD),
        cycle("PROP", "endless", None, "module"),
        cycle("PROP", "yesterday", date(2026, 11, 22)),
    ]
    case.plane.held = {"cycle-open": frozenset({"PROP-1"})}
    view = await case.known()
    periods = view.snapshots[0].periods
    assert {period.name for period in periods.values() if period.issues is not None} == {
        "open",
        "endless",
        "yesterday",
    }
    assert periods["cycle-open"].issues == frozenset({"PROP-1"})
    assert view.linked == view.snapshots


@pytest.mark.parametrize("named", ["over", "cycle-over"])
async def test_a_cycle_that_a_filter_names_is_read_although_it_has_ended(named: str) -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", " Over ", PAST), cycle("PROP", "older", PAST)]
    case.plane.of_periods["PROP"][0] = replace(case.plane.of_periods["PROP"][0], id="cycle-over")
    case.plane.held = {"cycle-over": frozenset({"PROP-1"})}
    plain = await case.known()
    view = await case.known(Needs(links=True, named=frozenset({named})))
    assert view.linked[0].periods["cycle-over"].issues == frozenset({"PROP-1"})
    assert view.linked[0].periods["cycle-older"].issues is None
    # Texts show only the open ones, so that a filter does not revise the issues of other feeds.
    assert view.snapshots[0] is plain.snapshots[0]
    assert view.stamp != plain.stamp
    assert case.plane.count("held") == 1


async def test_all_periods_are_read_for_a_filter_on_none() -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", "over", PAST), cycle("PROP", "done", PAST, "module")]
    view = await case.known(Needs(links=True, all_periods=True))
    assert all(period.issues is not None for period in view.linked[0].periods.values())


async def test_no_period_is_asked_for_its_issues_where_no_feed_tells() -> None:
    case = _case(links=False)
    case.plane.of_periods["PROP"] = [cycle("PROP", "open", AHEAD)]
    await case.known()
    assert case.plane.count("held") == 0
    view = await case.known(Needs(links=True, named=frozenset({"open"})))
    assert view.linked[0].periods["cycle-open"].issues == frozenset()


@pytest.mark.parametrize("what", ["cycles", "modules", "held"])
async def test_a_feed_without_cycles_and_modules_does_not_wait_for_them(what: str) -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", "open", AHEAD)]
    case.plane.held["cycle-open"] = frozenset({"PROP-1"})
    case.plane.failing[what] = DOWN
    first = await case.known()
    assert _issues(first) == {"PROP": 1}
    assert set(first.snapshots[0].links) == (set() if what != "modules" else {"PROP-1"})
    if what != "held":
        assert await case.view(Needs(periods=True)) is None
        assert await case.view(Needs(named=frozenset({"open"}))) is None
    case.plane.failing.clear()
    case.clock.move(61)
    later = await case.known()
    assert set(later.snapshots[0].links) == {"PROP-1"}
    assert later.stamp != first.stamp
    touched = later.snapshots[0].touched
    assert ("PROP-1" in touched) == (what != "modules"), "a reader who saw it without must see a revision"


async def test_what_nobody_saw_before_it_was_whole_counts_as_it_is_in_plane() -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", "open", AHEAD)]
    case.plane.held["cycle-open"] = frozenset({"PROP-1"})
    case.plane.failing["held"] = DOWN
    await case.workspace.refresh_projects("background")
    await case.workspace.refresh(case.plane.held_projects[0], "background")
    assert case.workspace.is_ready
    case.plane.failing.clear()
    case.clock.move(61)
    assert (await case.known()).snapshots[0].touched == {}


async def test_a_named_cycle_that_cannot_be_read_gives_no_view_rather_than_an_empty_cycle() -> None:
    case = _case()
    case.plane.of_periods["PROP"] = [cycle("PROP", "over", PAST)]
    case.plane.failing["held"] = NotFound("it", "gone")
    assert await case.view(Needs(links=True, named=frozenset({"over"}))) is None
    assert isinstance(case.workspace.last_error, NotFound)


async def test_a_new_cycle_that_cannot_be_read_leaves_the_old_copy_as_old_as_it_is() -> None:
    case = _case()
    before = await case.known()
    case.plane.of_periods["PROP"] = [cycle("PROP", "new", AHEAD)]
    case.plane.failing["held"] = NotFound("it", "gone")
    case.clock.move(301)
    met = case.clock.now
    for _ in range(2):
        after = await case.known()
        assert after.snapshots == before.snapshots
        assert after.read_at == met, "its issues are of the moment before the cycle was met"
        case.clock.move(301)
    case.plane.failing.clear()
    case.clock.move(61)
    assert (await case.known()).read_at == case.clock.now


# Failures


@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        Throttled("it", 30),
        KeyRefused("it", "wrong key"),
        FORBIDDEN,
        BadAnswer("it", "cut off"),
        RuntimeError("ours"),
    ],
)
@pytest.mark.parametrize(
    "what", ["projects", "members", "issues", "states", "labels", "cycles", "modules", ""]
)
async def test_the_last_good_copy_outlives_any_failure(what: str, error: Exception) -> None:
    case = _case()
    before = await case.known()
    case.plane.failing[what] = error
    case.clock.move(3_600)
    after = await case.known()
    assert (after.snapshots, after.stamp) == (before.snapshots, before.stamp)


@pytest.mark.parametrize("what", ["projects", "members", "issues", "states", "labels"])
async def test_without_a_copy_of_what_every_feed_needs_there_is_no_view(what: str) -> None:
    case = _case()
    case.plane.failing[what] = DOWN
    assert await case.view() is None
    assert case.workspace.last_error is DOWN
    assert case.workspace.retry_after == 6


async def test_readers_get_the_old_copy_at_the_deadline_and_the_new_one_later() -> None:
    case = _case(deadline=0.05)
    await case.view()
    await case.settled()
    case.plane.of_issues["PROP"].append(issue("PROP", 2))
    case.plane.open.clear()
    case.clock.move(61)
    assert _issues(await case.view()) == {"PROP": 1}
    assert case.plane.count("issues") == 2
    case.plane.open.set()
    await case.settled()
    case.clock.move(2)
    assert _issues(await case.view()) == {"PROP": 2}
    assert case.plane.count("issues") == 2


async def test_at_the_deadline_there_is_no_view_when_nothing_was_read() -> None:
    case = _case(deadline=0.05)
    case.plane.open.clear()
    assert await case.view() is None
    assert (case.workspace.retry_after, case.workspace.last_error, case.workspace.is_known) == (
        1,
        None,
        False,
    )
    await case.workspace.close()


async def test_a_reader_may_come_with_a_deadline_of_its_own() -> None:
    case = _case(deadline=60)
    case.plane.open.clear()
    assert await case.workspace.view(_all, Needs(), case.clock.timer() + 0.01) is None
    await case.workspace.close()


async def test_closing_ends_all_that_is_under_way() -> None:
    case, of_others = _case(deadline=0.05), asyncio.all_tasks()
    await case.view()
    # On a busy machine the deadline passes before the first read ends: let it end.
    await asyncio.gather(*(asyncio.all_tasks() - of_others))
    case.clock.move(61)
    case.plane.open.clear()
    before = asyncio.all_tasks()
    await case.view()
    assert asyncio.all_tasks() != before
    await case.workspace.close()
    assert asyncio.all_tasks() == before


async def test_plane_is_left_alone_longer_after_each_failure_and_read_again_after_recovery() -> None:
    case = _case()
    await case.view()
    case.plane.failing[""] = DOWN
    case.clock.move(1_000)
    for wait in (5, 10, 20, 40, 80, 160, 300, 300):
        asked = len(case.plane.asked)
        await case.view()
        assert len(case.plane.asked) == asked + 1
        case.clock.move(wait - 1)
        await case.view()
        assert len(case.plane.asked) == asked + 1
        case.clock.move(1.5)
    case.plane.failing.clear()
    case.plane.of_issues["PROP"].append(issue("PROP", 2))
    assert _issues(await case.view()) == {"PROP": 2}
    assert case.workspace.last_error is None
    assert case.workspace.retry_after == 1


@pytest.mark.parametrize("error", [Throttled("it", 90), Unreachable("it", "503", retry_after=90)])
async def test_plane_is_asked_again_when_it_said_so(error: PlaneError) -> None:
    case = _case()
    case.plane.failing["projects"] = error
    await case.view()
    assert case.workspace.retry_after == 91
    for seconds, asked in ((88, 1), (3, 2)):
        case.clock.move(seconds)
        await case.view()
        assert case.plane.count("projects") == asked


async def test_a_refresh_that_has_nothing_to_read_does_not_forget_the_failures() -> None:
    case = _case("PROP", "OPS")
    await case.view()
    case.clock.move(61)
    await case.workspace.view(lambda projects: projects[:1], Needs())
    case.plane.failing["issues OPS"] = DOWN
    for wait in (5, 10, 20):
        asked = case.plane.count("issues OPS")
        await case.workspace.view(lambda projects: projects[1:], Needs())
        assert case.plane.count("issues OPS") == asked + 1
        case.clock.move(wait - 0.5)
        # PROP's copies are fresh: this asks nothing of Plane and learns nothing.
        await case.workspace.view(lambda projects: projects[:1], Needs())
        await case.workspace.view(lambda projects: projects[1:], Needs())
        assert case.plane.count("issues OPS") == asked + 1
        case.clock.move(1.6)


@pytest.mark.parametrize("error", [FORBIDDEN, NotFound("it", "gone"), BadAnswer("it", "cut off")])
async def test_one_project_that_fails_does_not_keep_the_others_from_being_read(error: PlaneError) -> None:
    case = _case("PROP", "OPS", "WEB")
    await case.view()
    for key in ("PROP", "OPS", "WEB"):
        case.plane.of_issues[key].append(issue(key, 2))
    case.plane.failing["issues OPS"] = error
    case.clock.move(61)
    assert _issues(await case.view()) == {"PROP": 2, "OPS": 1, "WEB": 2}
    assert case.workspace.last_error is error
    # It has a backoff of its own; the others are read when their time has come.
    case.clock.move(2)
    await case.view()
    assert case.plane.count("issues OPS") == 2
    case.clock.move(59)
    await case.view()
    assert [case.plane.count(f"issues {key}") for key in ("PROP", "OPS", "WEB")] == [3, 3, 3]
    case.plane.failing.clear()
    case.clock.move(61)
    assert _issues(await case.view())["OPS"] == 2
    assert case.workspace.last_error is None


async def test_members_that_may_not_be_read_do_not_keep_the_projects_from_being_read() -> None:
    case = _case()
    await case.view()
    case.plane.failing["members"] = FORBIDDEN
    case.plane.of_issues["PROP"].append(issue("PROP", 2))
    case.clock.move(601)
    assert _issues(await case.view()) == {"PROP": 2}
    assert case.plane.count("members") == 2


async def test_a_project_that_was_never_readable_is_named_as_the_reason() -> None:
    case = _case("PROP", "OPS")
    case.plane.failing["issues OPS"] = FORBIDDEN
    assert _issues(await case.view()) == {"PROP": 1}
    assert case.workspace.last_error is FORBIDDEN


@pytest.mark.parametrize("error", [Throttled("it", 60), DOWN, KeyRefused("it", "wrong key")])
async def test_when_plane_itself_fails_the_rest_of_the_projects_are_not_asked(error: PlaneError) -> None:
    case = _case(*(f"P{number}" for number in range(30)))
    await case.view()
    case.clock.move(61)
    asked = len(case.plane.asked)
    case.plane.failing["issues"] = error
    await case.view()
    assert len(case.plane.asked) - asked <= MAX_CONCURRENT_PROJECTS + 1


async def test_a_fault_of_ours_is_logged_and_plane_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    case = _case()
    await case.view()
    case.plane.failing["issues"] = ZeroDivisionError("a bug")
    case.clock.move(61)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            case.clock.move(1.5)
            await case.view()
    assert case.plane.count("issues") == 2
    assert [record.getMessage() for record in caplog.records] == ["workspace acme: unexpected error"]
    assert "a bug" in caplog.text
    assert isinstance(case.workspace.last_error, BadAnswer)


async def test_a_failure_is_logged_once_with_the_time_of_the_next_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    case = _case("PROP", "OPS", "WEB")
    case.plane.failing["issues"] = Throttled("issues", 30)
    with caplog.at_level(logging.INFO):
        await asyncio.gather(*(case.view() for _ in range(50)))
    assert [record.getMessage() for record in caplog.records] == [
        "workspace acme: issues: Plane allows no more requests for 30 s; retrying in 30 s"
    ]
