"""The log shows no secrets, and no failure again and again."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from app_world import serving, settings
from msgspec.structs import replace
from plane import faults as f

from icsfeed.config.values import Secret, secrets_of
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.sample import API_KEY
from icsfeed.demo.settings import SECRET
from icsfeed.errors import Throttled
from icsfeed.feeds.links import derive
from icsfeed.logs import Form, RedactingFormatter, RepeatFilter, about, set_up

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
def test_tokens_are_hidden_wherever_they_are(message: str, arguments: tuple[object, ...]) -> None:
    line = RedactingFormatter().format(_record(message, *arguments))
    assert TOKEN[5:15].lower() not in line.lower()
    assert "icsf_***" in line


def test_secrets_are_hidden_in_messages_and_tracebacks() -> None:
    formatter = RedactingFormatter(["a-secret-key", "a-secret-key-that-is-longer", "short"])
    try:
        raise ValueError("a-secret-key-that-is-longer was refused, and a-secret-key too, in short")
    except ValueError as error:
        line = formatter.format(_record("failed with %s", "a-secret-key", error=error))
    assert "a-secret-key" not in line
    assert "failed with ***" in line
    assert "ValueError: *** was refused, and *** too, in short" in line


def _lines(form: Form, *records: logging.LogRecord) -> list[str]:
    """What of these records is logged, one after the other."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(["a-secret-key"], form))
    handler.addFilter(RepeatFilter(600))
    for record in records:
        handler.handle(record)
    return stream.getvalue().split("\n")[:-1]


def _at(seconds: float, message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    record = _record(message, *arguments)
    record.created = 1_000_000_000 + seconds
    record.__dict__.update(about(**fields) if fields else {})
    return record


def test_what_an_event_is_about_follows_its_message() -> None:
    (line,) = _lines(
        "text", _at(0, "answered", feed="anna", ms=1.5, app='A "b"', link=TOKEN, key="a-secret-key")
    )
    assert line.endswith("""ERROR x: answered feed=anna ms=1.5 app="A 'b'" link=icsf_*** key=***""")


def test_json_is_one_object_for_each_line() -> None:
    lines = _lines("json", _at(0.5, 'said "%s"\n', "a-secret-key", feed="anna", status=200), _at(1, "other"))
    assert [json.loads(line) for line in lines] == [
        {
            "time": "2001-09-09T01:46:40.500+00:00",
            "level": "ERROR",
            "logger": "x",
            "message": 'said "***"\n',
            "feed": "anna",
            "status": 200,
        },
        {"time": "2001-09-09T01:46:41.000+00:00", "level": "ERROR", "logger": "x", "message": "other"},
    ]


def test_half_a_surrogate_pair_loses_no_line() -> None:
    (line,) = _lines("json", _at(0, "said %s", "\ud83d", feed="\udfff"))
    assert json.loads(line)["message"] == "said ?"


def test_a_traceback_is_inside_the_json_and_indented_in_text() -> None:
    try:
        raise ValueError("first\n2026-01-01T00:00:00 ERROR forged")
    except ValueError as error:
        record = _record("failed", error=error)
    (line,) = _lines("json", record)
    assert json.loads(line)["traceback"].startswith("Traceback (most recent call last):\n")
    first, *rest = _lines("text", record)
    assert first.endswith("ERROR x: failed")
    assert all(one.startswith("    ") for one in rest)


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\x00b", "a\u2028b", "a\x85b", "a\x9bb", "a\u202eb"]
)
def test_a_message_cannot_forge_a_line(text: str) -> None:
    (line,) = _lines("text", _at(0, "said %s", text, about=text))
    assert line.isprintable()
    (line,) = _lines("json", _at(0, "said %s", text, about=text))
    assert json.loads(line)["message"] == f"said {text}"


def test_a_repeated_failure_is_logged_once_in_a_while_and_counted() -> None:
    failures = [_at(10 * n, "%s; retrying in %.0f s", "no answer", 5.0 + n) for n in range(100)]
    lines = _lines("text", *failures)
    assert [line.partition("x: ")[2] for line in lines] == [
        "no answer; retrying in 5 s",
        "no answer; retrying in 65 s repeated=59",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(_at(0, "%s", "no answer"), _at(1, "%s", "key refused"), id="another reason"),
        pytest.param(_at(0, "a %s", "x"), _at(1, "b %s", "x"), id="another message"),
        pytest.param(_at(0, "skipped %s", "PROP-1"), _at(1, "skipped %s", "PROP-2"), id="another thing"),
        pytest.param(
            _record("x", error=ValueError("a")), _record("x", error=ValueError("b")), id="another error"
        ),
    ],
)
def test_other_failures_are_logged(one: logging.LogRecord, other: logging.LogRecord) -> None:
    assert len(_lines("json", one, other)) == 2


def test_numbers_in_an_error_do_not_make_it_another() -> None:
    waits = [_at(n, "%s", Throttled("the projects", 30 - n)) for n in range(5)]
    assert len(_lines("text", *waits)) == 1


def test_a_wrong_configuration_is_logged_each_time() -> None:
    records = [_at(n, "not loaded: %s", "x: is wrong") for n in range(3)]
    for record in records:
        record.name = "icsfeed.config"
    assert len(_lines("text", *records)) == 3


def test_events_that_are_not_failures_are_always_logged() -> None:
    record = _at(0, "answered")
    record.levelno = logging.INFO
    assert len(_lines("text", record, record, record)) == 3


def test_the_level_is_set_and_urls_of_libraries_are_not_logged() -> None:
    with _logged("warning") as stream:
        logging.getLogger("icsfeed.x").info("quiet")
        logging.getLogger("icsfeed.x").warning("loud")
    with _logged("debug") as debug:
        logging.getLogger("httpx").info("HTTP Request: GET https://plane.example.com/api/v1/secret")
        logging.getLogger("uvicorn.access").info("GET /feeds/...")
    assert "quiet" not in stream.getvalue()
    assert stream.getvalue().endswith(" WARNING icsfeed.x: loud\n")
    assert debug.getvalue() == ""


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="LOUD"), _logged("loud"):
        pass


@pytest.mark.parametrize("kind", ["api_key", "token"])
async def test_a_running_server_never_logs_a_token_or_a_secret(kind: str) -> None:
    config = settings()
    keys = {"api_key": None, kind: Secret(API_KEY)}
    config = replace(config, workspaces={"demo": replace(config.workspaces["demo"], **keys)})
    with _logged("DEBUG", *secrets_of(config)) as stream:
        async with serving(config, edition=COMMERCIAL) as world:
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
    assert "retrying in" in text
    assert "RuntimeError: key ***, secret ***, link /feeds/icsf_***/property.ics" in text
    tokens = [link["ics"].split("/")[4] for link in links.values() if "icsf_" in link["ics"]]
    assert len(tokens) > 10
    for secret in (API_KEY, SECRET, *tokens):
        assert secret not in text
