"""The writes of one push: conditional, several at once, decided again where an object changed meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from msgspec import Struct

from icsfeed.errors import Changed, InsufficientStorage, Locked, ObjectError, PushError, Rejected
from icsfeed.push.action import WRITES, Action
from icsfeed.push.collection import Collection
from icsfeed.push.object import Claim, ParsedObject, read_object, write_object
from icsfeed.push.plan import (
    Accepted,
    DesiredObject,
    RemoteObject,
    decide_after_change,
    has_emoji,
    is_up_to_date,
)
from icsfeed.push.report import Failure, PushProgress
from icsfeed.push.session import MAX_CONCURRENT_REQUESTS

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many writes are done, and of how many."""


class _Written(Struct):
    """What was written: our bytes as they are read back, and the etag that the server gave for them."""

    stored: ParsedObject
    etag: str = ""


class ObjectWriter:
    """Carries actions out; the `tally` keeps what became of them, as they were planned.

    `present`: the objects as they are known now, by path. `accepted`: what the server made of what we
    wrote (see push/plan.py). `unknown`: paths of which it is not known what became of them.
    `with_our_mark` says of an object whether it is ours although its mark is gone.
    """

    def __init__(
        self,
        collection: Collection,
        wanted: Mapping[str, DesiredObject],
        claim: Claim,
        present: Sequence[RemoteObject],
        accepted: Mapping[str, Accepted],
        tally: PushProgress,
        with_our_mark: Callable[[RemoteObject], RemoteObject],
    ) -> None:
        self.present = {one.href: one for one in present}
        self.accepted = {uid: seen for uid, seen in accepted.items() if uid in wanted}
        self._collection = collection
        self._wanted = wanted
        self._claim = claim
        self._tally = tally
        self._recognised = with_our_mark
        self._written: dict[str, _Written] = {}
        self.unknown: set[str] = set()

    async def carry_out(self, progress: Progress) -> None:
        """Writes first, deletions last. Raises as `_do_all`."""
        tally = self._tally
        writes = tally.plan.of(*WRITES)
        deletes = () if tally.refused else tally.plan.deletions(force=tally.force)

        def show() -> None:
            progress(len(tally.done) + len(tally.failures), len(writes) + len(deletes))

        try:
            await self._do_all(writes, show)
        except InsufficientStorage:
            if not deletes:
                raise
            # The deletions make room; then what did not fit is tried once more.
            await self._do_all(deletes, show)
            settled = {one.href for one in tally.done} | {one.href for one in tally.failures}
            await self._do_all([action for action in writes if action.href not in settled], show)
        else:
            await self._do_all(deletes, show)

    async def _do_all(self, actions: Sequence[Action], progress: Callable[[], None]) -> None:
        """All of them, four at a time; one that fails leaves the others alone.

        Raises the first PushError that is not about one object, once what was under way has ended.
        """
        left, stops = iter(actions), list[PushError]()

        async def worker() -> None:
            for action in left:
                if stops:
                    return
                try:
                    await self._do(action)
                except Rejected as error:
                    # SOGo fails with a 5xx on an emoji; whoever refuses with another has another reason.
                    hint = self._hint(action) if error.status >= 500 else ""
                    self._failed(action, f"{error.reason}{hint}")
                except ObjectError as error:
                    self._failed(action, error.reason, locked=isinstance(error, Locked))
                except PushError as error:
                    stops.append(error)
                progress()

        await asyncio.gather(*(worker() for _ in range(MAX_CONCURRENT_REQUESTS)))
        if stops:
            raise stops[0]

    async def _do(self, action: Action) -> None:
        item = self._wanted[action.uid] if action.kind in WRITES else None
        try:
            await self._write(action, item)
        except Changed:
            body = (await self._collection.read([action.href])).get(action.href)
            found = None
            if body is not None:
                found = self._recognised(RemoteObject(action.href, body.etag, read_object(body.data)))
            self._know(action.href, found)
            again = decide_after_change(action, item, found, self._claim)
            if again.kind in ("conflict", "rejected"):
                self._failed(action, again.reason)
                return
            if again.kind != "leave":
                try:
                    await self._write(again, item)
                except Changed:
                    reason = "the server refuses it again and again without a reason; it may be too large"
                    raise Rejected(action.href, reason) from None
        self._tally.done.append(action)

    async def _write(self, action: Action, item: DesiredObject | None) -> None:
        if item is None:
            await self._collection.delete(action.href, action.etag)
            self._know(action.href, None)
            return
        old = self.present.get(action.href)
        data = write_object(item.component, self._claim.mark, old.stored if old else None)
        # Even where the answer is lost.
        written = self._written[action.href] = _Written(read_object(data))
        etag = None if action.kind == "create" else action.etag
        written.etag = await self._collection.put(action.href, data, etag)

    def _know(self, path: str, found: RemoteObject | None) -> None:
        if found is None:
            self.present.pop(path, None)
        else:
            self.present[path] = found

    def _failed(self, action: Action, reason: str, *, locked: bool = False) -> None:
        self._written.pop(action.href, None)
        # What became of it is not known: it is read the next time.
        self.present.pop(action.href, None)
        self.unknown.add(action.href)
        self._tally.failures.append(Failure(action.uid, action.href, reason, locked))

    async def verify(self) -> None:
        """Read back what was written: its etags as the server lists them, and what it made of our bytes."""
        bodies = await self._collection.read(self._written)
        odd = 0
        for action in [action for action in self._tally.done if action.href in self._written]:
            body = bodies.get(action.href)
            stored = read_object(body.data) if body is not None else None
            if body is None or stored is None or not self._claim.owns(stored):
                self._tally.done.remove(action)
                reason = f"it was written, and cannot be read back{self._hint(action)}"
                if stored is not None and stored.uid:
                    reason = "the server does not keep our marks (X- properties): it cannot be pushed to"
                self._failed(action, reason)
                if body is not None and stored is not None and stored.blank:
                    # Other apps fail on what the server made of our bytes.
                    with suppress(ObjectError):
                        await self._collection.delete(action.href, body.etag)
                continue
            self._know(action.href, RemoteObject(action.href, body.etag, stored))
            written = self._written[action.href]
            odd += self._accept(
                self._wanted[action.uid], stored, written, untouched=body.etag == written.etag
            )
        if odd:
            text = f"the server keeps {odd} of the objects otherwise than they were written; that is accepted"
            self._tally.warnings.append(text)

    def _accept(
        self, item: DesiredObject, stored: ParsedObject, written: _Written, *, untouched: bool
    ) -> bool:
        """Whether the server itself, and nobody else, has made something else of an object: then so be it.

        `untouched`: its etag is that of our writing. Else its times tell: a person's app sets them anew.
        """
        if is_up_to_date(item, stored, self.accepted) or stored.hash != item.hash:
            return False
        if not untouched and stored.revision != written.stored.revision:
            return False
        self.accepted[item.component.uid] = (item.hash, stored.facts)
        return True

    def _hint(self, action: Action) -> str:
        """What may help where the server does not bear what an object holds."""
        item = self._wanted.get(action.uid)
        if item is None or not has_emoji(item.component):
            return ""
        return "; if it is an emoji in it, `strip_emoji: true` helps"
