"""The embedded Plane behind a real uvicorn: the same answers, and connections that really break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from demo_world import ALICE
from litestar import Litestar

from icsfeed.demo.api import create_plane
from icsfeed.demo.data import PlaneData
from icsfeed.demo.faults import Faults, broken, raising

pytestmark = pytest.mark.anyio

ME = "/api/v1/users/me/"


@asynccontextmanager
async def _served(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
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


async def test_it_answers_over_http(data: PlaneData, web: str) -> None:
    async with _served(create_plane(data)) as client:
        page = await client.get(f"{web}work-items/?per_page=10&cursor=10:1:0")
        moved = await client.get(f"{web}work-items")
        head = await client.head(ME)
    assert page.json()["count"] == 10
    assert (moved.status_code, moved.headers["location"]) == (301, f"{web}work-items/")
    assert (head.status_code, head.content) == (405, b"")


async def test_a_broken_answer_closes_the_connection(data: PlaneData) -> None:
    faults = Faults()
    faults.add("", broken())
    async with _served(create_plane(data, faults=faults)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(ME)
        assert (await client.get(ME)).status_code == 200


async def test_an_error_is_a_500(data: PlaneData) -> None:
    faults = Faults()
    faults.add("", raising(RuntimeError("on purpose")))
    async with _served(create_plane(data, faults=faults)) as client:
        assert (await client.get(ME)).status_code == 500
