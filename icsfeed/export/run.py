"""`icsfeed export`: every feed as a file that any web server can serve.

A feed that cannot be rendered now keeps the file it has: never an empty one, never a part of one.
"""

import asyncio
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from icsfeed.errors import IcsfeedError, NoCopy
from icsfeed.export.folder import ExportFolder
from icsfeed.export.plan import ExportFile, plan_export
from icsfeed.feeds.automatic_names import may_be_auto
from icsfeed.feeds.service import FeedService


class ExportResult(Struct):
    """The feeds (`anna`, `anna/phone`) whose file was written, unchanged or removed, and those that failed,
    with the reason."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


async def export(service: FeedService, folder: ExportFolder, *, links: bool) -> ExportResult:
    """Bring the folder up to date. `links`: each file at the path of its link, which holds the token.

    Raises ExportBusy, and ExportError when the folder cannot be used at all.
    """
    with folder.locked():
        made = dict(folder.record())
        wanted = await _wanted(service, links=links)
        if links:
            wanted = {**await _still_open(service, made), **wanted}
        present = {path for path in wanted if folder.has(path)}
        all_known = all(workspace.is_known for workspace in service.workspaces.values())

        def may_be_gone(name: str) -> bool:
            # Whether an automatic feed is gone only Plane knows.
            return all_known or not may_be_auto(name, service.config.auto)

        plan = plan_export(wanted, made, present, may_be_gone)
        result = ExportResult()
        for path in plan.foreign:
            result.failed[wanted[path].label] = "a file is there that no export wrote: move it away"
        # Before the files: one that was written and is not recorded would never be touched again.
        ours = {**made, **{path: wanted[path].feed for path in plan.write}}
        folder.write_record(ours)
        for path in plan.write:
            await _write(service, folder, path, wanted[path], result)
        for path in plan.remove:
            try:
                folder.remove(path)
                result.removed.append(made[path])
            except OSError as error:
                result.failed[made[path]] = f"its file cannot be removed: {error.strerror}"
        folder.write_record({path: feed for path, feed in ours.items() if folder.has(path)})
        return result


async def _wanted(service: FeedService, *, links: bool) -> Mapping[str, ExportFile]:
    """Return every file to write, by its path in the folder."""
    feeds = {name: feed for name, feed in service.config.feeds.items() if service.links.is_served(feed)}
    feeds.update(await service.auto_feeds())
    if not links:
        return {f"{name}.ics": ExportFile(name) for name in feeds}
    return {
        service.links.ics_path(name, subscriber).lstrip("/"): ExportFile(name, subscriber)
        for name, feed in feeds.items()
        for subscriber in ("", *feed.subscribers, *feed.revoked)
    }


async def _still_open(service: FeedService, made: Iterable[str]) -> Mapping[str, ExportFile]:
    """Return the files of earlier exports whose links a server would still answer: of automatic feeds."""
    files: dict[str, ExportFile] = {}
    automatic = await service.auto_feeds()
    for path in made:
        _, _, rest = path.partition("feeds/")
        token, _, file = rest.partition("/")
        name = service.links.name_of(file.removesuffix(".ics"), token)
        if name in automatic and service.links.access(name, token):
            files[path] = ExportFile(name)
    return files


async def _write(
    service: FeedService, folder: ExportFolder, path: str, file: ExportFile, result: ExportResult
) -> None:
    feed = service.config.feeds.get(file.feed)
    is_revoked = feed is not None and file.subscriber in feed.revoked
    try:
        rendered = service.revoked(file.feed) if is_revoked else await service.rendered(file.feed)
        changed = await asyncio.to_thread(folder.put, path, rendered.body, rendered.last_modified)
    except NoCopy as error:
        result.failed[file.label] = str(service.why_unread(file.feed) or error)
    except IcsfeedError as error:
        result.failed[file.label] = str(error)
    except OSError as error:
        result.failed[file.label] = f"cannot be written: {error.strerror}"
    else:
        (result.written if changed else result.unchanged).append(file.label)
