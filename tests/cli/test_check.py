"""`check` says what works, what does not, and what to do."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from app_world import NOW, TODAY, Clock, World, serving, settings
from msgspec.structs import replace
from plane import faults as f
from plane.data import PlaneData
from plane.editions import Variant
from signing_world import made_signing

from icsfeed.cli.check import Finding, check, check_signing, first_error
from icsfeed.config.schema import (
    AuthProxy,
    Auto,
    Cache,
    Config,
    Duration,
    Feed,
    Filter,
    Match,
    Secret,
    Window,
)
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.errors import (
    AmbiguousName,
    KeyRefused,
    NameNotFound,
    NoAccess,
    NoCopy,
    NotPlane,
    ServerError,
)

pytestmark = pytest.mark.anyio

DAY = 86_400


def _config(feeds: dict[str, Feed] | None = None, **workspace: Any) -> Config:
    config = settings(feeds or {}, auto=Auto())
    return replace(config, workspaces={"demo": replace(config.workspaces["demo"], **workspace)})


async def _findings(world: World) -> list[Finding]:
    return [finding async for finding in check(world.service)]


async def _about(feed: Feed, about: str = "feed x", **options: Any) -> list[Finding]:
    async with serving(_config({"x": feed}), **options) as world:
        return [finding for finding in await _findings(world) if finding.about == about]


async def test_all_is_well_with_the_sample() -> None:
    async with serving() as world:
        findings = await _findings(world)
    assert {finding.level for finding in findings} == {"ok"}
    lines = [f"{finding.about}: {finding.text}" for finding in findings]
    assert lines[:5] == [
        "workspace demo: Plane Community v1.3.1 accepts the key of anna",
        "workspace demo: projects: OPS, PROP, WEB",
        "workspace demo: members: 5 (anna@example.com, ben@example.com, clara@example.com, "
        "dan@example.com, eva@example.com)",
        "workspace demo: Plane allows pages of 1000 rows and 1000000 requests a minute",
        "workspace demo: this Plane does not have: list of all work items, count of all work items, "
        "milestones, releases, initiatives, work item types, PQL",
    ]
    everything = next(line for line in lines if line.startswith("feed everything"))
    assert everything.startswith("feed everything: 37 items, ")
    assert everything.endswith(" bytes; not in it: 3 undated, 1 with only a start date")
    assert len([line for line in lines if line.startswith("feed ")]) == 7 + 3 + 5
    assert first_error(findings) is None


async def test_an_automatic_feed_whose_name_is_configured_is_checked_once() -> None:
    async with serving(settings({"project-prop": Feed(project="OPS")})) as world:
        findings = [finding.about for finding in await _findings(world)]
    assert findings.count("feed project-prop") == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (f.refused(), KeyRefused, "does not accept the API key"),
        (
            f.answering(403, b'{"detail":"You do not have permission to perform this action."}'),
            NoAccess,
            "check the slug",
        ),
        (f.wrong_type(), NotPlane, "check the url"),
        (f.server_error(), ServerError, "the server failed with 500"),
    ],
)
async def test_a_workspace_that_cannot_be_read_is_an_error_and_so_are_its_feeds(
    fault: f.Fault, kind: type[Exception], words: str
) -> None:
    async with serving(_config({"x": Feed(everything=True)})) as world:
        world.faults.add("", fault, None)
        findings = await _findings(world)
    assert [(finding.level, finding.about) for finding in findings] == [
        ("error", "workspace demo"),
        ("error", "feed x"),
    ]
    assert words in findings[0].text
    assert isinstance(first_error(findings), kind)
    assert isinstance(findings[1].error, NoCopy)


async def test_a_project_that_the_key_may_not_read_is_an_error() -> None:
    async with serving(_config()) as world:
        world.faults.add("/work-items/", f.answering(403, b'{"detail":"no"}'), None)
        findings = await _findings(world)
    assert (findings[-1].level, findings[-1].about) == ("error", "workspace demo")
    assert "lacks access" in findings[-1].text
    assert isinstance(first_error(findings), NoAccess)


async def test_a_slow_plane_is_an_error() -> None:
    config = replace(_config(), cache=replace(Cache(), deadline=0.01))
    async with serving(config) as world:
        world.faults.add("/work-items/", f.delayed(60), None)
        findings = await _findings(world)
    assert findings[-1].text == "reading it takes longer than the deadline"
    assert findings[-1].level == "error"


async def test_projects_that_the_key_has_not_joined_are_named() -> None:
    prop = "PROP"
    async with serving(_config(projects=("prop", "OPPS", "X"))) as world:
        findings = await _findings(world)
    errors = [finding for finding in findings if finding.level == "error"]
    assert ["'OPPS'" in errors[0].text, "'X'" in errors[1].text, len(errors)] == [True, True, 2]
    assert isinstance(first_error(findings), NoAccess)
    assert any(prop in finding.text for finding in findings if finding.level == "ok")


async def test_projects_may_be_named_by_id() -> None:
    async with serving() as world:
        ids = tuple(world.data.projects)
    async with serving(_config(projects=ids)) as world:
        assert first_error(await _findings(world)) is None


async def test_a_key_without_any_project_is_an_error() -> None:
    clock = Clock()
    data = PlaneData(clock=clock)
    async with serving() as world:
        data.users, data.keys, data.workspaces = world.data.users, world.data.keys, world.data.workspaces
    async with serving(_config(), data=data, clock=clock) as world:
        findings = await _findings(world)
    assert "has joined no project" in findings[-1].text
    assert isinstance(first_error(findings), NoAccess)


async def test_what_is_not_active_is_listed_and_not_tried() -> None:
    config = _config({"x": Feed(everything=True)}, active=False)
    async with serving(config) as world:
        findings = await _findings(world)
        assert world.faults.count() == 0
    assert [(finding.level, finding.text) for finding in findings] == [
        ("ok", "is not active; its feeds answer 404"),
        ("ok", "is not active"),
    ]
    assert (await _about(Feed(everything=True, active=False)))[0].text == "is not active"


async def test_unreadable_issues_are_counted() -> None:
    async with serving(_config()) as world:
        world.faults.add("/work-items/", f.malformed(created_at=None), times=2)
        findings = await _findings(world)
    text = "2 issues could not be read; the log names them"
    assert ("warning", "workspace demo", text, None) in findings


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        (
            Feed(everything=True, window=Window(Duration(0), Duration(0)), where=Filter(label=("Safety",))),
            "outside its window",
        ),
        (Feed(everything=True, done="drop", where=Filter(state=("completed",))), "done issues are dropped"),
        (
            Feed(everything=True, where=Filter(priority=("urgent",), label=("bug",))),
            "passes its where filter",
        ),
        (
            Feed(
                project="WEB",
                window=Window(Duration(0), Duration(0)),
                where=Filter(priority=("urgent",)),
            ),
            "together leave nothing",
        ),
    ],
)
async def test_an_empty_feed_says_why(feed: Feed, reason: str) -> None:
    findings = await _about(feed)
    assert findings[-1].level == "warning"
    assert findings[-1].text.startswith("is empty: ")
    assert reason in findings[-1].text


async def test_a_feed_of_somebody_without_issues_or_of_a_project_without_any_says_so() -> None:
    async with serving(_config({"x": Feed(assignee="eva"), "y": Feed(project="OPS")})) as world:
        for project in world.data.projects.values():
            for issue in project.issues.values():
                issue["assignees"] = []
        world.data.projects[
            next(p for p, q in world.data.projects.items() if q.row["identifier"] == "OPS")
        ].issues = {}
        texts = [finding.text for finding in await _findings(world) if finding.level == "warning"]
    assert texts == ["is empty: no issue is assigned to eva", "is empty: its projects have no issues"]


async def test_a_feed_without_due_dates_says_so() -> None:
    async with serving(_config({"x": Feed(project="OPS")})) as world:
        for project in world.data.projects.values():
            for issue in project.issues.values():
                issue["target_date"] = None
        findings = (await _findings(world))[-1]
    assert findings.text == "is empty: no issue has a due date (3 have only a start date, 7 none)"


async def test_unknown_names_in_a_filter_are_warnings() -> None:
    where = Filter(
        label=("bgu", "Budget"),
        assignee=("bob", "none"),
        exclude=Match(cycle=("Sprint 99",), state=("Doing",)),
    )
    texts = [finding.text for finding in await _about(Feed(everything=True, where=where))]
    for name in (
        *("label 'bgu'; did you mean bug?", "assignee 'bob'"),
        *("cycle 'Sprint 99'; did you mean Sprint 13?", "state 'Doing'; did you mean Done?"),
    ):
        assert f"its filter names an unknown {name}" in texts
    assert not [text for text in texts if "Budget" in text or "none'" in text]


@pytest.mark.parametrize(
    ("feed", "kind"), [(Feed(assignee="nobody"), NameNotFound), (Feed(project="NOPE"), NameNotFound)]
)
async def test_a_feed_with_an_unknown_person_or_project_is_an_error(
    feed: Feed, kind: type[Exception]
) -> None:
    findings = await _about(feed)
    assert [finding.level for finding in findings] == ["error"]
    assert isinstance(findings[0].error, kind)
    assert "there is:" in findings[0].text


async def test_an_ambiguous_person_is_an_error() -> None:
    async with serving(_config({"x": Feed(assignee="anna")})) as world:
        ben = next(user for user in world.data.users.values() if user.display_name == "ben")
        world.data.users[ben.id] = replace(ben, display_name="Anna")
        findings = (await _findings(world))[-1]
    assert isinstance(findings.error, AmbiguousName)
    assert "ben@example.com" in findings.text


async def test_a_feed_too_large_for_some_services_is_a_warning() -> None:
    long = Feed(everything=True, summary="{name} " + "x" * 25_000)
    findings = await _about(long)
    assert [finding.level for finding in findings] == ["ok", "warning"]
    assert "give it a window" in findings[1].text
    small = await _about(replace(long, window=Window(Duration(DAY), Duration(DAY))))
    assert [finding.level for finding in small] == ["ok"]


async def test_a_long_list_of_members_is_cut() -> None:
    async with serving(_config()) as world:
        anna = next(iter(world.data.users.values()))
        workspace = world.data.workspaces["acme-demo"]
        for number in range(30):
            user = replace(anna, id=f"00000000-0000-4000-8000-{number:012}", email=f"x{number}@example.com")
            world.data.users[user.id] = user
            workspace.members.append(replace(workspace.members[0], user=user.id))
        text = next(one.text for one in await _findings(world) if one.text.startswith("members"))
    assert text.startswith("members: 35 (")
    assert text.endswith(", …)")


async def _of_workspace(world: World) -> list[Finding]:
    return [finding for finding in await _findings(world) if finding.about == "workspace demo"]


async def _can(**options: Any) -> list[str]:
    async with serving(_config(), **options) as world:
        return [finding.text for finding in await _of_workspace(world) if "this Plane " in finding.text]


EVERYTHING = (
    "this Plane has: list of all work items, count of all work items, milestones, releases, "
    "initiatives, work item types, PQL"
)


async def test_what_commercial_can_do_is_named_after_asking_once_for_each() -> None:
    async with serving(_config(), edition=COMMERCIAL) as world:
        texts = [finding.text for finding in await _of_workspace(world)]
        before = len(world.faults.requests)
        await world.workspace.plane.abilities(next(iter(world.workspace.resources.projects.value or ())))
        assert len(world.faults.requests) - before == 7
    assert texts[0] == f"Plane Commercial {COMMERCIAL.release} accepts the key of anna"
    assert texts[-2:] == [
        "Plane allows pages of 100 rows and 1000000 requests a minute",
        EVERYTHING,
    ]


@pytest.mark.parametrize("status", [402, 403, 404])
async def test_what_a_plan_lacks_is_named(status: int) -> None:
    variant = Variant(lacks={"milestones": status, "releases": status}, type_path="issue-types")
    can, cannot = await _can(edition=COMMERCIAL, variant=variant)
    assert can == EVERYTHING.replace("milestones, releases, ", "")
    assert cannot == "this Plane does not have: milestones, releases"


async def test_a_plane_that_ignores_pql_cannot_do_it() -> None:
    assert "this Plane does not have: PQL" in await _can(edition=replace(COMMERCIAL, searches=False))


@pytest.mark.parametrize("fault", [f.server_error(), f.refused(), f.wrong_type(), f.answering(200, b"{}")])
async def test_a_check_never_fails_for_what_plane_can_do(fault: f.Fault) -> None:
    async with serving(_config(), edition=COMMERCIAL) as world:
        world.faults.add("workspaces/[^/]+/work-items|releases|initiatives|milestones|types", fault, None)
        findings = await _findings(world)
    assert first_error(findings) is None
    assert any("PQL" in finding.text for finding in findings)


async def test_the_other_kind_of_key_is_recommended_when_one_is_refused() -> None:
    async def refused(**keys: Any) -> str:
        async with serving(_config(**keys)) as world:
            return (await _of_workspace(world))[0].text

    bearer = {"api_key": None, "token": Secret("a-bearer-token")}
    assert "this edition needs an api_key" in await refused(**bearer)
    assert "as token" not in await refused(**bearer)
    assert "give it as api_key" in await refused(api_key=None, token=Secret("plane_api_other"))
    assert "as token" in await refused(api_key=Secret("a-bearer-token"))
    assert " give " not in await refused(api_key=Secret("plane_api_wrong"))


async def test_cloud_is_named_by_its_address_where_it_does_not_say() -> None:
    async with serving(_config(url="https://app.plane.so"), edition=COMMERCIAL) as world:
        world.faults.add("/instances/", f.answering(404, b"{}"), None)
        assert (await _of_workspace(world))[0].text == "Plane Cloud accepts the key of anna"


async def test_a_sign_in_header_that_others_could_send_is_a_warning() -> None:
    proxy = AuthProxy("X-Forwarded-Email", ("10.0.0.0/8",))
    for secret, levels in ((None, ["warning"]), (Secret("s" * 16), [])):
        config = replace(_config(), auth_proxy=replace(proxy, secret=secret))
        async with serving(config) as world:
            findings = [finding for finding in await _findings(world) if finding.about == "auth_proxy"]
        assert [finding.level for finding in findings] == levels
        assert all("10.0.0.0/8" in finding.text for finding in findings)


@pytest.mark.parametrize(("store", "warned"), [("memory", True), ("file", False)])
async def test_a_store_in_memory_is_a_warning_where_people_could_make_links(store: str, warned: bool) -> None:
    proxy = AuthProxy("X-Forwarded-Email", ("10.0.0.0/8",), Secret("s" * 32))
    async with serving(replace(_config(), auth_proxy=proxy, store=Secret(store))) as world:
        findings = [finding for finding in await _findings(world) if finding.about == "store"]
    assert [finding.level for finding in findings] == ["warning"] * warned


async def test_host_names_are_shown_in_their_ascii_form() -> None:
    async with serving(
        replace(_config(), cors=("https://xn--mller-kva.example", "https://plain.example"))
    ) as world:
        findings = [finding.text for finding in await _findings(world) if "xn--" in finding.text]
    assert len(findings) == 1
    assert findings[0].startswith("cors is https://xn--mller-kva.example")


def test_the_certificate_for_profiles_is_checked(tmp_path: Path) -> None:
    signing = made_signing(tmp_path, expires=NOW + timedelta(days=30))
    for day, (level, said) in {
        0: ("ok", "is valid until 2026-12-23"),
        31: ("error", "expired on 2026-12-23; devices show profiles as not verified: renew it"),
        -20_000: ("error", "is not valid before"),
    }.items():
        finding = check_signing(signing, TODAY + timedelta(days=day))
        assert (finding.level, finding.about) == (level, "profile_signing")
        assert said in finding.text
    Path(signing.key_file).unlink()
    finding = check_signing(signing, TODAY)
    assert finding.text == "key_file cannot be read: No such file or directory"
    assert first_error([finding]) is not None
