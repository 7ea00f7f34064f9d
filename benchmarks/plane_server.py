"""The tests' Plane with the corpus as a process. Arguments: PORT ISSUES [SECONDS for a page of 1000]."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import corpus
import uvicorn

from icsfeed.demo.access import KeyLimits

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from plane.api import create_plane
from plane.data import changeable


def main() -> None:
    port, issues = int(sys.argv[1]), int(sys.argv[2])
    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    data = changeable(corpus.plane_data(issues), lambda: corpus.NOW)
    plane: Any = create_plane(data, limits=KeyLimits(person=1_000_000))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if pause and scope["type"] == "http" and b"per_page=1000" in scope["query_string"]:
            await asyncio.sleep(pause)
        await plane(scope, receive, send)

    uvicorn.run(app, port=port, log_level="error", access_log=False, loop="uvloop")


main()
