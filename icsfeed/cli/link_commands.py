"""Commands about links that people have made: links list, rename, revoke, export, import; invite."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from icsfeed import errors
from icsfeed.cli.output import print_line, show_json, show_own_links
from icsfeed.cli.support import config_option, fail, json_option, load_or_exit, run, write_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import BinaryIO

    from icsfeed.config.schema import Config
    from icsfeed.own_links.model import OwnLink
    from icsfeed.own_links.registry import OwnLinks
    from icsfeed.store.store import Store

BY = "the command line"
"""Who has changed a link, in the log."""


@click.group()
def links() -> None:
    """List and change links that people have made.

    A running server follows within seconds. Links of `feeds:` are not among them: `icsfeed urls` prints
    those, and they are revoked under `revoked:` of their feed.
    """


@links.command("list")
@click.option("--person", metavar="EMAIL", help="Only those of this person.")
@click.option("--feed", metavar="FEED", help="Only those that open this feed.")
@config_option
@json_option
def list_links(person: str | None, feed: str | None, config_path: str | None, as_json: bool) -> None:
    """List links, with when they were last read.

    The links themselves are not stored, and cannot be printed.
    """
    config = load_or_exit(config_path)

    async def work() -> None:
        from icsfeed.own_links.listing import listed_links

        async with _opened(config) as (own, store):
            listed = listed_links(own.links, own.readers, await _feed_names(store))
        wanted = (person or "").strip().casefold()
        shown = [
            link for link in listed if wanted in ("", link.person) and (feed is None or link.feed == feed)
        ]
        if as_json:
            import msgspec

            show_json({"links": msgspec.to_builtins(shown)})
        else:
            show_own_links(shown)

    run(work)


@links.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option(
    "--person", metavar="EMAIL", help="All links of this person, who is also signed out everywhere."
)
@click.option("--feed", metavar="FEED", help="All links that open this feed; with --person only theirs.")
@config_option
def revoke(id_: str | None, person: str | None, feed: str | None, config_path: str | None) -> None:
    """Revoke one link, or all of a person or feed.

    One by its ID; those of a feed are all that people have made for it. Calendar apps then show a notice;
    after `own_links.tombstone` (90 days) the link is not found.
    """
    if (id_ is None) == (person is None and feed is None):
        raise click.UsageError("give the ID of a link, or --person EMAIL, or --feed FEED")
    config = load_or_exit(config_path)

    async def work() -> None:
        async with _opened(config, changing=True) as (own, store):
            if id_ is not None:
                revoked: Sequence[OwnLink] = [await own.revoke(id_, by=BY)]
            elif feed is not None:
                names = await _feed_names(store)
                stored = {feed, *(identity for identity, name in names.items() if name == feed)}
                revoked = await own.revoke_feed(stored, person, by=BY)
            else:
                revoked = await own.revoke_all(person or "", by=BY)
        for link in revoked:
            print_line(f"revoked {link.id}: {link.label}")
        if not revoked:
            of = " and ".join(filter(None, (person, feed and f"feed {feed}")))
            print_line(f"there are no links in use of {of}")

    run(work)


@links.command()
@click.argument("id_", metavar="ID")
@click.argument("name")
@config_option
def rename(id_: str, name: str, config_path: str | None) -> None:
    """Give the link with this ID another NAME."""
    config = load_or_exit(config_path)

    async def work() -> None:
        async with _opened(config, changing=True) as (own, _):
            link = await own.rename(id_, name, by=BY)
        print_line(f"renamed {link.id}: {link.label}")

    run(work)


@links.command("export")
@click.argument("file", metavar="FILE")
@config_option
def export_links(file: str, config_path: str | None) -> None:
    """Write a backup of all links to FILE.

    It holds digests: nobody can open a feed with it. FILE must not exist yet; `-` is standard output.
    """
    config = load_or_exit(config_path)

    async def work() -> None:
        from pathlib import Path

        from icsfeed.own_links.backup import written
        from icsfeed.server.build import utc_now

        async with _opened(config) as (own, _):
            body = written(await own.backup(), utc_now())
        if file == "-":
            sys.stdout.buffer.write(body)
        else:
            write_file(Path(file), body, new=True)

    run(work)


@links.command("import")
@click.argument("file", metavar="FILE", type=click.File("rb"))
@config_option
def import_links(file: BinaryIO, config_path: str | None) -> None:
    """Add the links of a backup in FILE.

    `-` is standard input. Links that are there already stay as they are, unless the backup is newer. What was
    revoked stays revoked.
    """
    config = load_or_exit(config_path)

    async def work() -> None:
        from icsfeed.own_links.backup import read_backup

        backup = read_backup(file.read())
        async with _opened(config, changing=True) as (own, _):
            count = await own.restore(backup)
        print_line(f"{count} of {len(backup.links)} links are new or have changed")

    run(work)


@click.command()
@click.argument("email")
@config_option
@json_option
def invite(email: str, config_path: str | None, as_json: bool) -> None:
    """Print a link by which a person signs in, once.

    It is valid for seven days, and is shown only now. The person then makes their own links on /me.
    """
    config = load_or_exit(config_path)
    if config.public_url is None:
        reason = "is not set: the link must begin with the address that people use"
        fail(_refused("public_url", reason))
    if config.auth_proxy is not None:
        fail(_refused("auth_proxy", "is set: people sign in through that proxy, on /me, without a link"))

    async def work() -> None:
        from icsfeed.own_links.model import invitation_path

        async with _opened(config, changing=True) as (own, _):
            invitation, token = await own.invite(email, by=BY)
        link = f"{config.public_url}{invitation_path(token)}"
        if as_json:
            expires = invitation.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            show_json({"person": invitation.person, "link": link, "expires": expires})
        else:
            click.echo(link)

    run(work)


def _refused(path: str, reason: str) -> errors.ConfigError:
    return errors.ConfigError("configuration", [errors.Problem(path, reason)])


async def _feed_names(store: Store) -> dict[str, str]:
    """Return the names of automatic feeds by their identities."""
    from icsfeed.feeds.automatic import NAMES
    from icsfeed.feeds.automatic_names import AssignedNames

    names = await store.get_record(NAMES, AssignedNames)
    return {identity: name for name, identity in names.owners.items()} if names else {}


def _check_owner(config: Config) -> None:
    """Raise ConfigError if files in the store would belong to another user than that of the server."""
    from icsfeed.store.backends import state_directory

    folder = state_directory(os.environ) / "snapshots"
    if config.store.reveal() == "file" and folder.exists() and folder.stat().st_uid != os.geteuid():
        reason = f"{folder} belongs to user {folder.owner()}: run this command as that user"
        raise errors.ConfigError("environment", [errors.Problem("STATE_DIRECTORY", reason)])


@asynccontextmanager
async def _opened(config: Config, *, changing: bool = False) -> AsyncIterator[tuple[OwnLinks, Store]]:
    """Yield the links in the store of a configuration. `changing`: they will be changed.

    Raises ConfigError where that store has none, or a change would close it to the server.
    """
    from icsfeed.own_links.registry import UNREADABLE, OwnLinks
    from icsfeed.server.build import utc_now
    from icsfeed.store.store import open_store

    store = open_store(config.store.reveal(), os.environ)
    try:
        own = OwnLinks(store, utc_now)
        if not own.is_durable:
            raise _refused("store", "is memory, in which people cannot make links: use file or redis://")
        if changing:
            _check_owner(config)
        await own.refresh()
        if not own.is_read:
            raise errors.StoreFailed(store.last_error or UNREADABLE)
        yield own, store
    finally:
        await store.close()
