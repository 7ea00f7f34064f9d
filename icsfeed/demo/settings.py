"""The configuration of `icsfeed demo`: a feed of each kind over the sample workspace."""

from icsfeed.config.schema import (
    Auto,
    Config,
    Duration,
    Feed,
    Filter,
    Included,
    Secret,
    Window,
    WorkspaceConfig,
)
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.sample import API_KEY, SLUG

# Constants, so that links stay the same at every start; they protect nothing but the sample.
SECRET = "the sample workspace has no secrets at all"  # noqa: S105
ADMIN_TOKEN = "admin-of-the-sample-workspace"  # noqa: S105


def demo_config(edition: Edition = COMMUNITY) -> Config:
    """Return a configuration with feeds by project, person and filter, with spans, cycles and tasks.

    One of them shows all that has a date in this edition.
    """
    planned: tuple[Included, ...] = ("milestones", "releases", "initiatives") if edition.has_plans else ()
    everything = Feed(everything=True, title="Everything", public=True)
    return Config(
        workspaces={
            "demo": WorkspaceConfig(
                url="https://plane.example.com", slug=SLUG, api_key=Secret(API_KEY), title="Acme Property"
            )
        },
        secret=Secret(SECRET),
        admin_token=Secret(ADMIN_TOKEN),
        feeds={
            "everything": everything,
            "property": Feed(project="PROP", title="Property"),
            "anna": Feed(assignee="anna", dates="span", subscribers=("phone", "laptop")),
            "urgent": Feed(
                everything=True,
                title="Urgent",
                window=Window(past=Duration(90 * 86_400), ahead=Duration(400 * 86_400)),
                where=Filter(priority=("urgent", "high"), state=("unstarted", "started")),
                color="tomato",
            ),
            "plan": Feed(
                everything=True, title="Plan", dates="span", include=("issues", "cycles", "modules", *planned)
            ),
            "unassigned": Feed(unassigned=True),
            "tasks": Feed(everything=True, title="Tasks", component="vtodo"),
        },
        auto=Auto(projects=True, assignees=True),
    )
