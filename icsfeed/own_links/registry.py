"""The links that people have made: one record in the store, which replicas and the command line share."""

import asyncio
import logging
from base64 import b32encode
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_bytes
from time import monotonic

from icsfeed.errors import StoreFailed
from icsfeed.logs import about
from icsfeed.own_links import changes
from icsfeed.own_links.model import (
    Invitation,
    LastRead,
    LinkReaders,
    LinkRecord,
    NewToken,
    OpenedLink,
    OwnLink,
    Session,
    What,
    digests_of,
    index_of,
    links_of,
    links_to_feeds,
    person_of_address,
)
from icsfeed.store.store import Store
from icsfeed.tokens import TOKEN_BYTES, digest_of, is_token, token_of

LINKS, READERS = "own/links", "own/readers"
LOCK_SECONDS = 10.0
POLL_SECONDS = 3.0
"""How often a server looks whether another process has changed a link."""
UNKNOWN_SECONDS = 1.0
"""How often it looks because somebody came with a token that is not known."""
READERS_SECONDS = 60.0
"""How often it is stored when links were last read."""
TOMBSTONE = timedelta(days=90)

UNREADABLE = "another version of icsfeed has written the links in the store"

log = logging.getLogger("icsfeed.links")


class OwnLinks:
    """All links that people have made, with invitations and sessions, as they are in the store.

    What was read last goes on working while the store fails; changes then raise StoreFailed. `tombstone`: for
    how long a revoked or renewed token still shows a notice.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        timer: Callable[[], float] = monotonic,
        random_bytes: Callable[[int], bytes] = token_bytes,
    ) -> None:
        self.tombstone = TOMBSTONE
        self.is_read = False
        self._store, self._clock, self._timer, self._random = store, clock, timer, random_bytes
        self._record = LinkRecord()
        self._index: Mapping[tuple[What, str], OpenedLink] = {}
        self.by_id: Mapping[str, OwnLink] = {}
        self._stamp: object = None
        self._looked = float("-inf")
        self._looking = asyncio.Lock()
        self._readers, self._news = LinkReaders(), dict[str, tuple[LastRead, ...]]()
        self._written = timer()

    @property
    def is_durable(self) -> bool:
        """Whether links can be made here: not in a store that a restart empties."""
        return self._store.is_durable

    @property
    def links(self) -> Sequence[OwnLink]:
        """All links, revoked ones included, in the order in which they were made."""
        return self._record.links

    @property
    def readers(self) -> Mapping[str, Sequence[LastRead]]:
        """Which apps read by each link, by its id, and when; the latest first."""
        ids = [link.id for link in self._record.links]
        return changes.with_readers(self._readers, LinkReaders(self._news), ids).readers

    def of(self, person: str) -> Sequence[OwnLink]:
        """Return the links of a person (an e-mail address) that are in use."""
        return links_of(self._record, person)

    def opened_by(self, token: str, what: What) -> OpenedLink | None:
        """Return the link that a token belongs to; None: none, or it ended longer ago than the tombstone.

        A look-up takes as long for every wrong token: what is looked up is a digest.
        """
        opened = self._index.get((what, digest_of(token))) if self._index else None
        if opened is None or opened.ended_at is None:
            return opened
        return opened if self._clock() - opened.ended_at < self.tombstone else None

    async def find(self, token: str, what: What) -> OpenedLink | None:
        """As `opened_by`; for a token that is not known, look first whether another process has made it."""
        opened = self.opened_by(token, what)
        if opened is not None or not is_token(token):
            return opened
        await self.refresh(UNKNOWN_SECONDS)
        return self.opened_by(token, what)

    async def refresh(self, max_age: float = 0.0) -> None:
        """Read the record if it has changed, unless that was looked at within `max_age` seconds."""
        async with self._looking:
            await self._refresh(max_age)

    async def _refresh(self, max_age: float = 0.0) -> None:
        is_down = self._store.is_shared and not self._store.healthy  # to try would take seconds
        if is_down or self._timer() - self._looked < max_age:
            return
        self._looked = self._timer()
        stamp = await self._store.stamp(LINKS)
        if stamp == self._stamp and self.is_read:
            return
        record = await self._store.get_record(LINKS, LinkRecord)
        # A record of another version is none that is empty: no change of ours may replace it.
        if record is None and (not self._store.healthy or await self._store.get(LINKS) is not None):
            return
        if record is None and self._record.links:
            log.error("the links that people have made are gone from the store; those known here still work")
            record = self._record
        self._take(record or LinkRecord(), stamp)
        self.is_read = True
        self._readers = await self._store.get_record(READERS, LinkReaders) or self._readers

    def _take(self, record: LinkRecord, stamp: object) -> None:
        self._record, self._index, self._stamp = record, index_of(record), stamp
        self.by_id = {link.id: link for link in record.links}

    async def follow(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Take over what other processes change, and store when links were last read, until cancelled."""
        while True:
            await sleep(POLL_SECONDS)
            try:
                await self.refresh()
                if self._timer() - self._written >= READERS_SECONDS:
                    await self.store_readers()
            except Exception:
                # A fault of ours must not end the task: revoked links would go on working.
                log.exception("the links that people have made could not be read")

    async def make(
        self, person: str, device: str, feed: str = "", narrowing: str = "", title: str = "", *, by: str = ""
    ) -> NewToken:
        """Make a link (see OwnLink) and return its token, which nobody can find out afterwards.

        `by`: who did it, for the log; the person by default. Raises LinkRefused or StoreFailed, as all below.
        """
        token, now = self._new_token(), self._clock()
        id_ = b32encode(self._random(5)).decode().lower()
        digests = digests_of(token, is_account=not feed)
        link = OwnLink(
            id=id_, person=person, device=device, feed=feed, title=title, digests=digests, made_at=now
        )

        def change(record: LinkRecord) -> LinkRecord:
            after = changes.added(record, link)
            return changes.narrowed_to(after, id_, narrowing, now) if narrowing else after

        return NewToken(await self._link_changed(change, id_, "made", by), token)

    async def rename(self, id_: str, device: str, title: str | None = None, *, by: str = "") -> OwnLink:
        """Change the name of a link's device, and its name in calendar apps (None: as it is)."""
        now = self._clock()
        return await self._link_changed(
            lambda record: changes.renamed(record, id_, device, title, now), id_, "renamed", by
        )

    async def narrow(self, id_: str, narrowing: str, *, by: str = "") -> OwnLink:
        """Change how a link narrows its feed. `narrowing`: what `query_string` returns."""
        now = self._clock()
        return await self._link_changed(
            lambda record: changes.narrowed_to(record, id_, narrowing, now), id_, "filtered", by
        )

    async def renew(self, id_: str, *, by: str = "") -> NewToken:
        """Give a link another token; the one before shows a notice for as long as `tombstone`."""
        token, now = self._new_token(), self._clock()

        def change(record: LinkRecord) -> LinkRecord:
            link = changes.link_with(record, id_)
            return changes.renewed(record, id_, digests_of(token, is_account=link.is_account), now)

        return NewToken(await self._link_changed(change, id_, "renewed", by), token)

    async def revoke(self, id_: str, *, by: str = "") -> OwnLink:
        """Revoke a link; it shows a notice for as long as `tombstone`."""
        now = self._clock()
        return await self._link_changed(lambda record: changes.revoked(record, id_, now), id_, "revoked", by)

    async def revoke_all(self, person: str, *, by: str = "") -> Sequence[OwnLink]:
        """Revoke all links of a person, and sign them out everywhere; return the links."""
        ended = await self._revoke_found(
            lambda record: links_of(record, person),
            lambda record: changes.signed_out_everywhere(record, person),
            by,
        )
        log.info("signed out", extra=about(person=person_of_address(person), by=by or person))
        return ended

    async def revoke_feed(
        self, feeds: Collection[str], person: str | None = None, *, by: str
    ) -> Sequence[OwnLink]:
        """Revoke the links to these feeds (see `links_to_feeds`), of one person or of all; return them."""
        return await self._revoke_found(
            lambda record: links_to_feeds(record, feeds, person), lambda record: record, by
        )

    async def _revoke_found(
        self, find: Callable[[LinkRecord], Sequence[OwnLink]], then: changes.Change, by: str
    ) -> Sequence[OwnLink]:
        now, ended = self._clock(), list[OwnLink]()

        def change(record: LinkRecord) -> LinkRecord:
            # Of the record as it is stored: another process may have made some of them a moment ago.
            ended[:] = find(record)
            return then(changes.all_revoked(record, ended, now))

        await self._changed(change)
        for link in ended:
            self._log(link, "revoked", by or link.person)
        return ended

    async def suspend(self, verdicts: Mapping[str, bool]) -> None:
        """Note which links, by id, open a feed that their person may see now, or may not."""
        before = {link.id: link for link in self.links}
        now = self._clock()
        record = await self._changed(lambda record: changes.suspended(record, verdicts.items(), now))
        for link in record.links:
            old = before.get(link.id)
            if link.id in verdicts and old is not None and old.suspended_at != link.suspended_at:
                what = "restored" if link.suspended_at is None else "suspended"
                self._log(link, what, "icsfeed: by the members in Plane")

    async def invite(self, person: str, *, by: str = "the administrator") -> tuple[Invitation, str]:
        """Make an invitation for a person; return it with its one-time token."""
        token, now = self._new_token(), self._clock()
        record = await self._changed(lambda record: changes.invited(record, person, digest_of(token), now))
        made = next(each for each in record.invitations if each.digest == digest_of(token))
        log.info("invitation made", extra=about(person=made.person, by=by))
        return made, token

    async def invitation(self, token: str) -> Invitation | None:
        """Return the invitation of a token; None: it is unknown, used or expired."""
        await self.refresh(UNKNOWN_SECONDS)
        digest, now = digest_of(token), self._clock()
        found = (each for each in self._record.invitations if each.digest == digest)
        return next((each for each in found if each.expires_at > now), None)

    async def accept(self, token: str) -> tuple[Session, str]:
        """Use an invitation up; return the session that begins, with the value of its cookie."""
        cookie, now = self._new_token(), self._clock()
        record = await self._changed(
            lambda record: changes.accepted(record, digest_of(token), digest_of(cookie), now)
        )
        session = next(each for each in record.sessions if each.digest == digest_of(cookie))
        log.info("invitation used", extra=about(person=session.person))
        return session, cookie

    async def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None: it is unknown or has ended."""
        await self.refresh(UNKNOWN_SECONDS)
        digest, now = digest_of(cookie), self._clock()
        session = changes.session_with(self._record, digest, now)
        if changes.session_used(self._record, digest, now) is not self._record:
            try:
                await self._changed(lambda record: changes.session_used(record, digest, now))
            except StoreFailed:
                log.warning("the store fails: not noted that %s is signed in", session and session.person)
        return session

    async def sign_out(self, session: str) -> None:
        """End a session (its digest)."""
        await self._changed(lambda record: changes.signed_out(record, session))

    async def backup(self) -> LinkRecord:
        """Return what a backup holds: all links, with digests only."""
        await self.refresh()
        return changes.exported(self._record)

    async def restore(self, backup: LinkRecord) -> int:
        """Add the links of a backup; return how many are new or have changed."""
        before = {link.id: link for link in (await self.backup()).links}
        record = await self._changed(lambda record: changes.merged(record, backup))
        count = sum(before.get(link.id) != link for link in record.links)
        log.info("links imported", extra=about(links=count))
        return count

    def read(self, link: str, app: str, status: int) -> None:
        """Remember that an app has read by a link (its id); stored within READERS_SECONDS."""
        # Each request comes here: nothing is copied, and no other link looked at.
        read = LinkReaders({link: (LastRead(app, self._clock(), status),)})
        self._news |= changes.with_readers(LinkReaders(self._news), read, [link]).readers

    async def store_readers(self) -> None:
        """Store when links were last read, together with what replicas have stored."""
        self._written = self._timer()
        if not self._news or not self.is_durable:
            return
        async with self._store.lock(READERS, LOCK_SECONDS, wait=LOCK_SECONDS):
            stored = await self._store.get_record(READERS, LinkReaders) or self._readers
            ids = [link.id for link in self._record.links]
            self._readers, self._news = changes.with_readers(stored, LinkReaders(self._news), ids), {}
            await self._store.put_record(READERS, self._readers)

    async def _link_changed(self, change: changes.Change, id_: str, what: str, by: str) -> OwnLink:
        record = await self._changed(change)
        link = next(link for link in record.links if link.id == id_)
        self._log(link, what, by or link.person)
        return link

    async def _changed(self, change: changes.Change) -> LinkRecord:
        """Change what is stored, and return it. Raises what `change` raises, and StoreFailed."""
        if not self.is_durable:
            raise changes.refused("memory")
        async with self._store.lock(LINKS, LOCK_SECONDS, wait=LOCK_SECONDS) as held, self._looking:
            if not held:
                raise StoreFailed("another process is changing links; try again")
            await self._refresh()
            if not self._store.healthy or not self.is_read:
                raise StoreFailed(self._store.last_error or UNREADABLE)
            now = self._clock()
            record = changes.without_past(change(self._record), self.tombstone, now)
            await self._store.write_record(LINKS, record)
            self._take(record, await self._store.stamp(LINKS))
        return record

    def _new_token(self) -> str:
        return token_of(self._random(TOKEN_BYTES))

    def _log(self, link: OwnLink, what: str, by: str) -> None:
        fields = about(
            link=link.id, person=link.person, device=link.device, feed=link.feed or "account", by=by
        )
        log.info("own link %s", what, extra=fields)
