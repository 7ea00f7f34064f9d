"""No secret ever stands in the log."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from app_world import serving, settings

from icsfeed.app.logs import Redacting, secrets_of, set_up
from icsfeed.core.config import Config, Feed, PushTarget, Secret, Workspace
from icsfeed.core.tokens import derive
from icsfeed.demo import faults as f
from icsfeed.demo.sample import API_KEY
from icsfeed.demo.settings import SECRET

pytestmark = pytest.mark.anyio

TOKEN = derive(SECRET, "feed", "property")


@contextmanager
def _logged(level: str = "DEBUG", *secrets: str) -> Iterator[io.StringIO]:
    """The log as a server writes it. pytest's own handlers are put aside, and back afterwards."""
    root = logging.getLogger()
    kept, before = root.handlers[:], root.level
    root.handlers.clear()
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "uvicorn.access")}
    stream = io.StringIO()
    try:
        set_up(level, secrets, stream)
        yield stream
    finally:
        root.handlers[:] = kept
        root.setLevel(before)
        for name, own in quiet.items():
            logging.getLogger(name).setLevel(own)


def _record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("x", logging.ERROR, "x.py", 1, message, arguments, info)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"GET /feeds/{TOKEN}/property.ics", ()),
        ("GET %s", (f"https://cal.example.com/feeds/{TOKEN}/a.ics?x=1",)),
        ("%r", ({"path": TOKEN},)),
        (TOKEN, ()),
        (TOKEN.upper().replace("ICSF_", "icsf_"), ()),
        (TOKEN[:-1], ()),
        (TOKEN + "aa", ()),
    ],
)
def test_tokens_are_hidden_wherever_they_stand(message: str, arguments: tuple[object, ...]) -> None:
    line = Redacting().format(_record(message, *arguments))
    assert TOKEN[5:15].lower() not in line.lower()
    assert "icsf_***" in line


def test_secrets_are_hidden_in_messages_and_tracebacks() -> None:
    formatter = Redacting(["a-secret-key", "a-secret-key-that-is-longer", "short"])
    try:
        raise ValueError("a-secret-key-that-is-longer was refused, and a-secret-key too, in short")
    except ValueError as error:
        line = formatter.format(_record("failed with %s", "a-secret-key", error=error))
    assert "a-secret-key" not in line
    assert "failed with ***" in line
    assert "ValueError: *** was refused, and *** too, in short" in line


def test_every_secret_of_a_configuration_is_known() -> None:
    config = Config(
        workspaces={
            "a": Workspace(url="https://x", api_key=Secret("key of a"), webhook_secret=Secret("hook of a")),
            "b": Workspace(url="https://x", api_key=Secret("key of b")),
        },
        secret=Secret("the secret"),
        admin_token=Secret("the admin token"),
        feeds={"f": Feed()},
        push={
            "p": PushTarget(
                feed="f", url="https://x/", password=Secret("the password"), token=Secret("bearer")
            )
        },
        store=Secret("redis://user:pass@host"),
    )
    assert set(secrets_of(config)) == {
        "key of a",
        "hook of a",
        "key of b",
        "the secret",
        "the admin token",
        "the password",
        "bearer",
        "redis://user:pass@host",
    }


def test_the_level_is_kept_and_other_peoples_urls_are_not_logged() -> None:
    with _logged("warning") as stream:
        logging.getLogger("icsfeed.x").info("quiet")
        logging.getLogger("icsfeed.x").warning("loud")
    with _logged("debug") as debug:
        logging.getLogger("httpx").info("HTTP Request: GET https://plane.example.com/api/v1/secret")
        logging.getLogger("uvicorn.access").info("GET /feeds/...")
    assert "quiet" not in stream.getvalue()
    assert stream.getvalue().endswith(" WARNING icsfeed.x: loud\n")
    assert debug.getvalue() == ""


def test_a_level_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="LOUD"), _logged("loud"):
        pass


async def test_a_running_server_never_logs_a_token_or_a_secret() -> None:
    config = settings()
    with _logged("DEBUG", *secrets_of(config)) as stream:
        async with serving(config) as world:
            good = [world.path(feed) for feed in (*config.feeds, "project-prop", "assignee-anna")]
            links = await world.service.all_links("https://cal.example.com")
            paths = [*good, *(path.replace("icsf_", "icsf_a") for path in good), f"/feeds/{TOKEN}/nope.ics"]
            leak = RuntimeError(f"key {API_KEY}, secret {SECRET}, link /feeds/{TOKEN}/property.ics")
            for fault in (
                f.delayed(0),
                f.server_error(),
                f.refused(),
                f.raising(httpx.ConnectError(str(leak))),
                f.raising(leak),
            ):
                world.faults.clear()
                world.faults.add("", fault, None)
                world.clock.move(hours=1)
                for path in paths:
                    answer = await world.ask(
                        "GET", f"{path}?days=x&token={TOKEN}", cookie=TOKEN, x_api_key=API_KEY
                    )
                    answer2 = await world.ask("GET", path, if_none_match=TOKEN, referer=f"https://x/{TOKEN}")
                    for secret in (API_KEY, SECRET, TOKEN):
                        assert secret not in answer.text
                        assert secret not in answer2.text
    text = stream.getvalue()
    assert "asking again in" in text
    assert "RuntimeError: key ***, secret ***, link /feeds/icsf_***/property.ics" in text
    tokens = [link["ics"].split("/")[4] for link in links.values() if "icsf_" in link["ics"]]
    assert len(tokens) > 10
    for secret in (API_KEY, SECRET, *tokens):
        assert secret not in text
