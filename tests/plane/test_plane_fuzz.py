"""Whatever answers: the client raises PlaneError and nothing else, or gives what can be kept and shown."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from icsfeed.errors import PlaneError
from icsfeed.model import Issue, Project
from icsfeed.plane import decode as wire
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.shapes import Unreadable

pytestmark = pytest.mark.anyio

WEB = Project("0dd17da7-1669-4f23-be89-0cc025bca15b", "WEB", "Website")
ROW = {
    "id": "00000000-0000-4000-8000-000000000001",
    "name": "An issue",
    "sequence_id": 1,
    "created_at": "2026-11-21T08:00:00Z",
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PAGES = st.fixed_dictionaries(
    {},
    optional={
        "results": st.lists(VALUES | st.just(ROW), max_size=3) | VALUES,
        "next_page_results": st.booleans() | VALUES,
        "next_cursor": st.sampled_from(["1000:1:0", "", "0:0:0", "\u0661:1:0"]) | VALUES,
        "total_results": st.integers(-1, 3) | VALUES,
        "detail": VALUES,
        "error": VALUES,
    },
)
BODIES = st.binary() | (PAGES | VALUES).map(lambda value: json.dumps(value).encode())
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "text/html", "JSON", ""]),
        "content-encoding": st.sampled_from(["gzip", "deflate", "identity", "x"]),
        "location": st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode("latin-1")),
        "retry-after": st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
        "date": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    },
)
STATUSES = st.sampled_from([200, 200, 200, 204, 301, 302, 304, 308, 400, 401, 403, 404, 405, 429, 500, 503])


class Raw(httpx.AsyncByteStream):
    """A body that is sent as it is, compressed or not as its headers may say."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def saying(status: int, headers: dict[str, str], body: bytes) -> PlaneClient:
    def handler(_: httpx.Request) -> httpx.Response:
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        return httpx.Response(status, headers=raw, stream=Raw(body))

    return PlaneClient("https://plane.test", "acme", client=open_client("key", httpx.MockTransport(handler)))


async def everything(plane: PlaneClient) -> None:
    for read in (
        plane.projects(),
        plane.issues(WEB),
        plane.states(WEB),
        plane.members([WEB]),
        plane.periods(WEB, "cycle"),
        plane.whoami(),
        plane.version(),
    ):
        with suppress(PlaneError):
            assert msgpack.encode(await read), "it can be stored"


@settings(deadline=None)
@given(body=BODIES)
async def test_any_body_of_a_good_answer_is_read_or_a_plane_error(body: bytes) -> None:
    await everything(saying(200, {"content-type": "application/json"}, body))


@settings(deadline=None)
@given(status=STATUSES, headers=HEADERS, body=BODIES)
async def test_any_answer_is_read_or_a_plane_error(status: int, headers: dict[str, str], body: bytes) -> None:
    await everything(saying(status, headers, body))


def issue(**fields: object) -> Issue:
    found = wire.issue({**ROW, **fields}, WEB)
    assert found is not None
    return found


@settings(deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(["state", "parent", "assignees", "labels", "sequence_id"]), VALUES)
)
def test_any_issue_that_is_understood_can_be_stored(fields: dict[str, object]) -> None:
    try:
        found = issue(**fields)
    except Unreadable:
        return
    assert msgpack.decode(msgpack.encode(found), type=Issue) == found


@pytest.mark.parametrize("number", [-1, 2**63, 10**30, 1.0, True, "1", None], ids=str)
def test_a_number_that_no_store_can_hold_is_unreadable(number: object) -> None:
    with pytest.raises(Unreadable, match="sequence_id is not a number"):
        issue(sequence_id=number)


@pytest.mark.parametrize("link", ["\ud800", "a\nb", "../x", "", "x" * 65, {"id": "a b"}, 7, [], {}], ids=repr)
def test_a_link_that_is_no_id_is_no_link(link: object) -> None:
    found = issue(state=link, parent=link, assignees=[link, "a"], labels=[link])

    assert (found.state, found.parent, found.assignees, found.labels) == (None, None, ("a",), ())


def test_a_person_or_label_that_is_listed_twice_counts_once() -> None:
    found = issue(assignees=["b", "a", {"id": "b"}], labels=["x", "x"])

    assert (found.assignees, found.labels) == (("b", "a"), ("x",))


@pytest.mark.parametrize("count", [True, -1, 2**64, 1.5, "3", None], ids=str)
def test_a_count_that_is_none_is_left_out_of_a_cycle(count: object) -> None:
    found = wire.period({**ROW, "total_issues": count, "completed_issues": count}, WEB, "cycle")

    assert found is not None
    assert (found.total, found.done) == (None, None)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("v1.3.1", "v1.3.1"),
        (" v1\r\n", "v1"),
        ("\x1b[31mv1", "[31mv1"),
        ("", None),
        ("x" * 99, "x" * 39 + "…"),
    ],
)
def test_a_version_is_short_and_safe_to_show(said: str, shown: str | None) -> None:
    assert wire.version({"instance": {"current_version": said}}) == shown
