"""Many workspaces with many projects: what Plane holds, and the configuration of its feeds."""

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid5

import msgspec
from app_world import TODAY
from msgspec import Struct
from msgspec.structs import replace
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.config.schema import Auto, Cache, Config, Duration, Feed, Secret, WorkspaceConfig
from icsfeed.demo.data import DemoKey, DemoProject, DemoWorkspace

SPACE = UUID("9d1e5d4c-3f1c-4a8e-8a53-6a4cf1f1d9a1")
SUBSCRIBERS = ("one", "two", "three", "four")
"""With the feed's own link, five for each project."""
ISSUES = 8
"""Of a project."""


class Scale(Struct, frozen=True):
    """How much there is. In seconds: TTLs, `tick`, and `grid`.

    `tick` is the time between two looks of a server, which makes them every second, and `grid` a step of
    time: both are coarse, so that a day takes fewer of them.
    """

    workspaces: int = 10
    projects: int = 100
    issues_ttl: int = 900
    names_ttl: int = 7_200
    tick: float = 20.0
    grid: float = 2.0

    @property
    def feeds(self) -> dict[str, tuple[str, str]]:
        """Workspace and project key by the name of a feed."""
        return {
            f"w{number}-p{project}": (f"w{number}", f"P{project}")
            for number in range(self.workspaces)
            for project in range(self.projects)
        }


def settings(scale: Scale) -> Config:
    """Return the configuration: a feed for each project, with five links."""
    names = Duration(scale.names_ttl)
    cache = Cache(
        issues=Duration(scale.issues_ttl),
        projects=names,
        states=names,
        labels=names,
        cycles=names,
        modules=names,
        members=names,
    )
    workspaces = {
        f"w{number}": WorkspaceConfig(
            url="https://plane.example.com", slug=f"w{number}", api_key=Secret(key_of(f"w{number}"))
        )
        for number in range(scale.workspaces)
    }
    feeds = {
        name: Feed(workspace=workspace, project=project, subscribers=SUBSCRIBERS)
        for name, (workspace, project) in scale.feeds.items()
    }
    secret = Secret("the simulation has no secrets to keep")
    auto = Auto(projects=False, assignees=False)
    return Config(workspaces=workspaces, feeds=feeds, secret=secret, cache=cache, auto=auto)


def key_of(workspace: str) -> str:
    return f"plane_api_{workspace:0>32}"


def plane_data(scale: Scale, clock: Callable[[], datetime]) -> PlaneData:
    """Return a Plane with copies of the sample's projects, each workspace with a key of its own."""
    data = sample(TODAY, clock=clock)
    models = [small(project) for project in data.projects.values()]
    [workspace] = data.workspaces.values()
    [key] = (key for key in data.keys.values() if key.active and key.expires is None)
    data.projects, data.keys, data.workspaces = {}, {}, {}
    for number in range(scale.workspaces):
        slug = f"w{number}"
        data.workspaces[slug] = DemoWorkspace(str(uuid5(SPACE, slug)), slug, slug, workspace.members)
        data.keys[key_of(slug)] = DemoKey(key_of(slug), key.user)
        for project in range(scale.projects):
            copy = copied(models[project % len(models)], slug, project)
            data.projects[copy.row["id"]] = copy
    return data


def small(project: DemoProject) -> DemoProject:
    """Return the project with a few issues that have a due date, and no cycles and modules."""
    dated = [issue for issue in project.shown() if issue["target_date"] and not issue["parent"]]
    issues = {issue["id"]: issue for issue in dated[:ISSUES]}
    return replace(project, issues=issues, cycles={}, modules={}, links={})


def copied(project: DemoProject, slug: str, number: int) -> DemoProject:
    """Return a copy of the project with ids of its own."""
    own = {project.row["id"], *project.states, *project.labels, *project.issues}
    new = {id_: str(uuid5(SPACE, f"{slug}/{number}/{id_}")) for id_ in own}
    text = msgspec.json.encode(project).decode()
    text = re.sub(r"[0-9a-f-]{36}", lambda found: new.get(found[0], found[0]), text)
    copy = msgspec.json.decode(text, type=DemoProject)
    copy.slug = slug
    copy.row.update(identifier=f"P{number}", name=f"Project {number} of {slug}")
    for version, issue in enumerate(copy.issues.values()):
        issue["name"] = f"Thing v{version}"
    return copy
