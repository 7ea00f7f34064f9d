"""A key that was replaced in Plane and in its file is used without a reload."""

import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from app_world import serving, settings
from msgspec.structs import replace

from icsfeed import logs
from icsfeed.config.schema import Feed, Secret

log = logging.getLogger("icsfeed.test")

pytestmark = pytest.mark.anyio


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """Where the log goes."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, StringIO()
    logs.set_up("INFO", (), stream)
    yield stream
    logging.basicConfig(handlers=handlers, level=level, force=True)


async def test_a_rotated_key_file_is_taken_up_without_a_reload(tmp_path: Path, stream: StringIO) -> None:
    file = tmp_path / "plane-key"
    config = settings({"all": Feed(everything=True, public=True)})
    own = config.workspaces["demo"]
    assert own.api_key is not None
    right = own.api_key.reveal()
    file.write_text("plane_api_old\n")
    old = replace(own, api_key=Secret("plane_api_old"), api_key_file=str(file))
    async with serving(replace(config, workspaces={"demo": old})) as world:
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 503
        assert (await world.ask("GET", "/health/ready")).json()["reasons"] == {"demo": "key refused"}
        file.write_text(f"{right}\n")
        world.clock.move(6)
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200
        assert world.workspace.last_error is None
        log.warning("the server said %s", right)
    assert right not in stream.getvalue()
    assert "the server said ***" in stream.getvalue()
