"""Feeds that nobody wrote down: one for each project, one for each member (`auto:`)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from icsfeed.core.config import Auto, Feed
from icsfeed.core.model import Person, Project

PROJECT, ASSIGNEE = "project-", "assignee-"


def may_be_auto(name: str, auto: Auto) -> bool:
    """Whether `auto` could make a feed of this name, without knowing who and what there is."""
    return (auto.projects and name.startswith(PROJECT)) or (auto.assignees and name.startswith(ASSIGNEE))


def auto_feeds(
    auto: Auto, workspaces: Mapping[str, tuple[Iterable[Project], Iterable[Person]]]
) -> Mapping[str, Feed]:
    """The automatic feeds of these workspaces: `project-prop`, `assignee-anna`.

    Two that would have one name are told apart by the start of their ids.
    """
    made = list(_made(auto, workspaces))
    count = Counter(name for name, _, _ in made)
    return {name if count[name] == 1 else f"{name}-{own[:8]}": feed for name, own, feed in made}


def _made(
    auto: Auto, workspaces: Mapping[str, tuple[Iterable[Project], Iterable[Person]]]
) -> Iterator[tuple[str, str, Feed]]:
    for workspace, (projects, people) in workspaces.items():
        for project in projects if auto.projects else ():
            feed = Feed(workspace=workspace, project=project.id)
            yield PROJECT + slug(project.key, project.id), project.id, feed
        for person in people if auto.assignees else ():
            feed = Feed(workspace=workspace, assignee=person.id)
            yield ASSIGNEE + slug(person.name, person.id), person.id, feed


def slug(text: str, fallback: str) -> str:
    """A name for URLs: lower-case ASCII letters, digits and dashes, at most 48."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or fallback
