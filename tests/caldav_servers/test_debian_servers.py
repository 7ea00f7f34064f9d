"""What test_push_servers.py promises, with the servers of Debian's packages, and what is special to one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_push_servers as promises
from dav_world import DavServer
from debian_servers import cyrus, davical, sabre, sogo
from push_world import Pushing, pushing_to
from test_push_servers import plane

from icsfeed.dav.names import object_name
from icsfeed.feeds.mapping import issue_uid

pytestmark = pytest.mark.anyio

globals().update({name: test for name, test in vars(promises).items() if name.startswith("test_")})
"""Collected here, they take the fixtures of this module."""


@pytest.fixture(params=[davical, cyrus, sogo, sabre], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[DavServer]:
    with request.param() as running:
        yield running


@pytest.fixture
def dav(server: DavServer, request: pytest.FixtureRequest) -> Iterator[DavServer]:
    """As there, and its calendars go afterwards: Cyrus lets a UID be in one calendar of an account."""
    server.calendar = request.node.originalname.replace("_", "-")
    yield server
    for name in (server.calendar, "plane-all"):
        assert server.client.delete(f"{server.url}{name}/").status_code in (204, 404)


async def test_a_server_that_takes_digest_only_costs_one_request_more(tmp_path: Path) -> None:
    with sabre("digest") as dav:
        async with pushing_to(plane(dav), tmp_path) as it:
            first = await it.push()
            assert await it.problems(dav.person().contents()) == []
            second = await it.push()
    assert (second.requests, second.counts) == (2, {"kept": first.counts["created"]})


async def test_an_emoji_that_sogo_destroys_an_object_on_is_told_and_can_be_left_out(tmp_path: Path) -> None:
    with sogo() as dav:
        async with pushing_to(plane(dav), tmp_path) as it:
            name_with_emoji(it)
            destroyed = {failure.href.rpartition("/")[2] for failure in (await it.push()).failures}
            assert destroyed, "this SOGo bears it"
            assert destroyed.isdisjoint(dav.person().hrefs())
        async with pushing_to(plane(dav, strip_emoji=True), tmp_path) as it:
            name_with_emoji(it)
            assert (await it.push()).is_good
            assert destroyed <= set(dav.person().hrefs())


async def test_an_event_that_a_person_invited_somebody_to_can_still_be_corrected_on_sogo(
    tmp_path: Path,
) -> None:
    """SOGo raises SEQUENCE with an invitation, and refuses what has a lower one (409)."""
    invited = (
        "ORGANIZER;CN=Alice:mailto:alice@example.com\r\n"
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@example.com\r\nEND:VEVENT"
    )
    with sogo() as dav:
        async with pushing_to(plane(dav), tmp_path) as it:
            await it.push()
            row = it.issues("PROP")[0]
            name, person = object_name(issue_uid(row["id"])), dav.person()
            person.edit(name, "END:VEVENT", invited)
            before = int(re.findall(r"SEQUENCE:(\d+)", person.get(name))[0]) + 1
            person.edit(name, f"SEQUENCE:{before - 1}", f"SEQUENCE:{before}")
            for _ in range(2):
                person.edit(name, "SUMMARY:", "SUMMARY:Changed ")
                report = await it.push()
                assert (report.is_good, report.counts["updated"]) == (True, 1), report.as_json()
                assert int(re.findall(r"SEQUENCE:(\d+)", person.get(name))[0]) > before
            assert await it.problems(person.contents()) == []


def name_with_emoji(it: Pushing) -> None:
    """One of them has it where SOGo folds the line."""
    for number, row in enumerate(it.issues("PROP")):
        it.world.data.patch_issue(row["id"], {"name": "x" * (56 + number) + "\N{PARTY POPPER}"})
