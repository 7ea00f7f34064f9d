"""Lists that not every edition has are read only where a feed needs them, and no feed fails without them."""

from datetime import timedelta

import pytest
from app_world import NOW, Clock
from fake_plane import DAY, FakePlane, cycle
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
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
from icsfeed.model import ItemType, Needs, Period, PeriodKind, View
from icsfeed.plane.rate_limit import Budget
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

LISTS = frozenset({"types", "milestones", "releases", "initiatives"})
ALL = Needs(lists=LISTS)
UNKNOWN_PATH = NoSuchPath("it", "there is nothing at this address")


def period(kind: PeriodKind, project: str = "") -> Period:
    made = Period(f"{kind}-1", kind, project, f"The {kind}", NOW, NOW)
    return replace(made, start=DAY, end=DAY)


def commercial(*keys: str) -> FakePlane:
    plane = FakePlane(*keys)
    for project in plane.held_projects:
        plane.of_types[project.key] = [ItemType(f"epic-{project.key}", "Epic", is_epic=True)]
        plane.of_periods[project.key] = [replace(period("milestone", project.id), id=f"m-{project.key}")]
        plane.held[f"m-{project.key}"] = frozenset({f"{project.key}-1"})
    plane.of_workspace = [period("release"), period("initiative")]
    return plane


class Case:
    """A workspace over a fake Plane. `lists`: what its feeds need."""

    def __init__(
        self,
        plane: FakePlane,
        lists: frozenset[str] = LISTS,
        store: Store | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.plane, self.clock = plane, clock or Clock()
        self.workspace = Workspace(
            "acme",
            plane,
            Cache(),
            store=store or open_store("memory", {}),
            budget=Budget(timer=self.clock.timer, limit=100_000),
            clock=self.clock,
            timer=self.clock.timer,
            chance=lambda: 0.0,
            needs=Needs(lists=lists),
        )
        self.resources = self.workspace.resources

    async def view(self, needs: Needs = ALL, seconds: float = 0) -> View | None:
        self.clock.move(seconds)
        return await self.workspace.view(lambda projects: projects, needs)

    async def known(self, needs: Needs = ALL, seconds: float = 0) -> View:
        view = await self.view(needs, seconds)
        assert view is not None
        return view

    def asked(self) -> set[str]:
        return {what for what in self.plane.asked if what.split()[0] in LISTS}


def names(view: View) -> set[str]:
    """The milestones, releases and initiatives in a view."""
    of_projects = [period for snapshot in view.snapshots for period in snapshot.periods.values()]
    return {period.id for period in (*of_projects, *view.periods)}


EVERYTHING = {"m-PROP", "m-OPS", "release-1", "initiative-1"}


async def test_a_feed_that_needs_them_has_all_of_them() -> None:
    view = await Case(commercial("PROP", "OPS")).known()
    assert names(view) == EVERYTHING
    assert [[*snapshot.types] for snapshot in view.snapshots] == [["epic-PROP"], ["epic-OPS"]]
    milestone = view.snapshots[0].periods["m-PROP"]
    assert view.snapshots[0].progress(milestone) == (0, 1)


async def test_nothing_is_asked_where_no_feed_needs_them() -> None:
    case = Case(commercial("PROP", "OPS"), frozenset())
    view = await case.known(Needs())
    await case.workspace.sync()
    assert (case.asked(), names(view)) == (set(), set())
    assert not list(case.workspace.snapshots.missing(view.projects, Needs(), NOW))


async def test_only_the_lists_that_a_feed_names_are_read() -> None:
    case = Case(commercial("PROP"), frozenset({"releases"}))
    assert names(await case.known(Needs(lists=frozenset({"releases"})))) == {"m-PROP", "release-1"} - {
        "m-PROP"
    }
    assert case.asked() == {"releases"}


async def test_a_question_may_need_a_list_that_no_feed_needs() -> None:
    case = Case(commercial("PROP"), frozenset())
    await case.known(Needs())
    assert [*(await case.known(Needs(lists=frozenset({"types"})))).snapshots[0].types] == ["epic-PROP"]


@pytest.mark.parametrize(
    "error",
    [UNKNOWN_PATH, NotFound("it", "gone"), NoAccess("it", "not for you"), BadAnswer("it", "402", status=402)],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}",
)
async def test_a_plane_without_them_is_asked_once_a_day(error: PlaneError) -> None:
    case = Case(commercial("PROP", "OPS"))
    case.plane.failing = dict.fromkeys(LISTS, error)
    view = await case.known()
    assert (names(view), len(view.snapshots)) == (set(), 2)
    assert case.workspace.last_error is None
    assert {name: bool(case.resources.list_error(name)) for name in LISTS} == dict.fromkeys(LISTS, True)
    first, count = case.asked(), len(case.plane.asked)
    # A path that is unknown is so for all projects: one of them asks.
    assert len(first) == (4 if error is UNKNOWN_PATH else 6)
    for _ in range(23):
        await case.known(seconds=3_600)
    assert len([each for each in case.plane.asked[count:] if each.split()[0] in LISTS]) == 0
    case.plane.failing = {}
    view = await case.known(seconds=3_700)
    assert names(await case.known(seconds=3_700)) == EVERYTHING
    assert not any(map(case.resources.list_error, LISTS))


@pytest.mark.parametrize(
    "error",
    [
        *(UNKNOWN_PATH, NoAccess("it", "not for you"), BadAnswer("it", "not a list")),
        *(NotPlane("it", "a page"), ServerError("it", "500")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_was_read_once_stays_when_it_is_refused_later(
    error: PlaneError, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(commercial("PROP", "OPS"))
    before = await case.known()
    case.plane.failing = dict.fromkeys(LISTS, error)
    for _ in range(3):
        after = await case.known(seconds=4_000)
    assert names(after) == EVERYTHING
    assert after.snapshots == before.snapshots
    # Once for each list, not for each project and each attempt.
    lines = [record.getMessage() for record in caplog.records if "keeping" in record.getMessage()]
    assert len(lines) == 4


async def test_a_sync_asks_again_for_what_was_refused() -> None:
    case = Case(commercial("PROP"))
    case.plane.failing = dict.fromkeys(LISTS, UNKNOWN_PATH)
    await case.known()
    case.plane.failing = {}
    await case.workspace.sync()
    assert names(await case.known()) == {"m-PROP", "release-1", "initiative-1"}


async def test_one_project_may_lack_what_another_has() -> None:
    case = Case(commercial("PROP", "OPS"))
    case.plane.failing = {"milestones PROP": NoAccess("it", "milestones are off in this project")}
    assert names(await case.known()) == EVERYTHING - {"m-PROP"}


@pytest.mark.parametrize("error", [BadAnswer("it", "not a list"), ServerError("it", "500")])
async def test_a_list_that_cannot_be_understood_keeps_no_issue_from_being_shown(error: PlaneError) -> None:
    case = Case(commercial("PROP"))
    case.plane.failing = {"milestones": error, "releases": error}
    needs = Needs(lists=frozenset({"milestones", "releases"}))
    view = await case.known(needs)
    assert (len(view.snapshots[0].issues), names(view)) == (1, set())
    # But a push must not delete what may be in it.
    missing = set(case.workspace.snapshots.missing(view.projects, needs, NOW))
    assert missing == {"the releases", "the milestones of PROP"}
    case.plane.failing = {}
    view = await case.known(needs, seconds=400)
    assert names(view) == {"m-PROP", "release-1"}
    assert not set(case.workspace.snapshots.missing(view.projects, needs, NOW))


@pytest.mark.parametrize(
    "error",
    [BadAnswer("it", "odd"), NoAccess("it", "no scope"), Unreachable("it", "too slow")],
    ids=lambda error: type(error).__name__,
)
async def test_a_feed_filtered_by_types_that_cannot_be_read_is_not_empty_but_absent(
    error: PlaneError,
) -> None:
    case = Case(commercial("PROP"))
    case.plane.failing = {"types": error}
    types = frozenset({"types"})
    assert await case.view(Needs(lists=types, required=types)) is None
    assert await case.view(Needs(lists=types)) is not None, "one that only shows them"
    case.plane.failing = {}
    assert await case.view(Needs(lists=types, required=types), seconds=90_000) is not None


async def test_when_requests_are_refused_the_workspace_waits_as_for_any_list() -> None:
    case, error = Case(commercial("PROP")), Throttled("it", 60)
    case.plane.failing = {"releases": error}
    assert await case.view() is None
    assert case.workspace.last_error is error
    assert await case.view(Needs()) is not None, "a feed without them"


@pytest.mark.parametrize("error", [Unreachable("it", "too slow"), KeyRefused("it", "no scope")], ids=str)
async def test_a_list_that_only_takes_time_is_asked_for_once_in_a_while(error: PlaneError) -> None:
    case = Case(commercial("PROP", "OPS"))
    case.plane.failing = dict.fromkeys(LISTS, error)
    for _ in range(9):
        assert names(await case.known(seconds=61)) == set()
    assert case.workspace.last_error is None, "nothing else is held up"
    assert len([each for each in case.plane.asked if each.split()[0] in LISTS]) == 4, "for no project again"
    wide = frozenset({"releases", "initiatives"})
    assert await case.view(Needs(lists=wide, required=wide)) is None, "a feed of nothing else is not empty"
    case.plane.failing = {}
    assert names(await case.known(seconds=4_000)) == EVERYTHING


async def test_a_milestone_is_shown_although_its_work_items_cannot_be_read() -> None:
    case = Case(commercial("PROP"))
    case.plane.failing = {"held": UNKNOWN_PATH}
    view = await case.known()
    snapshot = view.snapshots[0]
    assert snapshot.progress(snapshot.periods["m-PROP"]) is None
    assert not set(case.workspace.snapshots.missing(view.projects, ALL, NOW))


async def test_the_work_items_of_milestones_that_are_over_are_not_read() -> None:
    case = Case(commercial("PROP"))
    over = DAY - timedelta(days=30)
    case.plane.of_periods["PROP"] = [replace(case.plane.of_periods["PROP"][0], start=over, end=over)]
    view = await case.known()
    assert case.plane.count("held") == 0
    assert view.snapshots[0].progress(view.snapshots[0].periods["m-PROP"]) is None


async def test_a_milestone_of_the_name_of_a_cycle_is_not_read_for_it() -> None:
    case = Case(commercial("PROP"), frozenset())
    case.plane.of_periods["PROP"].append(cycle("PROP", "The milestone", None))
    await case.known(Needs(named=frozenset({"the milestone"})))
    assert case.plane.count("held") == 1


async def test_reading_them_revises_no_issue() -> None:
    case = Case(commercial("PROP"), frozenset())
    issue = replace(case.plane.of_issues["PROP"][0], type="epic-PROP")
    case.plane.of_issues["PROP"] = [issue]
    before = (await case.known(Needs())).snapshots[0]
    after = (await case.known(ALL, seconds=10)).snapshots[0]
    assert after.types
    assert after.revised(issue) == before.revised(issue)


async def test_a_type_that_is_new_is_read_at_once() -> None:
    case = Case(commercial("PROP"))
    await case.known()
    case.plane.of_types["PROP"].append(ItemType("bug", "Bug"))
    changed = replace(case.plane.of_issues["PROP"][0], type="bug", updated=NOW + timedelta(seconds=30))
    case.plane.of_issues["PROP"] = [changed]
    assert "bug" in (await case.known(seconds=61)).snapshots[0].types


async def test_a_release_that_changed_without_a_newer_time_is_revised() -> None:
    case = Case(commercial("PROP"))
    (before,) = (each for each in (await case.known()).periods if each.kind == "release")
    case.plane.of_workspace[0] = replace(before, name="Renamed")
    (after,) = (each for each in (await case.known(seconds=400)).periods if each.kind == "release")
    assert (after.name, after.updated) == ("Renamed", NOW + timedelta(seconds=400))
    case.plane.of_workspace[0] = replace(before, name="Renamed", updated=NOW)
    (later,) = (each for each in (await case.known(seconds=400)).periods if each.kind == "release")
    assert later == after


async def test_the_view_says_that_a_release_has_changed() -> None:
    case = Case(commercial("PROP"))
    stamp = (await case.known()).stamp
    assert (await case.known(seconds=400)).stamp == stamp
    case.plane.of_workspace.pop(0)
    assert (await case.known(seconds=400)).stamp != stamp


async def test_webhooks_make_them_stale() -> None:
    case = Case(commercial("PROP"))
    view = await case.known()
    for name in ("milestones", "releases", "initiatives", "types"):
        assert case.resources.are_fresh(view.projects, ALL)
        case.resources.expire(view.projects[0], {name})
        assert not case.resources.are_fresh(view.projects, ALL), name
        case.plane.asked.clear()
        view = await case.known(seconds=1)
        assert {each.split()[0] for each in case.plane.asked} - {"held"} == {name}


async def test_they_outlive_a_restart_and_are_shared_with_replicas() -> None:
    store, clock = open_store("memory", {}), Clock()
    first = Case(commercial("PROP", "OPS"), store=store, clock=clock)
    before = await first.known()
    second = Case(FakePlane("PROP", "OPS"), store=store, clock=clock)
    second.plane.failing = {"": Unreachable("it", "down")}
    await second.workspace.start()
    after = await second.known()
    assert names(after) == EVERYTHING
    assert (after.periods, after.snapshots) == (before.periods, before.snapshots)
    assert second.plane.asked == []


async def test_a_feed_that_newly_needs_them_waits_for_them_and_the_others_do_not() -> None:
    store, clock = open_store("memory", {}), Clock()
    await Case(commercial("PROP"), frozenset(), store=store, clock=clock).known(Needs())
    case = Case(commercial("PROP"), store=store, clock=clock)
    case.plane.failing = {"": Unreachable("it", "down")}
    await case.workspace.start()
    assert not case.workspace.is_ready
    assert await case.view(Needs()) is not None
    assert await case.view(replace(ALL, required=LISTS)) is None, "a feed of nothing else"


async def test_a_lost_project_is_shown_without_what_was_never_read_of_it() -> None:
    store, clock = open_store("memory", {}), Clock()
    await Case(commercial("PROP", "OPS"), frozenset(), store=store, clock=clock).known(Needs())
    case = Case(commercial("PROP", "OPS"), store=store, clock=clock)
    await case.workspace.start()
    case.plane.held_projects = case.plane.held_projects[:1]
    view = await case.known(seconds=200)
    assert [project.key for project in view.unread] == ["OPS"]
    assert names(view) == {"m-PROP", "release-1", "initiative-1"}


ERRORS = st.sampled_from(
    [
        UNKNOWN_PATH,
        NoAccess("it", "no"),
        BadAnswer("it", "odd"),
        NotPlane("it", "page"),
        ServerError("it", "500"),
    ]
)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(LISTS)), ERRORS), max_size=6))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whatever_these_lists_answer_the_issues_stay_fresh_and_nothing_read_is_lost(
    answers: list[dict[str, PlaneError]],
) -> None:
    case = Case(commercial("PROP"))
    read: set[str] = set()
    needs = Needs(lists=LISTS - {"types"})
    for failing in answers:
        case.plane.failing = dict(failing)
        view = await case.known(needs, seconds=4_000)
        assert (len(view.snapshots), case.workspace.last_error) == (1, None)
        assert case.resources.read_at(view.projects[0]) == case.clock()
        assert read <= names(view)
        read |= names(view)


def test_projects_count_requests_for_them_only_where_they_are_read() -> None:
    case = Case(commercial("PROP"), frozenset({"milestones"}))
    assert case.resources.is_read("milestones")
    assert not case.resources.is_read("types")
    case.resources.features.refused("milestones", NOW)
    assert not case.resources.is_read("milestones")
    assert case.resources.is_read("cycles")
