"""Chance as an attacker: whatever is sent, the server refuses it in its own words and goes on."""

import hmac
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest
import yaml
from attack_world import HOOK, HOST, Answer, Target
from attack_world import target as under_attack
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from icsfeed.config.file import load
from icsfeed.config.schema import Config
from icsfeed.errors import ConfigError

FUZZ = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARAMETERS = (
    *("priority", "state", "label", "assignee", "cycle", "module", "from", "to"),
    *("days", "component", "alarm", "done", "dates", "x"),
)
LETTERS = st.characters(codec="utf-8")


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with under_attack() as made:
        yield made


def assert_refused_well(answer: Answer, *statuses: int) -> None:
    """One of these statuses; and text for people, or our JSON, that says nothing of the inside."""
    assert answer.status in statuses, answer
    assert b"Traceback" not in answer.body
    assert b"icsf_" not in answer.body
    assert "set-cookie" not in answer.headers
    if answer.headers["content-type"].startswith("application/json"):
        assert json.loads(answer.body)["status"] == "error"


@FUZZ
@given(token=st.binary(min_size=1, max_size=200), file=st.text(LETTERS, min_size=1, max_size=60))
def test_no_token_that_is_made_up_opens_a_feed(target: Target, token: bytes, file: str) -> None:
    target.world.clock.move(1)
    path = f"/feeds/{quote_from_bytes(token, safe='')}/{quote(file, safe='')}"
    assert_refused_well(target.ask("GET", path), 404)


@FUZZ
@given(st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26))
def test_no_token_of_the_right_form_opens_a_feed(target: Target, letters: str) -> None:
    target.world.clock.move(1)  # or the limit of an address would be all that is tested
    assume(f"icsf_{letters}" != target.token("property"))
    assert_refused_well(target.ask("GET", f"/feeds/icsf_{letters}/property.ics"), 404)


@FUZZ
@given(st.lists(st.tuples(st.sampled_from(PARAMETERS), st.text(LETTERS, max_size=40)), max_size=6))
def test_a_query_is_used_or_refused_by_the_name_of_its_parameter(
    target: Target, pairs: list[tuple[str, str]]
) -> None:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    answer = target.ask("GET", f"/feeds/public.ics?{query}")
    if answer.status == 200:
        assert answer.body.endswith(b"END:VCALENDAR\r\n")
    else:
        assert_refused_well(answer, 400)
        assert json.loads(answer.body)["details"]["field"] in dict(pairs)


@FUZZ
@given(st.binary(max_size=120).filter(lambda raw: not set(raw) & set(b" \r\n\x00")))
def test_a_path_of_any_bytes_is_answered(target: Target, path: bytes) -> None:
    answer = target.send(b"GET /" + path + f" HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    assert answer.status in (200, 400, 401, 404, 405), answer


NAMES = st.sampled_from(
    [
        *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "If-None-Match"),
        *("If-Modified-Since", "If-Match", "Range", "Origin", "Referer", "User-Agent", "Forwarded"),
        *("X-Forwarded-For", "X-Forwarded-Host", "Content-Type", "Expect", "Sec-Fetch-Site", "Upgrade"),
    ]
)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=200)


@FUZZ
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_headers_never_change_more_than_the_form_of_an_answer(
    target: Target, headers: list[tuple[str, str]]
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    raw = f"GET /feeds/public.ics HTTP/1.1\r\nHost: {HOST}\r\n{lines}Connection: close\r\n\r\n"
    answer = target.send(raw.encode("latin-1"))
    assert answer.status in (200, 304, 400), answer
    if answer.status == 400:
        assert answer.body == b"Invalid HTTP request received."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["event", "action", "data", "id", "project", "webhook_id", "x"]), inner
        )
    ),
    max_leaves=20,
)


@FUZZ
@given(
    body=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()), signed=st.booleans()
)
def test_a_webhook_of_any_bytes_is_taken_when_it_is_signed(target: Target, body: bytes, signed: bool) -> None:
    target.world.clock.move(1)  # or the limit of an address would be all that is tested
    signature = hmac.new(HOOK.encode(), body, "sha256").hexdigest() if signed else "0" * 64
    headers = f"Host: {HOST}\r\nX-Plane-Signature: {signature}\r\n"
    answer = target.ask("POST", "/webhooks/plane", headers, body)
    if not signed:
        assert_refused_well(answer, 401)
    else:
        assert answer.status == 200
        assert json.loads(answer.body)["status"] == "processed"


def test_after_all_that_the_server_serves(target: Target) -> None:
    assert target.ask("GET", f"/feeds/{target.token('property')}/property.ics").status == 200


# Configuration

SOUND = {
    "secret": "a-secret-of-more-than-thirty-two-letters",
    "workspaces": {"acme": {"url": "https://plane.example.com", "api_key": "key"}},
    "feeds": {"all": {"everything": True}},
}
PATHS = [(key,) for key in Config.__struct_fields__] + [
    ("workspaces", "acme", "url"),
    ("feeds", "all", "where"),
]


SECRETS = [("secret",), ("admin_token",), ("store",), ("workspaces", "acme", "api_key")]

BOMB = "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


def loaded(text: str, folder: Path) -> Config | None:
    """The configuration in a text; None where every problem was reported."""
    (folder / "feeds.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(ConfigError):
        return load(folder / "feeds.yaml", {}, ["UTC"])
    return None


@FUZZ
@given(st.text(max_size=300) | st.text("{}[]:,-&*!|>'\"%@`#?\n a1$", max_size=100))
def test_a_configuration_of_any_text_is_loaded_or_refused(tmp_path: Path, text: str) -> None:
    found = loaded(text, tmp_path)
    assert found is None or isinstance(found, Config)


@FUZZ
@given(st.sampled_from(PATHS), JSON)
def test_any_value_at_any_key_is_taken_or_refused(
    tmp_path: Path, path: tuple[str, ...], value: object
) -> None:
    found = loaded(changed(path, value), tmp_path)
    assert found is None or isinstance(found, Config)


def changed(path: tuple[str, ...], value: object) -> str:
    """The sound configuration with another value there."""
    data = json.loads(json.dumps(SOUND))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    stream = io.StringIO()
    yaml.safe_dump(data, stream, allow_unicode=True)
    return stream.getvalue()


@FUZZ
@given(st.sampled_from(SECRETS), st.sampled_from(["{}", "{}\n", " ", "[{}]", "\x00{}", "{} \ud800"]))
def test_no_secret_that_is_refused_is_repeated(tmp_path: Path, path: tuple[str, ...], form: str) -> None:
    value = form.format("wonderland")
    for given_as in (value, [value], {value: value}):
        (tmp_path / "feeds.yaml").write_bytes(changed(path, given_as).encode("utf-8", "surrogatepass"))
        said = ""
        try:
            load(tmp_path / "feeds.yaml", {}, ["UTC"])
        except ConfigError as error:
            said = str(error)
        assert "wonderland" not in said


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="a bomb of aliases"),
        pytest.param("a: &a [*a]", id="an alias that holds itself"),
        pytest.param("[" * 5_000, id="nested without end"),
        pytest.param("x: !!python/object/apply:os.system ['true']", id="code in a tag"),
        pytest.param("x: !!python/name:os.system", id="a function in a tag"),
        pytest.param("secret: ${A}\nsecret: ${B}", id="one key twice"),
        pytest.param("secret: ${${A}}", id="a variable in a variable"),
        pytest.param("workspaces: {a: {api_key_file: /dev/zero, url: 'https://x'}}", id="a device as secret"),
        pytest.param("workspaces: {a: {api_key_file: /, url: 'https://x'}}", id="a folder as secret"),
        pytest.param("feeds: {'../x': {everything: true}}", id="a feed whose name is a path"),
        pytest.param("feeds: {'x\\r\\nSet-Cookie': {everything: true}}", id="a feed whose name is a header"),
        pytest.param("public_url: 'https://user:password@x'", id="a password in the address"),
        pytest.param("public_url: 'javascript:alert(1)'", id="a script as address"),
        pytest.param("cors: ['https://x', '*']", id="every origin and one more"),
        pytest.param("x" * 2_000_000, id="two megabytes"),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "feeds.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "feeds.yaml", {"A": "first-secret", "B": "second-secret"}, ["UTC"])
    assert "Traceback" not in str(error.value)
    assert "password@" not in str(error.value)
    assert "-secret" not in str(error.value)
