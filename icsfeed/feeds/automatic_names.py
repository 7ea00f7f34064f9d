"""Feeds that are not configured one by one: one for each project, one for each member (`auto:`).

Projects and people are renamed and share names, so a feed belongs to an id: its links are derived from
that, and its name, once assigned, is never assigned to another one.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from icsfeed.config.addresses import slug_of
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
    """An automatic feed. `wish`: the feed name made of the current name of its project or person.

    `identity` is what its links are derived from. It holds the workspace's slug, because a person has one
    id in all workspaces of a Plane server, and a `/`, which no feed name may hold.
    """

    identity: str
    id: str
    wish: str
    feed: Feed


class AssignedNames(Struct, frozen=True):
    """The names assigned to automatic feeds: `owners` are identities by name. It is stored.

    `by_name`: identities whose links were derived from their names by former versions, and still work: those
    that were the first of their kind and workspace (`kinds`). Later ones never had such links.
    """

    owners: Mapping[str, str] = {}
    by_name: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


class SharedName(NamedTuple):
    """A name that several projects or people have now, and their ids."""

    name: str
    ids: tuple[str, ...]


def may_be_auto(name: str, auto: Auto) -> bool:
    """Return whether `auto` could make a feed of this name, whatever projects and people there are."""
    return (auto.projects and name.startswith(PROJECT)) or (auto.assignees and name.startswith(ASSIGNEE))


def automatic_feeds(auto: Auto, rosters: Mapping[str, Roster]) -> Sequence[AutomaticFeed]:
    """Return the automatic feeds of all workspaces. `rosters`: by the workspaces' configured names."""
    feeds = []
    for name, roster in rosters.items():
        for project in roster.projects if auto.projects else ():
            identity = f"project/{roster.slug}/{project.id}"
            wish = PROJECT + slug(project.key, project.id)
            feeds.append(AutomaticFeed(identity, project.id, wish, Feed(workspace=name, project=project.id)))
        for person in roster.people if auto.assignees else ():
            identity = f"assignee/{roster.slug}/{person.id}"
            wish = ASSIGNEE + slug(person.name, person.id)
            feeds.append(AutomaticFeed(identity, person.id, wish, Feed(workspace=name, assignee=person.id)))
    return feeds


def slugs_of(workspaces: Mapping[str, WorkspaceConfig]) -> Mapping[str, str]:
    """Return the slug of each configured workspace, with its name where an earlier one has that slug."""
    slugs: dict[str, str] = {}
    for name, workspace in workspaces.items():
        slug = slug_of(name, workspace)
        slugs[name] = f"{slug}@{name}" if slug in slugs.values() else slug
    return slugs


def with_names(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> AssignedNames:
    """Return the names with one for each of these feeds: its wish, where no other feed has or wishes it.

    Others get the start of their id as a suffix, and a person in several workspaces the workspace.
    """
    named = frozenset(names.owners.values())
    new = [feed for feed in feeds if feed.identity not in named]
    given: Sequence[str] = [feed.wish for feed in new]
    # Each round adds a suffix only where a name is still not unique: most names stay as they are wished.
    for suffixes in (
        [feed.id[:8] for feed in new],
        [feed.feed.workspace or "" for feed in new],
        [feed.id for feed in new],
    ):
        count = Counter(given)
        given = [
            name if count[name] == 1 and name not in names.owners else f"{name}-{suffix}"
            for name, suffix in zip(given, suffixes, strict=True)
        ]
    owners = {name: feed.identity for name, feed in zip(given, new, strict=True)}
    first = {feed.identity for feed in new if _kind_of(feed) not in names.kinds}
    kinds = names.kinds | {_kind_of(feed) for feed in new}
    return AssignedNames({**names.owners, **owners}, names.by_name | first, kinds)


def _kind_of(feed: AutomaticFeed) -> str:
    """`project/acme` of `project/acme/{id}`."""
    return feed.identity.rsplit("/", 1)[0]


def by_name(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> Mapping[str, AutomaticFeed]:
    """Return these feeds by their assigned names."""
    given = {identity: name for name, identity in names.owners.items()}
    return {given[feed.identity]: feed for feed in feeds if feed.identity in given}


def former_names(
    feeds: Mapping[str, AutomaticFeed], names: AssignedNames, configured: Collection[str]
) -> Mapping[str, Sequence[str]]:
    """Return the names that former versions derived links of these feeds from: with and without suffix.

    Names that another feed has, or that two may have had, are left out: they would open the wrong feed.
    """
    forms = {}
    for name, feed in feeds.items():
        if feed.identity in names.by_name:
            marked, workspace = f"-{feed.id[:8]}", f"-{feed.feed.workspace}"
            plain = name.removesuffix(workspace).removesuffix(marked)
            forms[name] = dict.fromkeys((name, f"{plain}{marked}", f"{plain}{marked}{workspace}"))
    # A form of two feeds may have been either's: opening the other's would show it to the wrong person.
    count = Counter(form for own in forms.values() for form in own)

    def is_unique(form: str) -> bool:
        return count[form] == 1 and form not in names.owners and form not in configured

    return {name: [form for form in own if form == name or is_unique(form)] for name, own in forms.items()}


def shared_names(names: AssignedNames, feeds: Iterable[AutomaticFeed]) -> Sequence[SharedName]:
    """Return the names that several have or wish, with the ids of all: the owner's first, if there is one."""
    wishing: defaultdict[str, list[str]] = defaultdict(list)
    for feed in feeds:
        wishing[feed.wish].append(feed.id)
    shared = []
    for name, ids in wishing.items():
        owner = [names.owners[name].rsplit("/", 1)[1]] if name in names.owners else []
        distinct = tuple(dict.fromkeys((*owner, *ids)))
        if len(distinct) > 1:
            shared.append(SharedName(name, distinct))
    return shared


def slug(text: str, fallback: str) -> str:
    """Return a name for URLs: at most 48 lower-case ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or fallback
