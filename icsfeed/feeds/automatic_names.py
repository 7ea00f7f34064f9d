"""Feeds that nobody wrote down: one for each project, one for each member (`auto:`).

Projects and people are renamed and share names, so a feed belongs to an id: its links are derived from
that, and its name, once given, is never given to another one.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from icsfeed.config.schema import Auto, Feed, WorkspaceConfig
from icsfeed.model import Person, Project

PROJECT, ASSIGNEE = "project-", "assignee-"


class Roster(NamedTuple):
    """The projects and people of a workspace, and a `version` that changes whenever they do.

    `slug` is Plane's name for the workspace; see `slugs_of`.
    """

    slug: str
    projects: Iterable[Project]
    people: Iterable[Person]
    version: object = None


class AutomaticFeed(Struct, frozen=True):
    """An automatic feed. `wish`: the name that its project or person has now makes this of it.

    `identity` is what its links are derived from. It holds the workspace's slug, because somebody has one
    id in all workspaces of a Plane, and a `/`, which no name of a feed does.
    """

    identity: str
    id: str
    wish: str
    feed: Feed


class AssignedNames(Struct, frozen=True):
    """The names that automatic feeds were given: `owners` are identities by name.

    `by_name`: identities whose links were once derived from their names, and go on working: those that
    were the first of their kind and workspace (`kinds`). Later ones never had such links.
    """

    owners: Mapping[str, str] = {}
    by_name: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


class SharedName(NamedTuple):
    """A name that several projects or people have now, and their ids."""

    name: str
    ids: tuple[str, ...]


def may_be_auto(name: str, auto: Auto) -> bool:
    """Whether `auto` could make a feed of this name, without knowing who and what there is."""
    return (auto.projects and name.startswith(PROJECT)) or (auto.assignees and name.startswith(ASSIGNEE))


def automatic_feeds(auto: Auto, rosters: Mapping[str, Roster]) -> Sequence[AutomaticFeed]:
    """The automatic feeds of these workspaces, by the names that the configuration has for them."""
    return [one for name, roster in rosters.items() for one in _of_workspace(auto, name, roster)]


def slugs_of(workspaces: Mapping[str, WorkspaceConfig]) -> Mapping[str, str]:
    """The slug of each workspace of the configuration, with its name where one before it has that slug."""
    found: dict[str, str] = {}
    for name, workspace in workspaces.items():
        slug = workspace.slug or name
        found[name] = f"{slug}@{name}" if slug in found.values() else slug
    return found


def _of_workspace(auto: Auto, workspace: str, roster: Roster) -> Iterator[AutomaticFeed]:
    for project in roster.projects if auto.projects else ():
        feed = Feed(workspace=workspace, project=project.id)
        identity = f"project/{roster.slug}/{project.id}"
        yield AutomaticFeed(identity, project.id, PROJECT + slug(project.key, project.id), feed)
    for person in roster.people if auto.assignees else ():
        feed = Feed(workspace=workspace, assignee=person.id)
        identity = f"assignee/{roster.slug}/{person.id}"
        yield AutomaticFeed(identity, person.id, ASSIGNEE + slug(person.name, person.id), feed)


def with_names(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> AssignedNames:
    """The names with one for each of these feeds: the wished one, where nobody else has or wishes it.

    Others are told apart by the start of their ids, and somebody in several workspaces by theirs.
    """
    held = frozenset(names.owners.values())
    new = [feed for feed in feeds if feed.identity not in held]
    given: Sequence[str] = [feed.wish for feed in new]
    for marks in (
        [feed.id[:8] for feed in new],
        [feed.feed.workspace or "" for feed in new],
        [feed.id for feed in new],
    ):
        given = _told_apart(given, marks, names.owners)
    owners = {name: feed.identity for name, feed in zip(given, new, strict=True)}
    first = {feed.identity for feed in new if _kind_of(feed) not in names.kinds}
    kinds = names.kinds | {_kind_of(feed) for feed in new}
    return AssignedNames({**names.owners, **owners}, names.by_name | first, kinds)


def _kind_of(feed: AutomaticFeed) -> str:
    """`project/acme` of `project/acme/{id}`."""
    return feed.identity.rsplit("/", 1)[0]


def _told_apart(names: Sequence[str], marks: Sequence[str], taken: Collection[str]) -> Sequence[str]:
    """The names, with its mark at the end of each that is taken, or there twice."""
    count = Counter(names)
    return [
        name if count[name] == 1 and name not in taken else f"{name}-{mark}"
        for name, mark in zip(names, marks, strict=True)
    ]


def by_name(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> Mapping[str, AutomaticFeed]:
    """These feeds, by the names that they were given."""
    given = {identity: name for name, identity in names.owners.items()}
    return {given[feed.identity]: feed for feed in feeds if feed.identity in given}


def former_names(
    feeds: Mapping[str, AutomaticFeed], names: AssignedNames, configured: Collection[str]
) -> Mapping[str, Sequence[str]]:
    """From what names the links of these feeds were once derived: alone, or told apart from others.

    Those that another feed has, or two may have had, are nobody's.
    """
    found = {name: _forms(name, feed) for name, feed in feeds.items() if feed.identity in names.by_name}
    count = Counter(form for forms in found.values() for form in forms)

    def is_ours(form: str) -> bool:
        return count[form] == 1 and form not in names.owners and form not in configured

    return {name: [form for form in forms if form == name or is_ours(form)] for name, forms in found.items()}


def _forms(name: str, feed: AutomaticFeed) -> Sequence[str]:
    marked, workspace = f"-{feed.id[:8]}", f"-{feed.feed.workspace}"
    plain = name.removesuffix(workspace).removesuffix(marked)
    return tuple(dict.fromkeys((name, f"{plain}{marked}", f"{plain}{marked}{workspace}")))


def shared_names(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> Sequence[SharedName]:
    """The names that several have or wish, with the ids of all: first of the one whose it is, if any."""
    wishing: defaultdict[str, list[str]] = defaultdict(list)
    for feed in feeds:
        wishing[feed.wish].append(feed.id)
    found = []
    for name, ids in wishing.items():
        owner = [names.owners[name].rsplit("/", 1)[1]] if name in names.owners else []
        distinct = tuple(dict.fromkeys((*owner, *ids)))
        if len(distinct) > 1:
            found.append(SharedName(name, distinct))
    return found


def slug(text: str, fallback: str) -> str:
    """A name for URLs: lower-case ASCII letters, digits and dashes, at most 48."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or fallback
