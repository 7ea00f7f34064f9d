"""Feeds that nobody wrote down: one for each project, one for each member (`auto:`)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

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

    Those that would have one name are told apart by the start of their ids. Somebody who is in several
    workspaces of one Plane has one id there, and so a feed for each, told apart by the workspace's name.
    """
    made = list(_made(auto, workspaces))
    names = _told_apart([name for name, _, _ in made], [own[:8] for _, own, _ in made])
    names = _told_apart(names, [feed.workspace or "" for _, _, feed in made])
    return {name: feed for name, (_, _, feed) in zip(names, made, strict=True)}


def _told_apart(names: Sequence[str], marks: Sequence[str]) -> Sequence[str]:
    """The names, with its mark at the end of each that there is twice."""
    count = Counter(names)
    return [name if count[name] == 1 else f"{name}-{mark}" for name, mark in zip(names, marks, strict=True)]


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
