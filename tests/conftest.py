"""Shared by all tests."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that uvicorn runs on."""
    return "asyncio"
