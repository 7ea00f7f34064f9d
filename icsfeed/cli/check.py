"""`icsfeed check`: what works, what does not, and what to do, tried with the real servers."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import date
from typing import Literal, NamedTuple, TypeAlias
from uuid import uuid4

from icsfeed.cache.workspace import Workspace
from icsfeed.config.addresses import plane_address
from icsfeed.config.schema import NO_FEEDS, Config, Feed, ProfileSigning, PushTarget, WorkspaceConfig
from icsfeed.doctor.clients import LARGE
from icsfeed.errors import (
    BadSetting,
    ConfigError,
    FeedError,
    IcsfeedError,
    KeyRefused,
    NoAccess,
    NoCopy,
    PlaneError,
    PushError,
    did_you_mean,
)
from icsfeed.feeds.diagnose import unknown_names, why_empty
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs
from icsfeed.feeds.service import FeedService
from icsfeed.model import Needs, Project, View
from icsfeed.push.object import owner_mark
from icsfeed.push.probe import try_target
from icsfeed.push.session import Connect, open_server
from icsfeed.signing import load_signer
from icsfeed.store.store import Store

Level: TypeAlias = Literal["ok", "warning", "error"]
MAX_MEMBERS = 20
"""Names of members that are listed."""


class Finding(NamedTuple):
    """A line of the report. `about`: `workspace acme`, `feed urgent`, `target team` or a key."""

    level: Level
    about: str
    text: str
    error: IcsfeedError | None = None


async def check(service: FeedService, connect: Connect = open_server) -> AsyncIterator[Finding]:
    """Try the configuration, then every workspace, feed and push target, one after the other."""
    config = service.config
    for finding in check_config(config):
        yield finding
    if config.profile_signing is not None:
        yield check_signing(config.profile_signing, service.today())
    for name, settings in config.workspaces.items():
        if settings.active:
            async for finding in check_workspace(service.workspaces[name], config):
                yield finding
        else:
            yield Finding("ok", f"workspace {name}", "is not active; its feeds answer 404")
    for name in (*config.feeds, *await service.auto_feeds()):
        async for finding in check_feed(service, name):
            yield finding
    for name, target in config.push.items():
        async for finding in check_target(service, name, target, connect):
            yield finding


def check_config(config: Config) -> Iterator[Finding]:
    """Check what needs no server: host names in their ASCII form, missing feeds, an open sign-in proxy."""
    addresses = [("public_url", config.public_url or "")]
    for name, workspace in config.workspaces.items():
        addresses.append((f"workspaces.{name}.url", workspace.url))
        addresses.append((f"workspaces.{name}.web_url", workspace.web_url or ""))
    addresses += [(f"push.{name}.url", target.url) for name, target in config.push.items()]
    addresses += [("cors", origin) for origin in config.cors]
    addresses += [("embed.frame_ancestors", origin) for origin in config.embed.frame_ancestors]
    addresses += [("allowed_hosts", host) for host in config.allowed_hosts]
    for path, address in addresses:
        # Browsers and servers compare this form, which is not what was typed in.
        if re.search(r"(^|[/.])xn--", address):
            yield Finding("ok", "configuration", f"{path} is {address}: host names are used in this form")
    if config.has_no_feeds:
        yield Finding("warning", "configuration", NO_FEEDS)
    proxy = config.auth_proxy
    if proxy is not None and config.store.reveal() == "memory":
        text = "is memory: people cannot make links of their own on /me; use file, or a Redis address"
        yield Finding("warning", "store", text)
    if proxy is not None and proxy.secret is None:
        text = (
            f"has no secret: anyone who can reach this port from {', '.join(proxy.networks)} can put any "
            f"e-mail address into {proxy.header}; set a secret, and let the proxy drop that header from "
            "requests"
        )
        yield Finding("warning", "auth_proxy", text)


def check_signing(signing: ProfileSigning, today: date) -> Finding:
    """Check the certificate by which profiles are signed: today must be between its dates."""
    about, renew = "profile_signing", "devices show profiles as not verified: renew it"
    try:
        signer = load_signer(signing.certificate_file, signing.key_file)
    except ValueError as error:
        return Finding("error", about, str(error), BadSetting(about, str(error)))
    text = f"the certificate is valid until {signer.expires:%Y-%m-%d}"
    if today < signer.begins.date():
        text = f"the certificate is not valid before {signer.begins:%Y-%m-%d}; {renew}"
    elif today > signer.expires.date():
        text = f"the certificate expired on {signer.expires:%Y-%m-%d}; {renew}"
    else:
        return Finding("ok", about, text)
    return Finding("error", about, text, BadSetting(about, text))


async def check_store(store: Store) -> Finding:
    """Check that the store of the last good copies can be written and read."""
    key = f"check-{uuid4().hex}"
    await store.put(key, b"check")
    value = await store.get(key)
    await store.remove(key)
    # A store that fails keeps the value in memory: that it is returned proves nothing.
    if store.last_error is None and value == b"check":
        return Finding("ok", "store", f"{store.reached} can be written and read")
    text = store.last_error or "does not return what was written to it"
    return Finding("error", "store", text, BadSetting("store", text))


async def check_workspace(workspace: Workspace, config: Config) -> AsyncIterator[Finding]:
    """Check the API key, the projects that it has joined, and whether all of them can be read."""
    about, settings = f"workspace {workspace.name}", config.workspaces[workspace.name]
    try:
        version, person = await workspace.plane.version(), await workspace.plane.whoami()
        listing = await workspace.plane.projects()
    except PlaneError as error:
        yield Finding("error", about, f"{error}{_key_hint(error, settings)}", error)
        return
    key = "the token" if settings.token else "the key"
    owner = f"{key} of {person.name}" if person else key
    unknown = "Cloud" if plane_address(settings.url).is_cloud else "of an unknown version"
    yield Finding("ok", about, f"Plane {version or unknown} accepts {owner}")
    if not listing.joined:
        yield _no_access(about, "the owner of the key has joined no project: add them to the projects")
        return
    keys = sorted({project.key for project in listing.joined})
    yield Finding("ok", about, f"projects: {', '.join(keys)}")
    names = [name for project in listing.joined for name in (project.key, project.id)]
    for key in settings.projects:
        if key.casefold() not in map(str.casefold, names):
            hint = did_you_mean(key, names) or ": add them to the project in Plane, or remove it here"
            yield _no_access(about, f"the owner of the key has not joined project {key!r}{hint}")
    others = [other.project.key for other in listing.others if not other.archived]
    if others:
        yield Finding("ok", about, f"not joined, and so not read: {', '.join(sorted(others))}")
    # Without the links of cycles and modules, which cost a request each; feeds that need them read them.
    view = await workspace.view(lambda projects: projects, Needs())
    if view is None:
        reason = workspace.last_error
        yield Finding("error", about, str(reason or "reading it takes longer than the deadline"), reason)
        return
    for finding in _check_view(workspace, view, about):
        yield finding
    for text in await _abilities(workspace, listing.joined[0]):
        yield Finding("ok", about, text)


def _key_hint(error: PlaneError, settings: WorkspaceConfig) -> str:
    """Return what to try when Plane refuses a key that does not look like one of its kind."""
    key = settings.token or settings.api_key
    looks_personal = key is not None and key.reveal().startswith("plane_api_")
    if not isinstance(error, KeyRefused) or looks_personal == (settings.token is None):
        return ""
    if looks_personal:
        return "; it begins with plane_api_, as personal access tokens do: give it as api_key"
    return "; it does not begin with plane_api_: give the token of an OAuth app or of a workspace as token"


async def _abilities(workspace: Workspace, project: Project) -> list[str]:
    """Return what Plane allows, and what it can do that not every edition can."""
    found = await workspace.plane.abilities(project)
    # What other programs have used within the last minute is not in it.
    limit = f"{workspace.budget.limit} requests a minute"
    texts = [f"Plane allows pages of {found.page_rows} rows and {limit}"]
    for can, words in ((True, "has"), (False, "does not have"), (None, "did not say whether it has")):
        names = [name for name, value in found.can.items() if value is can]
        texts += [f"this Plane {words}: {', '.join(names)}"] * bool(names)
    return texts


def _check_view(workspace: Workspace, view: View, about: str) -> Iterator[Finding]:
    members = sorted(person.email or person.name for person in view.people.values())
    shown = ", ".join(members[:MAX_MEMBERS]) + (", …" if len(members) > MAX_MEMBERS else "")
    yield Finding("ok", about, f"members: {len(members)} ({shown})")
    for project in view.unread:
        # Deleted, or the owner of the key was removed from it: Plane's list is the same in both cases.
        if project.id in workspace.resources.lost:
            text = "is no longer listed; its last copy is shown: add the owner of the key to it again"
            yield Finding("warning", about, f"project {project.key} {text}")
        else:
            text = f"the key lacks access to project {project.key}: feeds over several are served without it"
            yield _no_access(about, text)
    unreadable = sum(snapshot.unreadable for snapshot in view.snapshots)
    if unreadable:
        yield Finding("warning", about, f"{unreadable} issues could not be read; the log names them")


def _no_access(about: str, text: str) -> Finding:
    return Finding("error", about, text, NoAccess(about, text))


def _without_lists(service: FeedService, name: str, feed: Feed) -> Iterator[Finding]:
    resources = service.workspaces[service.workspace_of(feed)].resources
    for missing in sorted(needs(feed, Query()).lists):
        if refusal := resources.list_error(missing):
            text = f"needs {missing}, which Plane does not provide: {refusal}"
            yield Finding("warning", f"feed {name}", text)


async def check_feed(service: FeedService, name: str) -> AsyncIterator[Finding]:
    """Check that a feed can be rendered, and say what is in it, or why it is empty."""
    about = f"feed {name}"
    try:
        feed = await service.feed(name)
        if not service.links.is_served(feed):
            yield Finding("ok", about, "is not active")
            return
        view = await service.view(name)
        calendar = await service.calendar(name)
        size = (await service.rendered(name)).size
    except NoCopy as error:
        configured = service.config.feeds.get(name)
        for finding in _without_lists(service, name, configured) if configured is not None else ():
            yield finding
        yield Finding("error", about, "its workspace could not be read", error)
        return
    except FeedError as error:
        yield Finding("error", about, error.reason, error)
        return
    problem = service.search_problem(name, feed)
    if problem is not None:
        yield Finding("error", about, f"{problem.reason}; it shows what was found before", problem)
    for finding in _without_lists(service, name, feed):
        yield finding
    for unknown in unknown_names(feed, view):
        yield Finding("warning", about, f"its filter names an unknown {unknown}")
    if not calendar.count:
        yield Finding("warning", about, f"is empty: {why_empty(name, feed, view, service.today())}")
        return
    left_out = (
        (calendar.selection.undated, "undated"),
        (calendar.selection.start_only, "with only a start date"),
        (calendar.selection.beyond, "due on 9999-12-31 or before the year 1000 (cannot be shown)"),
    )
    without = ", ".join(f"{count} {what}" for count, what in left_out if count)
    contents = f"{calendar.count} items, {size:,} bytes"
    yield Finding("ok", about, f"{contents}; not in it: {without}" if without else contents)
    if size > LARGE:
        text = f"has {size:,} bytes; some services read no more than {LARGE:,}: give it a window"
        yield Finding("warning", about, text)


async def check_target(
    service: FeedService, name: str, target: PushTarget, connect: Connect
) -> AsyncIterator[Finding]:
    """Check that the calendar of a push target can be written; write and delete one object."""
    about = f"target {name}"
    if not target.active:
        yield Finding("ok", about, "is not active; nothing is pushed to it")
        return
    try:
        feed = await service.feed(target.feed)
        async for text in try_target(
            target, feed.component, owner_mark(target.feed, service.config), connect
        ):
            yield Finding("ok", about, text)
    except (PushError, FeedError, ConfigError) as error:
        yield Finding("error", about, str(error), error)


def first_error(findings: Iterable[Finding]) -> IcsfeedError | None:
    """Return the first error, which decides the exit code."""
    return next((finding.error for finding in findings if finding.level == "error"), None)
