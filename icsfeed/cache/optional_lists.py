"""Reading the lists that not every edition of Plane has: without them, feeds show less and nothing wrong."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from icsfeed.cache.ttl import CachedValue
from icsfeed.errors import BadAnswer, PlaneError
from icsfeed.plane.features import Features, is_refusal
from icsfeed.plane.fetch import NoSuchPath

T = TypeVar("T")

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
        is the value where nothing was ever read. A refusal, or an answer that cannot be understood, must
        not keep the rest from being read: nobody has recorded these lists. After such an answer one that
        `is_essential` to the feeds that ask for it stays unread. Raises other errors.
        """
        list_, this = what[0], " of ".join(what)
        if value.is_fresh:
            return
        if not all(self._features.should_ask(name, self._clock()) for name in (list_, this)):
            value.keep(none)
            return
        try:
            await value.get_or_refresh(read)
        except PlaneError as error:
            if is_refusal(error):
                # Where this path is unknown it is so for all projects: one of them asks each day.
                name = list_ if isinstance(error, NoSuchPath) else this
                self._note(name, error)
                self._features.refused(name, self._clock())
                value.keep(none)
            elif isinstance(error, BadAnswer):
                self._note(this, error)
                value.postpone(None if is_essential else none)
            else:
                raise
        else:
            for name in (list_, this):
                self._features.answered(name)
                self._errors.pop(name, None)

    def _note(self, name: str, error: PlaneError) -> None:
        """Log an error once, until it is over."""
        if name not in self._errors:
            text = "workspace %s: cannot read its %s: %s; showing them as they were last read, if ever"
            log.warning(text, self._name, name, error)
        self._errors[name] = error
