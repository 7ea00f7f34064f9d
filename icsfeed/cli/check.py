"""`icsfeed check`: what works, what does not, and what to do, against the real Plane."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias
from uuid import uuid4

from icsfeed.cache.snapshots import View
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import NO_FEEDS, Config, PushTarget
from icsfeed.doctor.clients import LARGE
from icsfeed.errors import (
    BadSetting,
    ConfigError,
    FeedError,
    IcsfeedError,
    NoAccess,
    NoCopy,
    PlaneError,
    PushError,
    did_you_mean,
)
from icsfeed.feeds.calendar import Calendar, FeedData
from icsfeed.feeds.diagnose import unknown_names, why_empty
from icsfeed.feeds.service import FeedService
from icsfeed.model import Needs
from icsfeed.push.claim import mark_of
from icsfeed.push.probe import trials
from icsfeed.push.session import Connect, open_server
from icsfeed.store.store import Store

Level: TypeAlias = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One line of the report. `about` is `workspace acme`, `feed urgent` or `target team`."""

    level: Level
    about: str
    text: str
    error: IcsfeedError | None = None


async def check(service: FeedService, connect: Connect = open_server) -> AsyncIterator[Finding]:
    """Try every active workspace, feed and target, one after the other."""
    for finding in _settings(service.config):
        yield finding
    for name, settings in service.config.workspaces.items():
        if not settings.active:
            yield Finding("ok", f"workspace {name}", "is not active; its feeds answer 404")
            continue
        async for finding in _workspace(service.workspaces[name], service.config):
            yield finding
    for name in (*service.config.feeds, *await service.auto_feeds()):
        async for finding in _feed(service, name):
            yield finding
    for name, target in service.config.push.items():
        async for finding in _target(service, name, target, connect):
            yield finding


def _converted(config: Config) -> Iterator[tuple[str, str]]:
    """The addresses with a host name beyond ASCII, as browsers and servers send it, and their paths."""
    found = [("public_url", config.public_url or "")]
    for name, workspace in config.workspaces.items():
        found += [
            (f"workspaces.{name}.url", workspace.url),
            (f"workspaces.{name}.web_url", workspace.web_url or ""),
        ]
    found += [(f"push.{name}.url", target.url) for name, target in config.push.items()]
    found += [("cors", origin) for origin in config.cors]
    found += [("embed.frame_ancestors", origin) for origin in config.embed.frame_ancestors]
    found += [("allowed_hosts", host) for host in config.allowed_hosts]
    return ((path, address) for path, address in found if re.search(r"(^|[/.])xn--", address))


def _settings(config: Config) -> Iterator[Finding]:
    """What there is to say of a configuration by itself."""
    for path, address in _converted(config):
        yield Finding("ok", "configuration", f"{path} is {address}: host names are used in this form")
    if config.has_no_feeds:
        yield Finding("warning", "configuration", NO_FEEDS)
    proxy = config.auth_proxy
    if proxy is not None and proxy.secret is None:
        text = (
            f"has no secret: whoever reaches this port from {', '.join(proxy.networks)} can name any e-mail "
            f"in {proxy.header}; set a secret, and let the proxy drop that header from requests"
        )
        yield Finding("warning", "auth_proxy", text)


async def store_finding(store: Store) -> Finding:
    """Whether the place of the last good copies can be written and read."""
    key = f"check-{uuid4().hex}"
    await store.put(key, b"check")
    kept = await store.get(key)
    await store.remove(key)
    if store.last_error is None and kept == b"check":
        return Finding("ok", "store", "keeps what it is given")
    text = store.last_error or "does not keep what it is given"
    return Finding("error", "store", text, BadSetting("store", text))


async def _workspace(workspace: Workspace, config: Config) -> AsyncIterator[Finding]:
    about = f"workspace {workspace.name}"
    try:
        version, person = await workspace.plane.version(), await workspace.plane.whoami()
        listing = await workspace.plane.projects()
    except PlaneError as error:
        yield Finding("error", about, str(error), error)
        return
    owner = f"the key of {person.name}" if person else "the key"
    yield Finding("ok", about, f"Plane {version or 'of an unknown version'} accepts {owner}")
    keys = {project.key for project in listing.joined}
    if not keys:
        yield _not_joined(about, "the key has joined no project: add its owner to the projects")
        return
    yield Finding("ok", about, f"projects: {', '.join(sorted(keys))}")
    names = [name for project in listing.joined for name in (project.key, project.id)]
    for key in config.workspaces[workspace.name].projects:
        if key.casefold() not in map(str.casefold, names):
            hint = did_you_mean(key, names) or ": add its owner to the project, or remove it here"
            text = f"the key has not joined project {key!r}{hint}"
            yield _not_joined(about, text)
    others = [one.project.key for one in listing.others if not one.archived]
    if others:
        yield Finding("ok", about, f"not joined, and so not read: {', '.join(sorted(others))}")
    view = await workspace.view(lambda projects: projects, Needs())
    if view is None:
        reason = workspace.last_error
        yield Finding("error", about, str(reason or "reading it takes longer than the deadline"), reason)
        return
    yield Finding("ok", about, _people(view))
    for finding in _unread(workspace, view, about):
        yield finding
    unreadable = sum(snapshot.unreadable for snapshot in view.snapshots)
    if unreadable:
        yield Finding("warning", about, f"{unreadable} issues could not be read; the log names them")


def _unread(workspace: Workspace, view: View, about: str) -> Iterator[Finding]:
    for project in view.unread:
        if project.id in workspace.resources.lost:
            text = "is not listed any more, its last copy is shown: add the key's owner to it again"
            yield Finding("warning", about, f"project {project.key} {text}")
        else:
            text = f"the key may not read project {project.key}: feeds over several are served without it"
            yield Finding("error", about, text, NoAccess(about, text))


def _not_joined(about: str, text: str) -> Finding:
    return Finding("error", about, text, NoAccess(about, text))


def _people(view: View) -> str:
    names = sorted(person.email or person.name for person in view.people.values())
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"members: {len(names)} ({shown})"


async def _feed(service: FeedService, name: str) -> AsyncIterator[Finding]:
    about = f"feed {name}"
    try:
        feed = await service.feed(name)
        if service.links.is_served(feed):
            view = await service.view(name)
            calendar = await service.calendar(name)
            size = (await service.rendered(name)).size
        else:
            yield Finding("ok", about, "is not active")
            return
    except NoCopy as error:
        yield Finding("error", about, "its workspace could not be read", error)
        return
    except FeedError as error:
        yield Finding("error", about, error.reason, error)
        return
    material = FeedData(view.projects, view.people, view.snapshots, view.linked)
    for unknown in unknown_names(feed, material):
        yield Finding("warning", about, f"its filter names an unknown {unknown}")
    if not calendar.count:
        yield Finding("warning", about, f"is empty: {why_empty(name, feed, material, service.today())}")
        return
    yield Finding("ok", about, _contents(calendar, size))
    if size > LARGE:
        text = f"has {size:,} bytes; some services read no more than {LARGE:,}: give it a window"
        yield Finding("warning", about, text)


def _contents(calendar: Calendar, size: int) -> str:
    selection = calendar.selection
    left_out = [
        f"{count} {what}"
        for count, what in (
            (selection.undated, "undated"),
            (selection.start_only, "with only a start date"),
            (selection.beyond, "due on 9999-12-31 or before the year 1000, which no event can be"),
        )
        if count
    ]
    without = f"; not in it: {', '.join(left_out)}" if left_out else ""
    return f"{calendar.count} items, {size:,} bytes{without}"


async def _target(
    service: FeedService, name: str, target: PushTarget, connect: Connect
) -> AsyncIterator[Finding]:
    about = f"target {name}"
    if not target.active:
        yield Finding("ok", about, "is not active; nothing is pushed to it")
        return
    try:
        feed = await service.feed(target.feed)
        async for text in trials(target, feed.component, mark_of(target.feed, service.config), connect):
            yield Finding("ok", about, text)
    except (PushError, FeedError, ConfigError) as error:
        yield Finding("error", about, str(error), error)


def worst(findings: Iterable[Finding]) -> IcsfeedError | None:
    """The error that decides the exit code: the first."""
    return next((finding.error for finding in findings if finding.level == "error"), None)
