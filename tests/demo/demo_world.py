"""What the tests of the embedded Plane share: the recordings, a key, a clock, and clients in process."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from litestar import Litestar

from icsfeed.demo.recorded import RECORDED_AT

RECORDINGS = Path(__file__).parents[1] / "data" / "plane"
ALICE = "plane_api_a11ce000000000000000000000000001"

Connect = Callable[..., httpx.AsyncClient]


class Clock:
    """Stands still until it is told to move."""

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
