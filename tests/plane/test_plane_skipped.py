"""One bad issue is skipped, logged by its id and counted; it never takes the others with it."""

import json
import logging

import httpx
import pytest

from icsfeed.errors import BadAnswer
from icsfeed.plane.incremental import Rows
from plane.test_plane_world import WEB, ScriptedPlane, always, connect, page, row, rows

pytestmark = pytest.mark.anyio

WORDS = "Confidential merger"


async def read(*found: object) -> Rows:
    return await connect(always(httpx.Response(200, json=page(found)))).issues(WEB)


@pytest.mark.parametrize(
    "bad",
    [
        row(2, target_date=WORDS, name=WORDS),
        row(2, sequence_id=WORDS),
        {"id": row(2)["id"]},
        {**row(2), "id": None},
        {},
        None,
        WORDS,
        [row(2)],
    ],
    ids=["date", "number", "only an id", "no id", "nothing", "null", "text", "a list"],
)
async def test_a_bad_issue_is_skipped_logged_and_counted(
    bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "icsfeed.plane"):
        found = await read(row(1), bad, row(3))

    assert [issue.sequence_id for issue in found.items] == [1, 3]
    assert (found.unreadable, found.total) == (1, 3)
    (line,) = caplog.messages
    known = isinstance(bad, dict) and bad.get("id")
    assert "WEB" in line
    assert (known or "one without an id") in line
    assert WORDS not in line


async def test_two_issues_without_an_id_are_no_shifted_pages() -> None:
    found = await read(row(1), {}, {})

    assert (len(found.items), found.unreadable) == (1, 2)


async def test_bad_issues_on_several_pages_are_all_counted() -> None:
    issues = rows(250)
    for number in (0, 120, 249):
        issues[number]["target_date"] = "?"

    found = await connect(ScriptedPlane(issues, largest=100)).issues(WEB)

    assert (len(found.items), found.unreadable, found.total) == (247, 3, 250)


async def test_drafts_and_archived_issues_are_left_out_and_not_counted_as_bad() -> None:
    found = await read(row(1), row(2, is_draft=True), row(3, archived_at="2026-11-01T00:00:00Z"))

    assert (len(found.items), found.unreadable, found.total) == (1, 0, 3)


async def test_a_lone_bad_issue_is_only_skipped() -> None:
    found = await read(row(1, target_date="?"))

    assert (found.items, found.unreadable, found.total) == ((), 1, 1)
    assert found.skipped == {row(1)["id"]}


async def test_a_list_of_nothing_but_bad_issues_is_a_bad_answer_and_no_empty_project() -> None:
    with pytest.raises(BadAnswer, match="none of 2 objects can be understood: target_date"):
        await read(row(1, target_date="?"), row(2, target_date="?"))


async def test_half_characters_and_nuls_do_not_take_a_page_down() -> None:
    found = json.dumps(page([row(1, name="a\ud800b"), row(2, name="a\0b"), row(3)]))
    answer = httpx.Response(200, headers={"content-type": "application/json"}, content=found)
    assert b"\\ud800" in answer.content

    read = await connect(always(answer)).issues(WEB)

    assert [issue.name for issue in read.items] == ["a\ud800b", "a\0b", "Issue 3"]


async def test_a_bad_state_is_skipped_too(caplog: pytest.LogCaptureFixture) -> None:
    states = [{"id": "a", "name": "Todo", "group": "unstarted"}, {"name": "nameless"}]

    found = await connect(always(httpx.Response(200, json=page(states)))).states(WEB)

    assert [state.id for state in found] == ["a"]
    assert "the states of WEB" in caplog.text
