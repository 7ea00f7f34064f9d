"""`icsfeed export`: every feed as a file that any web server can serve.

A feed that cannot be made now keeps the file it has: never an empty one, never a part of one.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from msgspec import Struct, field

from icsfeed.errors import IcsfeedError, NoCopy
from icsfeed.export.folder import ExportFolder
from icsfeed.export.plan import ExportFile, plan_export
from icsfeed.feeds.automatic_names import may_be_auto
from icsfeed.feeds.rendered import Rendered
from icsfeed.feeds.service import FeedService


class ExportResult(Struct):
    """What an export did: feeds (`anna`, `anna/phone`) whose file was written, was right already, was
    removed; and those that failed, with the reason."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


async def export(service: FeedService, folder: ExportFolder, *, links: bool) -> ExportResult:
    """Bring the folder up to date. `links`: each file at the path of its link, the token in it.

    Raises ExportBusy, ExportError when the folder cannot be used at all.
    """
    with folder.locked():
        made = dict(folder.record())
        wanted = await _wanted(service, links=links)
        if links:
            wanted = {**await _still_open(service, made), **wanted}
        present = {path for path in wanted if folder.has(path)}
        plan = plan_export(wanted, made, present, partial(_may_be_gone, service))
        done = ExportResult()
        for path in plan.foreign:
            done.failed[_called(wanted[path])] = "a file is there that no export made: move it away"
        # Before the files: one that is written and not recorded would be somebody else's for ever.
        ours = {**made, **{path: wanted[path].feed for path in plan.write}}
        folder.keep_record(ours)
        for path in plan.write:
            await _write(service, folder, path, wanted[path], done)
        for path in plan.remove:
            _remove(folder, path, made[path], done)
        folder.keep_record({path: feed for path, feed in ours.items() if folder.has(path)})
        return done


async def _wanted(service: FeedService, *, links: bool) -> Mapping[str, ExportFile]:
    """Every file that should be there, by its path in the folder."""
    feeds = service.config.feeds
    names = [name for name, feed in feeds.items() if service.links.is_served(feed)]
    found: dict[str, ExportFile] = {}
    for name in (*names, *await service.auto_feeds()):
        feed = feeds.get(name)
        who = ("", *feed.subscribers, *feed.revoked) if feed is not None and links else ("",)
        for subscriber in who:
            path = service.links.ics_path(name, subscriber).lstrip("/") if links else f"{name}.ics"
            found[path] = ExportFile(name, subscriber)
    return found


async def _still_open(service: FeedService, made: Iterable[str]) -> Mapping[str, ExportFile]:
    """The paths of an export before that are links of automatic feeds still: as a server answers them."""
    found: dict[str, ExportFile] = {}
    automatic = await service.auto_feeds()
    for path in made:
        _, _, rest = path.partition("feeds/")
        token, _, file = rest.partition("/")
        name = service.links.name_of(file.removesuffix(".ics"), token)
        if name in automatic and service.links.access(name, token):
            found[path] = ExportFile(name)
    return found


def _may_be_gone(service: FeedService, name: str) -> bool:
    """Whether a feed that is not wanted is gone: of an automatic one only Plane knows."""
    known = all(workspace.is_known for workspace in service.workspaces.values())
    return known or not may_be_auto(name, service.config.auto)


async def _write(
    service: FeedService, folder: ExportFolder, path: str, file: ExportFile, done: ExportResult
) -> None:
    try:
        rendered = await _rendered(service, file)
        changed = await asyncio.to_thread(folder.put, path, rendered.body, rendered.last_modified)
    except NoCopy as error:
        done.failed[_called(file)] = str(service.why_unread(file.feed) or error)
    except IcsfeedError as error:
        done.failed[_called(file)] = str(error)
    except OSError as error:
        done.failed[_called(file)] = f"cannot be written: {error.strerror}"
    else:
        (done.written if changed else done.unchanged).append(_called(file))


async def _rendered(service: FeedService, file: ExportFile) -> Rendered:
    feed = service.config.feeds.get(file.feed)
    if feed is not None and file.subscriber in feed.revoked:
        return service.revoked(file.feed)
    return await service.rendered(file.feed)


def _remove(folder: ExportFolder, path: str, feed: str, done: ExportResult) -> None:
    try:
        folder.remove(path)
    except OSError as error:
        done.failed[feed] = f"its file cannot be removed: {error.strerror}"
    else:
        done.removed.append(feed)


def _called(file: ExportFile) -> str:
    return f"{file.feed}/{file.subscriber}" if file.subscriber else file.feed
