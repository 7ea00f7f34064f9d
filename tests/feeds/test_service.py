"""A feed over time: what changes its bytes and validators, what does not, and when it cannot be made."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from app_world import NOW, TODAY, Clock, World, event, events, quick, serving, settings, titles
from icalendar import Calendar
from msgspec.structs import replace
from plane import faults as f
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.config.schema import Auto, Config, DateMode, Details, DoneMode, Duration, Feed, Window
from icsfeed.demo.sample import sample_id
from icsfeed.errors import AmbiguousName, NoCopy, UnknownFeed
from icsfeed.feeds.automatic import AutomaticFeeds
from icsfeed.feeds.automatic_names import AssignedNames, AutomaticFeed
from icsfeed.feeds.links import Links, derive
from icsfeed.feeds.query import Query, parse_query

pytestmark = pytest.mark.anyio

HOUR, DAY = 3_600, 86_400


def _modified(answer: httpx.Response) -> datetime:
    return parsedate_to_datetime(answer.headers["last-modified"])


def _revision(part: Any) -> tuple[datetime, int]:
    assert part["last-modified"].dt == part["dtstamp"].dt
    return part["last-modified"].dt, int(part["sequence"])


def _user(world: World, name: str) -> str:
    return sample_id("user", name)


def _renamed(world: World, name: str, display_name: str) -> None:
    user = world.data.users[_user(world, name)]
    world.data.users[user.id] = replace(user, display_name=display_name)


# The same data, the same bytes


async def test_two_servers_and_a_restart_make_the_same_bytes() -> None:
    queries = {"": Query(), "narrowed": parse_query([("priority", "high"), ("days", "30")])}
    made: list[Mapping[tuple[str, str], Any]] = []
    clock = Clock()
    data = sample(TODAY, clock=clock)
    for _ in range(3):
        async with serving(data=data, clock=clock) as world:
            names = (*world.service.config.feeds, *await world.service.auto_feeds())
            made.append(
                {
                    (name, what): await world.service.rendered(name, query)
                    for name in names
                    for what, query in queries.items()
                }
            )
        clock.move(HOUR)
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == 2 * (7 + 3 + 5)


async def test_a_feed_of_which_nothing_changed_is_not_rendered_again() -> None:
    async with serving() as world:
        first = await world.service.rendered("property")
        world.clock.move(3 * HOUR)
        assert await world.service.rendered("property") is first
        # A change elsewhere does not touch it either.
        world.change("OPS", 1, name="Changed")
        world.clock.move(61)
        assert await world.service.rendered("property") is first


async def test_last_modified_of_a_feed_just_read_is_its_newest_revision() -> None:
    async with serving() as world:
        answer = await world.get("property")
        newest = max(part["last-modified"].dt for part in events(answer.content).values())
        assert _modified(answer) == newest
        assert f"LAST-MODIFIED:{newest:%Y%m%dT%H%M%SZ}".encode() in answer.content.split(b"BEGIN:VEVENT")[0]


# A change


@pytest.mark.parametrize("change", ["renamed", "moved", "deleted", "archived", "undated", "created"])
async def test_a_changed_issue_moves_body_etag_and_last_modified(change: str) -> None:
    async with serving() as world:
        before = await world.get("property")
        match change:
            case "renamed":
                world.change("PROP", 3, name="Another name")
            case "moved":
                world.change("PROP", 3, target_date="2026-12-31")
            case "deleted":
                world.data.delete_issue(sample_id("issue", "PROP", "3"))
            case "archived":
                world.data.archive_issue(sample_id("issue", "PROP", "3"))
            case "undated":
                world.change("PROP", 3, target_date=None)
            case "created":
                project = sample_id("project", "PROP")
                world.data.create_issue(project, {"name": "New", "target_date": "2026-12-01"})
        world.clock.move(61)
        after = await world.get("property")
        assert after.content != before.content
        assert after.headers["etag"] != before.headers["etag"]
        assert _modified(after) == world.clock.now.replace(microsecond=0) > _modified(before)
        was, now = event(before.content, "PROP", 3), event(after.content, "PROP", 3)
        assert (now is None) == (change in ("deleted", "archived", "undated"))
        if change in ("renamed", "moved"):
            assert _revision(now) > _revision(was)
        # The others are as they were.
        was_all, now_all = events(before.content), events(after.content)
        same = was_all.keys() & now_all.keys() - {
            f"plane-issue-{sample_id('issue', 'PROP', '3')}@calplanebot"
        }
        assert len(same) == 19
        assert [now_all[uid] for uid in same] == [was_all[uid] for uid in same]


@pytest.mark.parametrize("what", ["label", "state", "person", "project", "cycle", "module joined"])
async def test_a_name_that_changed_without_the_issue_moves_its_revision(what: str) -> None:
    async with serving() as world:
        before = await world.get("property")
        project = world.data.projects[sample_id("project", "PROP")]
        match what:
            case "label":
                world.data.edit(project.labels[sample_id("label", "PROP", "Heating")], name="Warmth")
            case "state":
                world.data.edit(project.states[sample_id("state", "PROP", "In Progress")], name="Doing")
            case "person":
                _renamed(world, "clara", "Clärchen")
            case "project":
                world.data.edit(project.row, name="Houses")
            case "cycle":
                world.data.edit(project.cycles[sample_id("cycle", "PROP", "Sprint 12")], name="Sprint XII")
            case "module joined":
                issue = sample_id("issue", "PROP", "4")
                world.data.remove_from(sample_id("module", "PROP", "Heating renewal"), issue)
                world.data.edit(world.data.issue(issue), updated_at="")
                world.data.issue(issue)["updated_at"] = event_time(before, 4)
        world.clock.move(601)
        after = await world.get("property")
        was, now = event(before.content, "PROP", 4), event(after.content, "PROP", 4)
        if what == "project":
            # Its name is not in the text of an issue, and is the feed's own.
            assert str(now["description"]) == str(was["description"])
        else:
            assert str(now["description"]) != str(was["description"])
        assert _revision(now) > _revision(was)
        assert _revision(now)[0] == world.clock.now
        assert _modified(after) > _modified(before)
        # It stays revised, and is not revised again.
        world.clock.move(601)
        assert (await world.get("property")).content == after.content


def event_time(answer: httpx.Response, number: int) -> str:
    """`updated_at` of an issue, as it was."""
    moment: datetime = event(answer.content, "PROP", number)["last-modified"].dt
    return moment.replace(microsecond=123456).astimezone(UTC).isoformat().replace("+00:00", "Z")


async def test_an_issue_that_comes_back_has_not_run_backwards() -> None:
    async with serving() as world:
        first = await world.get("property")
        world.change("PROP", 3, name="Renamed")
        world.clock.move(61)
        second = await world.get("property")
        world.change("PROP", 3, name="Collect three quotes")
        world.clock.move(61)
        third = await world.get("property")
        revisions = [_revision(event(answer.content, "PROP", 3)) for answer in (first, second, third)]
        assert revisions == sorted(set(revisions))
        assert _modified(first) < _modified(second) < _modified(third)


async def test_ten_thousand_issues_arrive_each_once() -> None:
    config = quick(settings({"web": Feed(project="WEB", details="title")}), deadline=60)
    async with serving(config, issues=10_000) as world:
        answer = await world.get("web")
        rows = world.data.projects[sample_id("project", "WEB")].issues
        assert len(rows) == 10_000
        dated = {f"UID:plane-issue-{key}@calplanebot" for key, row in rows.items() if row["target_date"]}
        uids = [
            line for line in answer.text.replace("\r\n ", "").split("\r\n") if line.startswith("UID:plane")
        ]
        assert len(uids) == len(set(uids))
        assert set(uids) == dated
        # One page of 1,000 for each thousand.
        assert world.faults.count("work-items") == 10


# When it cannot be made


async def test_a_name_that_became_ambiguous_keeps_the_last_good_copy_and_without_one_there_is_none() -> None:
    async with serving() as world:
        before = await world.get("anna")
        _renamed(world, "ben", "Anna")
        world.clock.move(601)
        answer = await world.get("anna")
        assert (answer.status_code, answer.content) == (200, before.content)
        assert (await world.get("property")).status_code == 200
        data, clock = world.data, world.clock
    async with serving(data=data, clock=clock) as world:
        answer = await world.get("anna")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
        assert "ben" not in answer.text
        with pytest.raises(AmbiguousName, match="fits several people"):
            await world.service.rendered("anna")


@pytest.mark.parametrize("feed", [Feed(assignee="dan"), Feed(project="OPS"), Feed(projects=("OPS", "PROP"))])
async def test_who_or_what_is_gone_leaves_the_last_good_copy(feed: Feed) -> None:
    async with serving(settings({"x": feed})) as world:
        before = await world.get("x")
        for workspace in world.data.workspaces.values():
            workspace.members = [member for member in workspace.members if member.user != _user(world, "dan")]
        world.data.projects[sample_id("project", "OPS")].row["archived_at"] = "2026-11-23"
        world.clock.move(601)
        answer = await world.get("x")
        assert (answer.status_code, answer.content) == (200, before.content)


async def test_what_was_never_there_is_a_503_until_somebody_looks_into_it() -> None:
    async with serving(settings({"x": Feed(project="NOPE")})) as world:
        answer = await world.get("x")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert "not set up correctly" in answer.text


# Days


async def test_after_a_day_without_plane_the_feed_says_so_and_after_recovery_no_longer() -> None:
    async with serving(settings(timezone="Europe/Berlin")) as world:
        before = await world.get("property")
        world.faults.add("", f.server_error(), None)
        world.clock.move(DAY)
        assert (await world.get("property")).content == before.content
        world.clock.move(1)
        stale = await world.get("property")
        new = titles(stale.content) - titles(before.content)
        assert new == {"⚠ Not updated since 2026-11-23"}
        notice = next(part for part in events(stale.content).values() if str(part["summary"]) in new)
        assert notice["dtstart"].dt == TODAY + timedelta(days=1)
        assert _modified(stale) > _modified(before)
        world.clock.move(HOUR)
        assert (await world.get("property")).content == stale.content
        world.clock.move(DAY)
        later = await world.get("property")
        assert titles(later.content) == titles(stale.content)
        assert later.content != stale.content
        world.faults.clear()
        world.clock.move(DAY)
        after = await world.get("property")
        assert titles(after.content) == titles(before.content)
        assert _modified(after) > _modified(later)


@pytest.mark.parametrize(
    ("limit", "hours", "shown"),
    [(False, 999, False), (Duration(HOUR), 2, True), (Duration(HOUR), 0.9, False)],
)
async def test_the_notice_is_an_option(limit: Any, hours: float, shown: bool) -> None:
    async with serving(settings({"x": Feed(everything=True, stale_notice=limit)})) as world:
        await world.get("x")
        world.faults.add("", f.server_error(), None)
        world.clock.move(hours=hours)
        answer = await world.get("x")
        assert ("Not updated since" in answer.text) is shown


async def test_a_feed_that_nobody_read_for_days_is_not_called_stale() -> None:
    async with serving() as world:
        await world.get("property")
        world.clock.move(3 * DAY)
        assert "Not updated" not in (await world.get("property")).text


async def test_what_depends_on_the_day_changes_at_midnight_of_the_configured_zone() -> None:
    feeds = {
        "x": Feed(project="PROP", overdue_digest=True),
        "y": Feed(project="PROP", window=Window(Duration(0), Duration(2 * DAY))),
    }
    config = settings(feeds, timezone="Europe/Berlin")
    async with serving(config, clock=Clock(NOW.replace(hour=22, minute=59))) as world:
        before = {feed: await world.get(feed) for feed in feeds}
        assert "1 overdue" in titles(before["x"].content)
        world.clock.move(59)
        assert (await world.get("x")).content == before["x"].content
        world.clock.move(1)
        after = {feed: await world.get(feed) for feed in feeds}
        assert "3 overdue" in titles(after["x"].content)
        assert "[4] Apply for the funding" in titles(after["y"].content) - titles(before["y"].content)
        for feed in feeds:
            assert _modified(after[feed]) > _modified(before[feed])
        world.clock.move(HOUR)
        assert (await world.get("x")).content == after["x"].content


async def test_a_new_day_alone_changes_nothing_in_other_feeds() -> None:
    async with serving() as world:
        before = await world.get("property")
        world.clock.move(DAY)
        after = await world.get("property")
        assert (after.content, after.headers) == (before.content, before.headers)


# Automatic feeds


async def test_every_project_and_every_member_has_a_feed() -> None:
    async with serving() as world:
        names = set(await world.service.auto_feeds())
        assert names == {
            *("project-prop", "project-ops", "project-web"),
            *("assignee-anna", "assignee-ben", "assignee-clara", "assignee-dan", "assignee-eva"),
        }
        anna, plain = await world.get("assignee-anna"), await world.get("anna")
        assert titles(anna.content) == titles(plain.content)
        assert b"X-WR-CALNAME:anna's issues" in anna.content
        project = await world.get("project-prop")
        assert titles(project.content) == titles((await world.get("property")).content)


async def test_a_configured_feed_wins_over_an_automatic_one_of_its_name() -> None:
    async with serving(settings({"project-prop": Feed(project="OPS")})) as world:
        assert "project-prop" not in await world.service.auto_feeds()
        assert b"X-WR-CALNAME:Operations" in (await world.get("project-prop")).content


async def test_an_unknown_automatic_name_is_a_404_and_before_plane_was_read_a_503() -> None:
    async with serving() as world:
        world.faults.add("", f.server_error(), None)
        for name in ("project-nope", "project-prop"):
            assert (await world.get(name)).status_code == 503
        with pytest.raises(NoCopy):
            await world.service.feed("project-nope")
        world.faults.clear()
        world.clock.move(6)
        assert [(await world.get(name)).status_code for name in ("project-nope", "project-prop")] == [
            404,
            200,
        ]
        with pytest.raises(UnknownFeed):
            await world.service.rendered("assignee-nobody")


async def test_a_new_member_gets_a_feed_and_nobody_loses_one() -> None:
    async with serving() as world:
        await world.service.auto_feeds()
        before = {name: world.path(name) for name in await world.service.auto_feeds()}
        _joined(world, "99999999-2222-4333-8444-555555555555", "anna")
        world.clock.move(601)
        assert {*await world.service.auto_feeds()} - before.keys() == {"assignee-anna-99999999"}
        assert [(await world.ask("GET", path)).status_code for path in before.values()] == [200] * 8
        assert titles((await world.get("assignee-anna-99999999")).content) == set()


def _joined(world: World, id_: str, name: str) -> None:
    like = world.data.users[_user(world, "eva")]
    world.data.users[id_] = replace(like, id=id_, display_name=name, email=f"{id_}@example.com")
    for workspace in world.data.workspaces.values():
        workspace.members.append(replace(workspace.members[-1], user=id_))


@pytest.mark.parametrize("kind", ["ics", "page", "embed"])
async def test_links_keep_their_person_and_project_whatever_those_are_called(kind: str) -> None:
    async with serving() as world:
        await world.service.auto_feeds()
        links = {name: urls[kind] for name, urls in (await world.service.all_links("")).items()}
        anna, prop = links["assignee-anna"], links["project-prop"]
        before = {link: (await world.ask("GET", link)).content for link in (anna, prop)}
        _renamed(world, "anna", "Annika")
        _renamed(world, "ben", "anna")
        world.data.projects[sample_id("project", "PROP")].row["identifier"] = "HOME"
        world.data.projects[sample_id("project", "OPS")].row["identifier"] = "PROP"
        world.clock.move(601)
        after = {link: await world.ask("GET", link) for link in (anna, prop)}
        assert [answer.status_code for answer in after.values()] == [200, 200]
        if kind == "ics":
            assert b"X-WR-CALNAME:Annika's issues" in after[anna].content
            for link, answer in after.items():
                assert events(answer.content).keys() == events(before[link]).keys()
        assert {name: urls[kind] for name, urls in (await world.service.all_links("")).items()} == links


async def test_the_name_in_an_automatic_address_is_decoration() -> None:
    async with serving() as world:
        await world.service.auto_feeds()
        path = world.path("assignee-anna")
        for other in ("assignee-ben", "whatever", "property"):
            answer = await world.ask("GET", path.replace("/assignee-anna.ics", f"/{other}.ics"))
            assert answer.content == (await world.ask("GET", path)).content
        assert (await world.ask("GET", path.replace("/feeds/", "/embed/"))).status_code == 404


async def test_links_derived_from_names_keep_whose_they_were_first() -> None:
    def of_name(name: str) -> str:
        secret = settings().secret
        return f"/feeds/{derive(secret.reveal(), 'feed', name)}/{name}.ics" if secret else ""

    async with serving() as world:
        await world.service.auto_feeds()
        assert (await world.ask("GET", of_name("assignee-anna"))).status_code == 200
        _renamed(world, "anna", "Annika")
        _renamed(world, "ben", "anna")
        _joined(world, "99999999-2222-4333-8444-555555555555", "fred")
        world.clock.move(601)
        await world.service.auto_feeds()
        answer = await world.ask("GET", of_name("assignee-anna"))
        assert b"X-WR-CALNAME:Annika's issues" in answer.content
        for nobodys in ("assignee-annika", "assignee-fred"):
            assert (await world.ask("GET", of_name(nobodys))).status_code == 404


async def test_a_configured_feed_over_the_same_takes_over_the_automatic_links() -> None:
    clock, data = Clock(), sample(TODAY)
    async with serving(data=data, clock=clock) as world:
        await world.service.auto_feeds()
        path = world.path("project-prop")
    for feed, status in (
        (Feed(project="PROP", title="Ours"), 200),
        (Feed(project="PROP", revision=2), 404),
        (Feed(project="OPS"), 404),
        (Feed(project="PROP", active=False), 404),
    ):
        async with serving(settings({"project-prop": feed}), data=data, clock=clock) as world:
            await world.service.auto_feeds()
            answer = await world.ask("GET", path)
            assert answer.status_code == status
            assert status != 200 or b"X-WR-CALNAME:Ours" in answer.content


async def test_a_name_that_becomes_ambiguous_is_logged_once_with_both_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as world:
        await world.service.auto_feeds()
        assert not caplog.records
        _renamed(world, "ben", "anna")
        for _ in range(3):
            world.clock.move(601)
            await world.service.auto_feeds()
        (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
        assert all(_user(world, who) in record.getMessage() for who in ("ben", "anna"))


async def test_readers_who_come_together_renew_the_automatic_feeds_once() -> None:
    class Counted(Links):
        known = 0

        def set_automatic(self, served: Mapping[str, AutomaticFeed], names: AssignedNames) -> None:
            self.known += 1
            super().set_automatic(served, names)

    async with serving() as world:
        await world.service.auto_feeds()
        links = Counted(world.service.config)
        rosters = world.service.known_rosters
        feeds = AutomaticFeeds(world.service.config, rosters, links, world.service.store)
        await asyncio.gather(*(feeds.current() for _ in range(50)))
        assert links.known == 1


@pytest.mark.parametrize(
    ("auto", "names"),
    [(Auto(), set()), (Auto(projects=True), {"project-"}), (Auto(assignees=True), {"assignee-"})],
)
async def test_automatic_feeds_are_an_option(auto: Auto, names: set[str]) -> None:
    async with serving(settings(auto=auto)) as world:
        found = await world.service.auto_feeds()
        assert {name.partition("-")[0] + "-" for name in found} == names
        for name in ("project-prop", "assignee-anna"):
            expected = 200 if name in found else 404
            assert (await world.get(name)).status_code == expected


async def test_two_members_of_one_name_have_feeds_distinguished_by_their_ids() -> None:
    async with serving() as world:
        _renamed(world, "ben", "anna")
        names = [name for name in await world.service.auto_feeds() if name.startswith("assignee-anna")]
        assert sorted(names) == sorted(f"assignee-anna-{_user(world, who)[:8]}" for who in ("anna", "ben"))
        assert (await world.get("assignee-anna")).status_code == 404
        for name in names:
            assert (await world.get(name)).status_code == 200


STATUSES_SHOWN = {
    ("full", "keep"): {"NEEDS-ACTION", "IN-PROCESS", "COMPLETED", "CANCELLED"},
    ("brief", "keep"): {"NEEDS-ACTION", "IN-PROCESS", "COMPLETED", "CANCELLED"},
    ("title", "cancelled"): {"NEEDS-ACTION", "COMPLETED"},
    ("title", "check"): {"NEEDS-ACTION", "COMPLETED"},
    ("title", "drop"): {"NEEDS-ACTION"},
    ("title", "keep"): {"NEEDS-ACTION"},
    ("busy", "cancelled"): {"NEEDS-ACTION"},
}


@pytest.mark.parametrize(("details", "done"), STATUSES_SHOWN)
@pytest.mark.parametrize("dates", ["due", "span"])
async def test_tasks_that_are_asked_of_events_tell_no_more_than_those(
    details: Details, done: DoneMode, dates: DateMode
) -> None:
    feed = Feed(everything=True, details=details, done=done, dates=dates)
    async with serving(settings({"few": feed})) as world:
        own = events((await world.get("few")).content)
        found = Calendar.from_ical((await world.get("few", "?component=vtodo")).content).walk("VTODO")
        assert {str(todo["STATUS"]) for todo in found} == STATUSES_SHOWN[details, done]
        assert {str(todo["UID"]) for todo in found} == own.keys()
        shown = {name for todo in found for name in ("COMPLETED", "RELATED-TO", "DTSTART") if name in todo}
        by_details = {"full": {"COMPLETED", "RELATED-TO", "DTSTART"}, "busy": set()}
        assert shown == by_details.get(details, {"DTSTART"} if dates == "span" else set())


# Workspaces


def _second(clock: Clock) -> PlaneData:
    """Another Plane: other keys of projects, other names of people."""
    data = sample(TODAY, clock=clock)
    for project in data.projects.values():
        project.row["identifier"] = f"N{project.row['identifier']}"
    for key, user in data.users.items():
        data.users[key] = replace(user, display_name=f"n-{user.display_name}", email=f"n-{user.email}")
    return data


def _two(active: Mapping[str, bool] = {}) -> Config:
    workspace = settings().workspaces["demo"]
    workspaces = {
        name: replace(workspace, title=name, active=active.get(name, True)) for name in ("demo", "north")
    }
    feeds = {
        "south": Feed(workspace="demo", everything=True),
        "north": Feed(workspace="north", everything=True, summary="{key}"),
    }
    return settings(feeds, workspaces=workspaces)


async def test_several_workspaces_are_served_by_one_server() -> None:
    clock = Clock()
    async with serving(_two(), clock=clock, more={"north": _second(clock)}) as world:
        north = await world.get("north")
        assert "NPROP-1" in titles(north.content)
        assert b"X-WR-CALNAME:north" in north.content
        assert b"X-WR-CALNAME:demo" in (await world.get("south")).content
        names = await world.service.auto_feeds()
        assert {"project-prop", "project-nprop", "assignee-anna", "assignee-n-anna"} <= set(names)
        assert b"X-WR-CALNAME:n-anna's issues" in (await world.get("assignee-n-anna")).content


async def test_one_workspace_that_fails_does_not_harm_the_other() -> None:
    clock = Clock()
    async with serving(_two(), clock=clock, more={"north": _second(clock)}) as world:
        world.faults.add("", f.server_error(), None)
        assert (await world.get("south")).status_code == 503
        assert (await world.get("north")).status_code == 200
        assert (await world.get("project-nprop")).status_code == 200
        # It may be one of the workspace that was never read.
        assert (await world.get("project-nope")).status_code == 503


@pytest.mark.parametrize(
    ("asleep", "awake", "auto"), [("demo", "north", "project-nprop"), ("north", "south", "project-prop")]
)
async def test_an_inactive_workspace_is_neither_read_nor_served(asleep: str, awake: str, auto: str) -> None:
    clock = Clock()
    async with serving(_two({asleep: False}), clock=clock, more={"north": _second(clock)}) as world:
        assert set(world.service.workspaces) == {"demo", "north"} - {asleep}
        answers = [(await world.get(feed)).status_code for feed in ("south", "north")]
        assert sorted(answers) == [200, 404]
        assert (await world.get(awake)).status_code == 200
        assert (await world.get(auto)).status_code == 200
        assert len(await world.service.all_links("https://x")) == 1 + 3 + 5


async def test_only_the_configured_projects_leave_plane() -> None:
    config = settings()
    config = replace(config, workspaces={"demo": replace(config.workspaces["demo"], projects=("OPS",))})
    async with serving(config) as world:
        assert len(events((await world.get("everything")).content)) == 9
        assert (await world.get("property")).status_code == 503
        assert world.faults.count(sample_id("project", "PROP")) == 0


@pytest.mark.parametrize("how", ["archived", "not joined"])
async def test_projects_that_are_archived_or_not_joined_are_not_shown(how: str) -> None:
    async with serving() as world:
        project = world.data.projects[sample_id("project", "PROP")]
        if how == "archived":
            project.row["archived_at"] = "2026-11-01"
        else:
            project.members = [member for member in project.members if member.user != _user(world, "anna")]
        answer = await world.get("everything")
        assert len(events(answer.content)) == 17
        assert (await world.get("project-prop")).status_code == 404


# Details of the whole


async def test_many_readers_of_many_feeds_cost_plane_what_one_costs() -> None:
    async with serving() as alone:
        await alone.get("plan")
    async with serving() as world:
        names = [name for name in world.service.config.feeds for _ in range(30)]
        answers = await asyncio.gather(*(world.get(name) for name in names))
        assert {answer.status_code for answer in answers} == {200}
        assert world.faults.count() == alone.faults.count()


async def test_a_feed_is_made_once_for_all_who_ask_at_the_same_time() -> None:
    async with serving() as world:
        found = await asyncio.gather(*(world.service.rendered("property") for _ in range(50)))
        assert all(rendered is found[0] for rendered in found)


async def test_the_view_and_the_calendar_of_a_feed_can_be_asked_for() -> None:
    async with serving() as world:
        view = await world.service.view("property")
        calendar = await world.service.calendar("property")
        assert [snapshot.project.key for snapshot in view.snapshots] == ["PROP"]
        assert (calendar.count, calendar.selection.undated, calendar.selection.start_only) == (
            20,
            1,
            1,
        )
        assert world.service.today() == TODAY


async def test_a_fault_while_a_feed_is_made_leaves_the_last_good_copy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as world:
        before = await world.service.rendered("property")
        world.change("PROP", 1, name="Changed")
        world.clock.move(61)
        # A clock that fails is a fault that no code of ours expects.
        clock, world.clock.now = world.clock.now, None  # type: ignore[assignment]
        assert await world.service.rendered("property") == before
        world.clock.now = clock
    assert "serving the last good copy" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_cycle_that_has_ended_can_be_asked_for() -> None:
    async with serving() as world:
        await world.get("property")
        ended = sample_id("cycle", "PROP", "Sprint 11")
        assert world.faults.count(ended) == 0
        answer = await world.get("property", "?cycle=Sprint%2011")
        assert titles(answer.content) == {"[3] Collect three quotes", "[15] Chimney sweep"}
        assert world.faults.count(ended) == 1
        # What only the filter needs to know is not shown.
        assert b"Sprint 11" not in answer.content


async def test_a_feed_whose_cycle_cannot_be_read_now_is_not_empty() -> None:
    async with serving() as world:
        await world.get("property")
        world.faults.add("cycle-issues", f.server_error(), None)
        answer = await world.get("property", "?cycle=Sprint%2011")
        assert answer.status_code == 503


async def test_a_narrowing_that_nobody_asked_for_before_is_made_of_the_last_good_copy() -> None:
    async with serving() as world:
        await world.get("property")
        world.faults.add("", f.server_error(), None)
        world.clock.move(HOUR)
        answer = await world.get("property", "?priority=urgent")
        assert titles(answer.content) == {"[1] Renew the insurance of house 7"}
