"""The writes of one push: conditional, concurrent, decided again after a 412, and read back at the end."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from icsfeed.errors import Changed, InsufficientStorage, Locked, ObjectError, PushError, Rejected
from icsfeed.push.action import WRITES, Action
from icsfeed.push.collection import Collection
from icsfeed.push.memory import TargetRecord
from icsfeed.push.object import Claim, ParsedObject, read_object, write_object
from icsfeed.push.plan import DesiredObject, RemoteObject, decide_after_change, has_emoji, is_up_to_date
from icsfeed.push.report import Failure, PushProgress
from icsfeed.push.session import MAX_CONCURRENT_REQUESTS


class _Sent(Struct):
    """What was sent: our own bytes as parsed, and the etag in the response; empty: none, or no response."""

    parsed: ParsedObject
    etag: str = ""


class ObjectWriter:
    """Carries out the actions of `progress.plan`, and adds the results to `progress`.

    `remote`: the objects by path, as far as known now. `accepted`: how this server stores what we wrote (see
    push/plan.py). `uncertain`: paths of failed writes, which may have been done all the same.
    """

    def __init__(
        self,
        collection: Collection,
        desired: Mapping[str, DesiredObject],
        claim: Claim,
        remote: Sequence[RemoteObject],
        record: TargetRecord,
        progress: PushProgress,
    ) -> None:
        self.remote = {entry.href: entry for entry in remote}
        self.accepted = {uid: accepted for uid, accepted in record.accepted.items() if uid in desired}
        self.uncertain: set[str] = set()
        self._collection = collection
        self._desired = desired
        self._claim = claim
        self._record = record
        self._progress = progress
        self._sent: dict[str, _Sent] = {}

    async def carry_out(self, on_progress: Callable[[int, int], None]) -> None:
        """Write everything, then delete. Raise the first PushError that is not about a single object.

        Deletions come last: a run that fails half-way leaves objects too many rather than too few.
        `on_progress` is called with the numbers of finished and of all writes.
        """
        progress = self._progress
        writes = progress.plan.of(*WRITES)
        deletes = () if progress.refused else progress.plan.deletions(force=progress.force)

        def show() -> None:
            on_progress(len(progress.done) + len(progress.failures), len(writes) + len(deletes))

        try:
            await self._do_all(writes, show)
        except InsufficientStorage:
            if not deletes:
                raise
            # 507: the deletions free space, then the remaining writes get one more attempt.
            await self._do_all(deletes, show)
            finished = {action.href for action in progress.done} | {
                failure.href for failure in progress.failures
            }
            await self._do_all([action for action in writes if action.href not in finished], show)
        else:
            await self._do_all(deletes, show)

    async def _do_all(self, actions: Sequence[Action], show: Callable[[], None]) -> None:
        """Do these actions, four at a time; the failure of one object does not stop the others.

        Raise the first PushError that is not about a single object, after the running requests have ended.
        """
        remaining, errors = iter(actions), list[PushError]()

        async def worker() -> None:
            for action in remaining:
                if errors:
                    return
                try:
                    await self._do(action)
                except Rejected as error:
                    # SOGo 5.8 may fail with a 5xx because of an emoji; other statuses have other reasons.
                    hint = self._emoji_hint(action) if error.status >= 500 else ""
                    self._fail(action, f"{error.reason}{hint}")
                except ObjectError as error:
                    self._fail(action, error.reason, locked=isinstance(error, Locked))
                except PushError as error:
                    errors.append(error)
                show()

        await asyncio.gather(*(worker() for _ in range(MAX_CONCURRENT_REQUESTS)))
        if errors:
            raise errors[0]

    async def _do(self, action: Action) -> None:
        """Do one action. Raise as Collection.put, but after a 412 read the object and decide once more."""
        desired = self._desired[action.uid] if action.kind in WRITES else None
        try:
            await self._write(action, desired)
        except Changed:
            body = (await self._collection.read([action.href])).get(action.href)
            current = None
            if body is not None:
                current = RemoteObject(action.href, body.etag, read_object(body.data))
                current = self._record.with_our_mark(current, self._claim)
            self._set_remote(action.href, current)
            # The 412 may also mean that our own write was done and its response lost: then nothing is left
            # to do ("leave").
            decided = decide_after_change(action, desired, current, self._claim)
            if decided.kind in ("conflict", "rejected"):
                self._fail(action, decided.reason)
                return
            if decided.kind != "leave":
                try:
                    await self._write(decided, desired)
                except Changed:
                    reason = "the server rejects it repeatedly without a reason; it may be too large"
                    raise Rejected(action.href, reason) from None
        self._progress.done.append(action)

    async def _write(self, action: Action, desired: DesiredObject | None) -> None:
        """Send the PUT, or the DELETE if `desired` is None."""
        if desired is None:
            await self._collection.delete(action.href, action.etag)
            self._set_remote(action.href, None)
            return
        old = self.remote.get(action.href)
        data = write_object(desired.component, self._claim.mark, old.stored if old else None)
        # Before the request: if its response is lost, the object is verified all the same.
        sent = self._sent[action.href] = _Sent(read_object(data))
        etag = None if action.kind == "create" else action.etag
        sent.etag = await self._collection.put(action.href, data, etag)

    def _set_remote(self, path: str, remote: RemoteObject | None) -> None:
        if remote is None:
            self.remote.pop(path, None)
        else:
            self.remote[path] = remote

    def _fail(self, action: Action, reason: str, *, locked: bool = False) -> None:
        self._sent.pop(action.href, None)
        # A failed write may have been done: the next push must read the object, whatever its etag.
        self.remote.pop(action.href, None)
        self.uncertain.add(action.href)
        self._progress.failures.append(Failure(action.uid, action.href, reason, locked))

    async def verify(self) -> None:
        """Read back everything that was written, and report what the server lost or changed.

        A success status is not enough: SOGo 5.8 answers 201 and destroys objects with an emoji at its fold
        column, and GMX and Bedework answer with etags that never appear in their listings. The etags stored
        are therefore those read here.
        """
        bodies = await self._collection.read(self._sent)
        altered = 0
        for action in [action for action in self._progress.done if action.href in self._sent]:
            body = bodies.get(action.href)
            stored = read_object(body.data) if body is not None else None
            if body is None or stored is None or not self._claim.owns(stored):
                self._progress.done.remove(action)
                reason = f"it was written but cannot be read back{self._emoji_hint(action)}"
                if stored is not None and stored.uid:
                    reason = "the server drops our marks (X- properties): it cannot be pushed to"
                self._fail(action, reason)
                if body is not None and stored is not None and stored.blank:
                    # Delete what SOGo 5.8 left of the object, `(null)`: calendar apps fail on it.
                    with suppress(ObjectError):
                        await self._collection.delete(action.href, body.etag)
                continue
            self._set_remote(action.href, RemoteObject(action.href, body.etag, stored))
            sent = self._sent[action.href]
            altered += self._accept(self._desired[action.uid], stored, sent, same_etag=body.etag == sent.etag)
        if altered:
            text = f"the server alters {altered} of the objects when it stores them; that is accepted"
            self._progress.warnings.append(text)

    def _accept(self, desired: DesiredObject, stored: ParsedObject, sent: _Sent, *, same_etag: bool) -> bool:
        """Return whether the server altered an object, and accept that; else the next push would undo it.

        A person may have edited the object since our write, which must not be accepted. It was the server
        if the etag is that of our write, or the times and the sequence number are: an app would set them.
        """
        if is_up_to_date(desired, stored, self.accepted) or stored.hash != desired.hash:
            return False
        if not same_etag and stored.revision != sent.parsed.revision:
            return False
        self.accepted[desired.component.uid] = (desired.hash, stored.facts)
        return True

    def _emoji_hint(self, action: Action) -> str:
        """Return advice for servers that fail on emoji (SOGo 5.8); empty if the object has none."""
        desired = self._desired.get(action.uid)
        if desired is None or not has_emoji(desired.component):
            return ""
        return "; if an emoji is the reason, `strip_emoji: true` helps"
