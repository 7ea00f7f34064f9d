"""Requests to Plane: with the key as it is now, within the request budget, and counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy

import httpx

from icsfeed.errors import KeyRefused, PlaneError, Throttled
from icsfeed.plane.fetch import LargeResponseTurn, fetch, give_key, key_of
from icsfeed.plane.rate_limit import RequestPriority, RequestSlot

log = logging.getLogger("icsfeed.plane")


class PlaneRequests:
    """Sends requests through `client`, which carries the key.

    They wait for the budget given to `on`; `wait_if_throttled`: also when Plane has refused one with 429.
    `read_key` returns the key as it is now in its file (None: it cannot be read). `answers` counts requests
    by `ok` or the kind of the error.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, wait_if_throttled: bool, read_key: Callable[[], str | None] | None
    ) -> None:
        self._client = client
        self._wait_if_throttled = wait_if_throttled
        self._read_key = read_key
        self._priority: RequestPriority | None = None
        self.answers: Counter[str] = Counter()

    def on(self, priority: RequestPriority) -> "PlaneRequests":
        """Return the same, waiting for a budget with this priority; counted together."""
        other = copy(self)
        other._priority = priority
        return other

    async def get(
        self, url: str, parameters: Mapping[str, str], what: str, turn: LargeResponseTurn | None
    ) -> bytes:
        """Return the body of one answer. Raises PlaneError."""
        while True:
            sent = key_of(self._client)
            try:
                if self._priority is None:
                    return await self._fetch(url, parameters, what, turn)
                async with self._priority.request() as slot:
                    return await self._fetch(url, parameters, what, turn, slot)
            except Throttled as error:
                if not self._wait_if_throttled or self._priority is None:
                    raise
                log.warning("%s; waiting", error)
            except KeyRefused:
                # The key's file may have been replaced since: another request may have noticed already.
                if key_of(self._client) == sent and self._read_key is not None:
                    key = await asyncio.to_thread(self._read_key)
                    if key:
                        give_key(self._client, key)
                if key_of(self._client) == sent:
                    raise

    async def _fetch(
        self,
        url: str,
        parameters: Mapping[str, str],
        what: str,
        turn: LargeResponseTurn | None,
        slot: RequestSlot | None = None,
    ) -> bytes:
        try:
            body = await fetch(self._client, url, parameters, what, slot, turn=turn)
        except PlaneError as error:
            self.answers[error.kind] += 1
            raise
        self.answers["ok"] += 1
        return body
