"""Reading the lists that not every edition of Plane has: without them, feeds show less and nothing wrong."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import datetime
from typing import TypeVar

from icsfeed.cache.runner import PART_ERRORS
from icsfeed.cache.ttl import CachedValue
from icsfeed.errors import NotPlane, PlaneError, ServerError
from icsfeed.plane.features import Features, is_refusal
from icsfeed.plane.fetch import NoSuchPath

T = TypeVar("T")

LIST_ERRORS = (*PART_ERRORS, NotPlane, ServerError)
"""Errors that may concern one list, while Plane is well: its path may lead anywhere in another edition."""

log = logging.getLogger("icsfeed.workspace")


class OptionalLists:
    """Refreshes such lists of the workspace `name`, and notes in `features` which of them Plane has.

    `errors`: why some of them could not be read the last time.
    """

    def __init__(
        self, name: str, features: Features, errors: dict[str, PlaneError], clock: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._features = features
        self._errors = errors
        self._clock = clock
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def refresh(
        self,
        what: tuple[str, ...],
        value: CachedValue[T],
        read: Callable[[], Awaitable[T]],
        none: T,
        *,
        is_essential: bool = False,
    ) -> None:
        """Read one that is not fresh, unless Plane has refused it within a day; then what is known stays.

        `what`: the name of the list and, where there are several, of what: `("milestones", "PROP")`. `none`
        is the value where nothing was ever read. A refusal, or anything else that Plane answers, must not
        keep the rest from being read: nobody has recorded these lists. One that `is_essential` to the feeds
        that ask for it stays unread, unless Plane refuses it. Raises other errors.
        """
        list_, this = what[0], " of ".join(what)
        # Projects are read at the same time: until Plane has shown that it has the list, one asks for it.
        is_known = self._features.has(list_) is True
        async with nullcontext() if is_known else self._asking[list_]:
            if value.is_fresh:
                return
            if not all(self._features.should_ask(name, self._clock()) for name in (list_, this)):
                value.keep(none)
                return
            try:
                await value.get_or_refresh(read)
            except LIST_ERRORS as error:
                # Where this path is unknown it is so for all projects.
                name = list_ if isinstance(error, NoSuchPath) else this
                self._note(name, error)
                if is_refusal(error):
                    self._features.refused(name, self._clock())
                    value.keep(none)
                else:
                    value.postpone(None if is_essential else none)
            else:
                for name in (list_, this):
                    self._features.answered(name)
                    self._errors.pop(name, None)

    def _note(self, name: str, error: PlaneError) -> None:
        """Log an error once for each list, until it is over: most projects have the same."""
        list_ = name.partition(" of ")[0]
        if not any(noted.partition(" of ")[0] == list_ for noted in self._errors):
            log.warning("workspace %s: %s; keeping what was read of them before", self._name, error)
        self._errors[name] = error
