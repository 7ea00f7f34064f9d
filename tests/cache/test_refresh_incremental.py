"""Refreshing asks Plane for what changed and no more, and gives what reading everything would give."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from app_world import TODAY, UNLIMITED, Clock, settings
from msgspec.structs import replace
from plane.api import create_plane
from plane.data import PlaneData
from plane.faults import Faults, answering, delayed, edited, followed_by, malformed, server_error
from plane.sample import sample

from icsfeed.config.schema import Cache, Config, Duration, Feed
from icsfeed.demo.data import DemoProject
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import sample_id
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

DAY = Duration(86_400)
NAMES_REST = Cache(projects=DAY, members=DAY, states=DAY, labels=DAY, cycles=DAY, modules=DAY)
"""Only the issues are read again: what a refresh of them costs can be counted."""
FEEDS = {
    "web": Feed(project="WEB", dates="span", include=("issues", "cycles", "modules")),
    "tasks": Feed(project="WEB", component="vtodo"),
}
BOTH = {**FEEDS, "property": Feed(project="PROP")}
ISSUES, RECENT = r"projects/[^/]+/(work-items|issues)/\?", "order_by=-updated_at"
VERSIONING = (b"LAST-MODIFIED", b"SEQUENCE", b"DTSTAMP", b"COMPLETED")


def watching(feeds: Mapping[str, Feed] = FEEDS, **cache: int) -> Config:
    """A configuration in which only the issues' copies grow old, or what is named."""
    ttls = {name: Duration(ttl) for name, ttl in cache.items()}
    return settings(feeds, cache=replace(NAMES_REST, **ttls))


class Server:
    """A server over the sample, and what its Plane was asked."""

    def __init__(
        self, service: FeedService, data: PlaneData, faults: Faults, clock: Clock, name: str
    ) -> None:
        self.service = service
        self.data = data
        self.faults = faults
        self.clock = clock
        self._version = name

    async def bodies(self) -> dict[str, bytes]:
        return {name: (await self.service.rendered(name)).body for name in self.service.config.feeds}

    async def asked(self, seconds: float = 61) -> list[str]:
        """What Plane was asked when all feeds are read after so many seconds."""
        before = len(self.faults.requests)
        self.clock.move(seconds)
        await self.bodies()
        return [seen.line for seen in self.faults.requests[before:]]

    async def is_right(self) -> None:
        """The feeds are those of a server that has just been started and reads everything."""
        async with server(self.service.config, self.data, self.clock, version=self._version) as fresh:
            expected = await fresh.bodies()
        found = await self.bodies()
        for name, body in expected.items():
            assert facts(found[name]) == facts(body), name


@asynccontextmanager
async def server(
    config: Config | None = None,
    data: PlaneData | None = None,
    clock: Clock | None = None,
    *,
    issues: int = 40,
    version: str = "v1.3.1",
    store: Store | None = None,
    faults: Faults | None = None,
) -> AsyncIterator[Server]:
    """A server of `config`; nothing is asked yet."""
    clock, faults = clock or Clock(), faults or Faults()
    data = data or sample(TODAY, issues=issues, clock=clock)
    plane = create_plane(data, clock, faults=faults, limits=UNLIMITED, version=version)
    transports = {"demo": httpx.ASGITransport(plane)}  # type: ignore[arg-type]
    config = config or watching()
    async with opened(config, transports=transports, store=store, clock=clock, timer=clock.timer) as service:
        yield Server(service, data, faults, clock, version)


@asynccontextmanager
async def warm(**how: Any) -> AsyncIterator[Server]:
    """A server that has read everything a minute ago."""
    async with server(**how) as found:
        await found.bodies()
        found.clock.move(120)
        yield found


def facts(body: bytes) -> list[bytes]:
    """A calendar's lines without those that tell since when it is so: a new server can't know them all."""
    lines = body.replace(b"\r\n ", b"").split(b"\r\n")
    return [line for line in lines if not line.startswith(VERSIONING)]


def issue_id(number: int, key: str = "WEB") -> str:
    return sample_id("issue", key, str(number))


def project_id(key: str = "WEB") -> str:
    return sample_id("project", key)


def edit(data: PlaneData, *numbers: int) -> None:
    for number in numbers:
        data.patch_issue(
            issue_id(number), {"name": f"Edited {number} at {data.clock()}", "target_date": "2026-12-01"}
        )


def create(data: PlaneData, name: str = "New", key: str = "WEB") -> Row:
    return data.create_issue(project_id(key), {"name": name, "target_date": "2026-12-02"})


def kinds(asked: list[str]) -> list[str]:
    """What was asked, in a word each: recent rows, ids, or all of the issues; else the list's name."""
    found = []
    for line in asked:
        path, _, query = line.partition("?")
        if not path.endswith(("/work-items/", "/issues/")):
            found.append(path.rstrip("/").rpartition("/")[2])
        elif RECENT in query:
            found.append("recent" if "per_page=10&" in f"{query}&" else "more")
        else:
            found.append("ids" if "fields=id&" in f"{query}&" else "all")
    return found


def bulk(data: PlaneData) -> None:
    """Plane's bulk edit: many rows with the very same time."""
    at = data.patch_issue(issue_id(1), {"target_date": "2026-12-03"})["updated_at"]
    for number in range(2, 30):
        data.issue(issue_id(number)).update(name=f"In bulk {number}", updated_at=at)


def swap(data: PlaneData) -> None:
    data.delete_issue(issue_id(3))
    create(data)


def move(data: PlaneData) -> None:
    """To another project: Plane deletes it there and makes another one here."""
    data.delete_issue(issue_id(5))
    create(data, "Moved", "PROP")


def archive_and_back(data: PlaneData) -> None:
    data.archive_issue(issue_id(6))
    data.patch_issue(issue_id(6), {"archived_at": None, "name": "Back again"})


CHANGES: list[tuple[str, Callable[[PlaneData], object], list[str]]] = [
    ("nothing", lambda _: None, ["recent"]),
    ("one edited", lambda data: edit(data, 7), ["recent"]),
    ("five edited", lambda data: edit(data, 1, 2, 3, 4, 5), ["recent"]),
    ("one created", create, ["recent"]),
    ("more than a small page edited", lambda data: edit(data, *range(1, 26)), ["recent", "more"]),
    ("all edited", lambda data: edit(data, *range(1, 41)), ["recent", "more"]),
    ("many edited at once", bulk, ["recent", "more"]),
    ("one deleted", lambda data: data.delete_issue(issue_id(2)), ["recent", "ids", "recent"]),
    ("one deleted and one created", swap, ["recent", "ids", "recent"]),
    ("one archived", lambda data: data.archive_issue(issue_id(4)), ["recent", "ids", "recent"]),
    ("one archived and restored", archive_and_back, ["recent"]),
    ("one moved away", move, ["recent", "ids", "recent"]),
]


@pytest.mark.parametrize(("change", "expected"), [pytest.param(*rest, id=name) for name, *rest in CHANGES])
async def test_a_change_costs_the_pages_that_hold_it(
    change: Callable[[PlaneData], object], expected: list[str]
) -> None:
    async with warm() as plane:
        change(plane.data)
        assert kinds(await plane.asked()) == expected
        await plane.is_right()
        plane.clock.move(180)
        again = kinds(await plane.asked())
        assert again in (["recent"], ["recent", "more"]), "and nothing of it is asked again"
        await plane.is_right()


@pytest.mark.parametrize("version", ["v0.22", "v0.24.1"])
@pytest.mark.parametrize("change", [pytest.param(rest[0], id=name) for name, *rest in CHANGES])
async def test_older_planes_are_read_as_rightly(change: Callable[[PlaneData], object], version: str) -> None:
    async with warm(version=version, issues=130) as plane:
        change(plane.data)
        await plane.asked()
        await plane.is_right()


async def test_a_cold_read_asks_for_each_list_once() -> None:
    async with server(issues=2_300) as plane:
        asked = kinds(await plane.asked())
        assert asked.count("all") == 3, "of at most a thousand rows"
        assert sorted(set(asked)) == sorted(
            {"projects", "members", "all", "states", "labels", "cycles", "modules", *asked}
        )
        assert all(asked.count(name) == 1 for name in ("projects", "members", "states", "labels"))
        await plane.is_right()


async def test_an_unchanged_project_costs_one_request_whatever_its_size() -> None:
    async with warm(issues=2_300) as plane:
        before = [await plane.service.rendered(name) for name in FEEDS]
        for _ in range(5):
            assert kinds(await plane.asked()) == ["recent"]
        assert [await plane.service.rendered(name) for name in FEEDS] == before


async def test_a_move_between_two_projects_that_are_read_shows_in_both() -> None:
    async with warm(config=watching(BOTH)) as plane:
        move(plane.data)
        assert len(await plane.asked()) == 1 + 3
        await plane.is_right()


async def test_everything_is_read_after_the_full_interval() -> None:
    async with warm(config=watching(full=1800)) as plane:
        # Nothing tells: neither the time nor the total moves.
        plane.data.issue(issue_id(8))["target_date"] = "2026-12-24"
        assert kinds(await plane.asked()) == ["recent"]
        assert kinds(await plane.asked(1800)) == ["all"]
        await plane.is_right()
        assert kinds(await plane.asked()) == ["recent"]


async def test_a_clock_that_was_ahead_does_not_put_off_the_full_read() -> None:
    async with warm() as plane:
        plane.clock.now = plane.clock.now.replace(year=2024)
        assert kinds(await plane.asked()) == ["all"]


def restored(data: PlaneData, *numbers: int) -> None:
    """Some issues are as they were in a backup of last month: the total stays, their times go back."""
    for number in numbers:
        data.issue(issue_id(number)).update(
            name=f"Restored {number}", target_date="2026-12-24", updated_at="2026-10-20T08:00:00.000000Z"
        )


RESTORED = {
    "the newest": ((7,), (), (), ["recent", "all"]),
    "some of the newest": ((5, 6), (), (), ["recent", "all"]),
    "and edited since": ((5, 7), (9,), (), ["recent", "all"]),
    "and many edited since": ((7,), range(10, 30), (), ["recent", "more", "all"]),
    "and one deleted": ((6,), (), (2,), ["recent", "ids", "recent", "all"]),
}


@pytest.mark.parametrize(("back", "edits", "deleted", "expected"), RESTORED.values(), ids=RESTORED)
async def test_a_plane_that_was_restored_from_a_backup_is_read_whole(
    back: Sequence[int], edits: Sequence[int], deleted: Sequence[int], expected: list[str]
) -> None:
    async with server() as plane:
        for number in (4, 5, 6, 7):
            edit(plane.data, number)
            plane.clock.move(1)
        await plane.bodies()
        plane.clock.move(120)
        restored(plane.data, *back)
        edit(plane.data, *edits)
        for number in deleted:
            plane.data.delete_issue(issue_id(number))
        assert kinds(await plane.asked()) == expected
        await plane.is_right()
        assert b"Restored" in (await plane.bodies())["web"]
        plane.clock.move(180)
        assert kinds(await plane.asked()) in (["recent"], ["recent", "more"]), "once"


async def test_a_sync_reads_all_issues_whole() -> None:
    async with warm() as plane:
        # Nothing tells: neither the time nor the total moves.
        plane.data.issue(issue_id(8))["target_date"] = "2026-12-24"
        assert kinds(await plane.asked()) == ["recent"]
        before = len(plane.faults.requests)
        await plane.service.workspaces["demo"].sync()
        asked = kinds([seen.line for seen in plane.faults.requests[before:]])
        projects = len(plane.data.projects)
        assert (asked.count("recent"), asked.count("states")) == (0, asked.count("all"))
        assert 0 < asked.count("all") <= projects, "once each"
        await plane.is_right()


async def test_a_sync_reads_whole_what_another_replica_has_just_read_in_part() -> None:
    clock, data, store = Clock(), sample(TODAY, issues=40), open_store("memory", {})
    async with (
        server(data=data, clock=clock, store=store) as one,
        server(data=data, clock=clock, store=store) as other,
    ):
        await one.bodies()
        data.issue(issue_id(8))["target_date"] = "2026-12-24"
        clock.move(61)
        await other.bodies()
        await one.service.workspaces["demo"].sync()
        await one.is_right()


async def test_names_that_changed_are_shown_when_their_lists_are_read_again() -> None:
    config = watching(states=300, labels=300, members=300)
    async with warm(config=config) as plane:
        web = plane.data.projects[project_id()]
        for rows in (web.states, web.labels):
            for row in rows.values():
                plane.data.edit(row, name=f"{row['name']} renamed")
        user = plane.data.users[sample_id("user", "anna")]
        plane.data.users[user.id] = replace(user, display_name="Annika")
        assert sorted(kinds(await plane.asked(300))) == ["labels", "members", "recent", "states"]
        await plane.is_right()
        assert b"Annika" in (await plane.bodies())["web"]


@pytest.mark.parametrize("kind", ["cycle", "module"])
async def test_an_issue_that_joined_or_left_a_cycle_or_module_says_so(kind: str) -> None:
    feeds = {"all": Feed(everything=True, include=("issues", "cycles", "modules"), details="full")}
    async with warm(config=watching(feeds, cycles=300, modules=300)) as plane:
        project, period = open_period(plane.data, kind)
        inside = {issue for links in project.links.values() for issue in links}
        outside = next(id_ for id_ in project.issues if id_ not in inside)
        before = await plane.bodies()
        plane.data.add_to(period, [outside])
        await plane.asked(300)
        assert facts((await plane.bodies())["all"]) != facts(before["all"])
        await plane.is_right()
        plane.data.remove_from(period, outside)
        await plane.asked(300)
        assert facts((await plane.bodies())["all"]) == facts(before["all"])
        await plane.is_right()


def open_period(data: PlaneData, kind: str) -> tuple[DemoProject, str]:
    """A cycle or module that has not ended, and its project."""
    for project in data.projects.values():
        for id_, row in (project.cycles if kind == "cycle" else project.modules).items():
            end = row["end_date" if kind == "cycle" else "target_date"]
            if end is None or end[:10] > TODAY.isoformat():
                return project, id_
    raise AssertionError(f"the sample has no open {kind}")


async def test_pages_that_shift_during_the_walk_are_read_again() -> None:
    async with warm(issues=2_300) as plane:
        edit(plane.data, *range(1, 1200))
        plane.faults.add("per_page=1000", followed_by(lambda: edit(plane.data, 2000)))
        asked = kinds(await plane.asked())
        assert asked == ["recent", "more", "more", "all", "all", "all"]
        await plane.is_right()


async def test_a_change_between_the_ids_and_the_rows_makes_no_mixture() -> None:
    async with warm() as plane:
        plane.data.delete_issue(issue_id(2))
        plane.faults.add("fields=id&", followed_by(lambda: swap(plane.data)))
        assert kinds(await plane.asked()) == ["recent", "ids", "recent", "all"]
        await plane.is_right()


async def test_an_edit_between_the_ids_and_the_rows_is_in_the_feed() -> None:
    async with warm() as plane:
        plane.data.delete_issue(issue_id(2))
        plane.faults.add("fields=id&", followed_by(lambda: edit(plane.data, 9)))
        assert kinds(await plane.asked()) == ["recent", "ids", "recent"]
        await plane.is_right()


async def test_a_malformed_row_among_the_recent_ones_costs_only_itself_and_comes_back() -> None:
    async with warm() as plane:
        edit(plane.data, 7)
        name = plane.data.issue(issue_id(7))["name"].encode()
        plane.faults.add(RECENT, malformed(sequence_id="x"))
        await plane.asked()
        assert name not in (await plane.bodies())["web"]
        edit(plane.data, 7)
        await plane.asked()
        await plane.is_right()


async def test_rows_without_an_id_make_it_read_everything() -> None:
    async with warm() as plane:
        edit(plane.data, 7)
        plane.faults.add(RECENT, malformed(id=None))
        await plane.asked()
        await plane.asked()
        await plane.is_right()


async def test_a_list_without_a_total_is_read_whole() -> None:
    async with warm() as plane:
        edit(plane.data, 7)
        plane.faults.add(ISSUES, edited(lambda page: page.pop("total_results")), times=None)
        assert set(kinds(await plane.asked())) <= {"recent", "all"}
        await plane.is_right()


async def test_a_failed_read_changes_nothing_and_the_next_one_finds_all() -> None:
    async with warm() as plane:
        before = await plane.bodies()
        swap(plane.data)
        edit(plane.data, *range(10, 30))
        plane.faults.add("per_page=1000", server_error())
        await plane.asked()
        assert await plane.bodies() == before
        await plane.asked(400)
        await plane.is_right()


async def test_a_plane_that_allows_five_rows_a_page_is_read_rightly() -> None:
    config = watching()
    async with server(config) as plane:
        _allow_five(plane.faults)
        await plane.bodies()
        for _, change, _ in CHANGES[:9]:
            change(plane.data)
            await plane.asked(120)
            await plane.is_right()
        assert plane.faults.count("per_page=5")
        plane.clock.move(120)
        assert len(await plane.asked()) <= 3


def _allow_five(faults: Faults) -> None:
    refusal = answering(400, b'{"detail":"Invalid per_page value. Cannot exceed 5."}')
    faults.add(r"per_page=(?!5\b)", refusal, times=None)


async def test_a_project_that_is_slow_to_read_holds_up_no_reader_of_another_one() -> None:
    async with server(watching(BOTH, members=60)) as one:
        await one.bodies()
        user = one.data.users[sample_id("user", "anna")]
        one.data.users[user.id] = replace(user, display_name="Anna with another name")
        one.clock.move(61)
        gate = asyncio.Event()

        async def until_the_gate_opens(_: float) -> None:
            await gate.wait()

        slow = f"{project_id('PROP')}/work-items/"
        one.faults.add(slow, delayed(0, until_the_gate_opens), times=None)
        asking = asyncio.create_task(one.service.rendered("property"))
        while not one.faults.count(slow):  # noqa: ASYNC110 - as a person looks
            await asyncio.sleep(0.01)
        await one.service.rendered("web")
        assert not asking.done()
        gate.set()
        await asking
