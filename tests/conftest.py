"""Fixtures shared by all tests: the loop, and the embedded Plane with the recorded workspace."""

import signal

import pytest
from plane.data import PlaneData
from plane.recorded import load_recorded
from plane.world import RECORDINGS, Clock

# A shell starts background jobs with SIGINT ignored, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that uvicorn runs on."""
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def data(clock: Clock) -> PlaneData:
    return load_recorded(RECORDINGS, clock)


@pytest.fixture
def web(data: PlaneData) -> str:
    """The path of project WEB."""
    project = next(key for key, project in data.projects.items() if project.row["identifier"] == "WEB")
    return f"/api/v1/workspaces/acme/projects/{project}/"
