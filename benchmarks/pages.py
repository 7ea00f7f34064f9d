"""Size and time of pages: .venv/bin/python benchmarks/pages.py [--json] [--issues N] [--rounds N]

The real service and server in process, over the embedded Plane; no socket. `first`: milliseconds of the
first view after the feed's data has changed, when its items are made; `again`: the median of the views
after it. `KB`: of the HTML, before compression. A frame of any feed promises to stay below 100 KB.
"""
# ruff: noqa: T201 - printing is what it is for

import argparse
import asyncio
import json
import sys
from statistics import median
from time import perf_counter
from typing import NamedTuple

import httpx
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Feed
from icsfeed.demo.access import KeyLimits
from icsfeed.demo.api import create_plane
from icsfeed.demo.sample import sample
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened, utc_now
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

FEEDS = {"due": Feed(project="WEB"), "span": Feed(project="WEB", dates="span")}
LIMIT = 100_000


class Measured(NamedTuple):
    """A page: bytes of its HTML, milliseconds of the first view and (median) of those after it."""

    page: str
    size: int
    first: float
    again: float


def pages(service: FeedService) -> list[tuple[str, str]]:
    """Return names and paths of the pages to measure."""
    results = []
    for feed in FEEDS:
        embed = service.links.embed_path(feed)
        results += [
            (f"{view} {feed}", f"{embed}?view={view}")
            for view in ("month", "week", "agenda", "day", "timeline")
        ]
        results.append((f"page {feed}", service.links.page_path(feed)))
    return results


async def measure(issues: int, rounds: int) -> list[Measured]:
    """Measure every page of feeds over a project with so many issues."""
    config = replace(demo_config(), feeds=FEEDS, auto=Auto())
    plane = create_plane(sample(utc_now().date(), issues=issues), utc_now, limits=KeyLimits(person=1_000_000))
    transport = httpx.ASGITransport(plane)  # type: ignore[arg-type]
    async with opened(config, transports={"demo": transport}) as service:
        for feed in FEEDS:
            await service.rendered(feed)
        results = []
        for name, path in pages(service):
            # A new app has not prepared the items of any page yet.
            app = create_app(service, ServerState(utc_now))
            inside = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=inside, base_url="http://x") as client:
                await client.get("/", headers={"accept": "text/html"})
                results.append(await _measure_page(client, name, path, rounds))
        return results


async def _measure_page(client: httpx.AsyncClient, name: str, path: str, rounds: int) -> Measured:
    times = []
    for _ in range(rounds + 1):
        start = perf_counter()
        answer = await client.get(path)
        times.append((perf_counter() - start) * 1000)
        answer.raise_for_status()
    return Measured(name, len(answer.content), times[0], median(times[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description="How large pages are, and how long they take.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--issues", type=int, default=10_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="views after the first")
    arguments = parser.parse_args()
    results = asyncio.run(measure(arguments.issues, arguments.rounds))
    if arguments.json:
        print(json.dumps({"issues": arguments.issues, "pages": [one._asdict() for one in results]}))
    else:
        lines = [f"{'page':<12} {'KB':>6} {'first ms':>9} {'again ms':>9}"]
        lines += [
            f"{one.page:<12} {one.size / 1000:>6.1f} {one.first:>9.0f} {one.again:>9.1f}" for one in results
        ]
        print("\n".join(lines))
    frames = [one for one in results if not one.page.startswith("page")]
    sys.exit(any(one.size >= LIMIT for one in frames))


if __name__ == "__main__":
    main()
