"""Which feeds are not set up correctly, as far as that is known without asking Plane."""

import pytest
from app_world import serving, settings
from plane import faults as f

from icsfeed.config.schema import Feed
from icsfeed.web.status.problems import FeedProblems

pytestmark = pytest.mark.anyio

FEEDS = {
    "good": Feed(project="WEB"),
    "lost": Feed(project="NEW"),
    "gone": Feed(assignee="x@example.com"),
    "off": Feed(project="NO", active=False),
}


async def test_names_that_do_not_exist_are_problems_once_the_workspace_was_read() -> None:
    async with serving(settings(FEEDS)) as world:
        problems = FeedProblems(world.service)
        assert problems.current() == {}
        await world.get("good")
        assert {name: reason[:14] for name, reason in problems.current().items()} == {
            "lost": "no project 'NE",
            "gone": "no assignee 'x",
        }


async def test_a_project_that_is_made_ends_the_problem_and_a_failure_of_plane_makes_none() -> None:
    async with serving(settings(FEEDS)) as world:
        problems = FeedProblems(world.service)
        await world.get("good")
        project = next(iter(world.data.projects.values()))
        project.row["identifier"] = "NEW"
        world.clock.move(hours=1)
        await world.get("good")
        assert problems.current().keys() == {"gone"}
        world.faults.add("", f.server_error(), None)
        world.clock.move(hours=1)
        await world.get("good")
        assert problems.current().keys() == {"gone"}
