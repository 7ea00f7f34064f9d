"""What a Plane has shown of itself, so that it is asked only once for what it refuses."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from msgspec import Struct, field

MAX_PAGE_ROWS = 1000
"""Plane's own limit since v0.23. A Plane that allows less says so, or shows it."""
DEFAULT_PAGE_ROWS = 100
"""The limit before v0.23, and of Cloud and Commercial by their documents: the words of the refusal vary."""
MIN_PAGE_ROWS = 10
"""No Plane allows less. A page with fewer rows than that was not cut to a limit."""
FIRST_SECONDS = 1.0
"""For which requests wait until the first one of their kind shows what Plane takes."""


class ListRequest(NamedTuple):
    """How a page is asked for: with so many rows (0: as many as Plane likes), and with its fields named."""

    size: int
    is_named: bool


class PlaneTraits(Struct):
    """What a Plane has shown of itself: the page size it allows, and how it spells some paths.

    `takes_large`: it has answered with a page of more than `DEFAULT_PAGE_ROWS`.
    `paths`: the spelling to try first, and the other one. `work-items` is known since v1.1, `issues` in all
    versions up to v1.3.1; an unknown path is a 404.
    `sizes`: rows in a page of a list (by path and fields) whose larger pages were too large. `unnamed`:
    the `fields` that it refuses: they are not asked for by name. `refused`: lists that it refuses however
    they are asked for. `large` is held while a large answer is in memory.
    """

    per_page: int = MAX_PAGE_ROWS
    takes_large: bool = False
    paths: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "issues": ("work-items", "issues"),
            "types": ("work-item-types", "issue-types"),
        }
    )
    sizes: dict[tuple[str, str], int] = {}
    unnamed: set[str] = set()
    refused: set[tuple[str, str]] = set()
    large: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def first(self, question: str) -> AsyncIterator[None]:
        """Let one request find out what Plane takes, and the others wait until it is answered.

        Lists of several projects are read at once: without it each of them would be refused. The others may
        be for a reader, and the first one may itself wait for the budget, in the background: they do not
        wait for long.
        """
        if question in self.asked:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    await self.asked[question].wait()
            yield
            return
        answered = self.asked[question] = asyncio.Event()
        try:
            yield
        except BaseException:
            del self.asked[question]
            raise
        finally:
            answered.set()

    def request(self, fields: str, size: int) -> ListRequest:
        """Return how to ask for a page with these fields. Without any, Plane sends all of them."""
        return ListRequest(size, bool(fields) and fields not in self.unnamed)

    def learn(self, refused: Collection[ListRequest], taken: ListRequest, fields: str) -> None:
        """Remember what Plane takes, where only that was different in a request that was refused."""
        if any(other.is_named == taken.is_named and other.size > taken.size for other in refused):
            self.per_page = min(self.per_page, taken.size)
        if not taken.is_named and taken._replace(is_named=True) in refused:
            self.unnamed.add(fields)
