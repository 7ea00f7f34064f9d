"""The writes of one push: conditional, several at once, decided again where an object changed meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from icsfeed.adapters.caldav import Collection
from icsfeed.adapters.caldav_http import AT_ONCE
from icsfeed.app.push_report import Failure, Tally
from icsfeed.core.errors import Changed, Locked, ObjectError, PushError, Rejected
from icsfeed.core.ics_object import Stored, is_ours, read_object, write_object
from icsfeed.core.push_plan import (
    WRITES,
    Accepted,
    Action,
    Present,
    Wanted,
    decided_again,
    has_emoji,
    is_right,
)

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many writes are done, and of how many."""


class Writes:
    """Carries actions out; the `tally` keeps what became of them, as they were planned.

    `present`: the objects as they are known now, by path. `accepted`: what the server made of what we
    wrote (see core/push_plan.py).
    """

    def __init__(
        self,
        collection: Collection,
        wanted: Mapping[str, Wanted],
        owner: str,
        present: Sequence[Present],
        accepted: Mapping[str, Accepted],
        tally: Tally,
    ) -> None:
        self.present = {one.href: one for one in present}
        self.accepted = {uid: seen for uid, seen in accepted.items() if uid in wanted}
        self._collection = collection
        self._wanted = wanted
        self._owner = owner
        self._tally = tally
        self._written: dict[str, str] = {}

    async def carry_out(self, actions: Sequence[Action], progress: Callable[[int], None]) -> None:
        """All of them, four at a time; one that fails leaves the others alone.

        Raises the first PushError that is not about one object, once what was under way has ended.
        """
        left, stops, done = iter(actions), list[PushError](), 0

        async def worker() -> None:
            nonlocal done
            for action in left:
                if stops:
                    return
                try:
                    await self._do(action)
                except Rejected as error:
                    self._failed(action, f"{error.reason}{self._hint(action)}")
                except ObjectError as error:
                    self._failed(action, error.reason, locked=isinstance(error, Locked))
                except PushError as error:
                    stops.append(error)
                done += 1
                progress(done)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        if stops:
            raise stops[0]

    async def _do(self, action: Action) -> None:
        item = self._wanted[action.uid] if action.kind in WRITES else None
        try:
            await self._write(action, item)
        except Changed:
            again = await self._decided_again(action, item)
            if again.kind in ("conflict", "rejected"):
                self._failed(action, again.reason)
                return
            if again.kind != "leave":
                await self._write_again(again, item)
        self._tally.done.append(action)

    async def _write_again(self, action: Action, item: Wanted | None) -> None:
        try:
            await self._write(action, item)
        except Changed:
            reason = "the server refuses it again and again without a reason; it may be too large"
            raise Rejected(action.href, reason) from None

    async def _decided_again(self, action: Action, item: Wanted | None) -> Action:
        body = (await self._collection.read([action.href])).get(action.href)
        found = None if body is None else Present(action.href, body.etag, read_object(body.data))
        self._know(action.href, found)
        return decided_again(action, item, found, self._owner)

    async def _write(self, action: Action, item: Wanted | None) -> None:
        if item is None:
            await self._collection.delete(action.href, action.etag)
            self._know(action.href, None)
            return
        old = self.present.get(action.href)
        data = write_object(item.component, self._owner, old.stored if old else None)
        self._written[action.href] = ""  # even where the answer is lost
        etag = None if action.kind == "create" else action.etag
        self._written[action.href] = await self._collection.put(action.href, data, etag)

    def _know(self, path: str, found: Present | None) -> None:
        if found is None:
            self.present.pop(path, None)
        else:
            self.present[path] = found

    def _failed(self, action: Action, reason: str, *, locked: bool = False) -> None:
        self._written.pop(action.href, None)
        # What became of it is not known: it is read the next time.
        self.present.pop(action.href, None)
        self._tally.failures.append(Failure(action.uid, action.href, reason, locked))

    async def verify(self) -> None:
        """Read back what was written: its etags as the server lists them, and what it made of our bytes."""
        bodies = await self._collection.read(self._written)
        odd = 0
        for action in [action for action in self._tally.done if action.href in self._written]:
            body = bodies.get(action.href)
            stored = read_object(body.data) if body is not None else None
            if body is None or not is_ours(stored, self._owner) or stored is None:
                self._tally.done.remove(action)
                self._failed(action, self._why_lost(stored, action))
                if body is not None and stored is not None and stored.blank:
                    await self._clear(action.href, body.etag)
                continue
            self._know(action.href, Present(action.href, body.etag, stored))
            untouched = body.etag == self._written[action.href]
            odd += self._accept(self._wanted[action.uid], stored, untouched=untouched)
        if odd:
            text = f"the server keeps {odd} of the objects otherwise than they were written; that is accepted"
            self._tally.warnings.append(text)

    def _accept(self, item: Wanted, stored: Stored, *, untouched: bool) -> bool:
        """Whether the server itself, and nobody else, has made something else of an object: then so be it.

        `untouched`: its etag is that of our writing. Else its times tell: a person's app sets them anew.
        """
        if is_right(item, stored, self.accepted) or stored.hash != item.hash:
            return False
        ours = read_object(write_object(item.component, self._owner))
        if not untouched and stored.revision != ours.revision:
            return False
        self.accepted[item.component.uid] = (item.hash, stored.facts)
        return True

    async def _clear(self, path: str, etag: str) -> None:
        """Delete what the server made of our bytes: other apps fail on a ruin."""
        with suppress(ObjectError):
            await self._collection.delete(path, etag)

    def _why_lost(self, stored: Stored | None, action: Action) -> str:
        if stored is not None and stored.uid:
            return "the server does not keep our marks (X- properties): it cannot be pushed to"
        return f"it was written, and cannot be read back{self._hint(action)}"

    def _hint(self, action: Action) -> str:
        """What may help where the server does not bear what an object holds."""
        item = self._wanted.get(action.uid)
        if item is None or not has_emoji(item.component):
            return ""
        return "; if it is an emoji in it, `strip_emoji: true` helps"
