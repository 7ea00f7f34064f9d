"""What the tests of the embedded Plane share: the recordings, a key, a clock, and clients in process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from litestar import Litestar

from plane.recorded import RECORDED_AT

RECORDINGS = Path(__file__).parents[1] / "data" / "plane"
ALICE = "plane_api_a11ce000000000000000000000000001"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = RECORDED_AT

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def connect(app: Litestar, key: str = ALICE) -> httpx.AsyncClient:
    """A client of an app, with alice's key unless another is given."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://plane", headers={"X-API-Key": key})


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app behind a real uvicorn, with alice's key."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": ALICE}) as client:
        yield client
    server.should_exit = True
    await task
