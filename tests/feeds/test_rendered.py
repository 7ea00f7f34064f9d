"""Feeds as bytes, with ETag and Last-Modified: a pure function of data and history (docs/mapping.md)."""

import gzip
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import NOW, UPDATED, WEB, component, issue, parsed, snapshot, unfolded, whole
from msgspec.structs import replace

from icsfeed.cache.revisions import History, styled_since
from icsfeed.feeds.mapping import Style
from icsfeed.feeds.rendered import (
    PIECE,
    Rendered,
    RenderedComponent,
    RenderedIssues,
    digest,
    parts,
    render,
    render_dated,
)
from icsfeed.ics.component import Component
from icsfeed.ics.write import CLOSING, Header, write

HEADER = Header(name="Property", refresh=3600)
ONE, TWO = component(issue(1)), component(issue(2))
HOUR = timedelta(hours=1)


def rendered(
    *components: Component, history: History | None = None, style: str = "a", now: datetime = NOW
) -> tuple[Rendered, History]:
    return render(HEADER, parts(components), history, style, now)


@given(st.permutations([component(issue(n)) for n in range(5)]), st.integers(0, 10**6))
def test_the_same_items_give_the_same_bytes_in_any_order_at_any_time(
    components: list[Component], seconds: int
) -> None:
    again = rendered(*components, now=NOW + timedelta(seconds=seconds))
    assert again == rendered(*(component(issue(n)) for n in range(5)))


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_a_feed_is_its_components_under_its_header(one: set[int], other: set[int]) -> None:
    history = None
    for numbers in (one, other, one):
        items = sorted((component(issue(n)) for n in numbers), key=lambda item: item.sort_key)
        made, history = render(HEADER, parts(items), history, "a", NOW)
        header = replace(HEADER, last_modified=made.last_modified)
        assert made.body == whole(header, map(write, items))
        assert b"".join(made.pieces()) == made.body
        assert made.size == len(made.body)
        assert gzip.decompress(made.compressed()) == made.body


@pytest.mark.parametrize("issues", [0, 10, 2_000])
def test_pieces_are_about_as_large_as_is_said(issues: int) -> None:
    made, _ = rendered(*(component(issue(n, text="word " * 50)) for n in range(issues)))
    *most, last = map(len, made.pieces())
    assert all(PIECE <= size < PIECE + 2_000 for size in most)
    assert 0 < last < PIECE + 2_000


def test_feeds_share_the_bytes_of_their_components() -> None:
    snap = snapshot(issue(1), issue(2))
    made = RenderedIssues(snap, Style(web=WEB))
    shared = [part for item in snap.issues.values() for part in made.of(item)]
    one, other = (render_dated(replace(HEADER, name=name), shared, NOW) for name in ("one", "other"))
    assert [id(part.octets) for part in one.components] == [id(part.octets) for part in other.components]


@given(st.lists(st.sets(st.integers(0, 60)), min_size=2, max_size=4))
def test_etags_are_the_same_when_bodies_are_and_only_then(feeds: list[set[int]]) -> None:
    made = [rendered(*(component(issue(n)) for n in numbers))[0] for numbers in (*feeds, feeds[0])]
    bodies = {one.body: one.etag for one in made}
    assert len(set(bodies.values())) == len(bodies)
    assert all(bodies[one.body] == one.etag for one in made)
    assert all(re.fullmatch(r'"[0-9a-f]{32}"', one.etag) for one in made)


def test_the_first_rendering_counts_from_the_newest_revision() -> None:
    newer = component(issue(2, updated=UPDATED + HOUR + timedelta(microseconds=5)))
    made, history = rendered(ONE, newer)
    assert made.last_modified == history.changed == UPDATED + HOUR
    assert "LAST-MODIFIED:20261120T103000Z" in unfolded(made.body)[:10]


def test_an_empty_feed_has_a_date_and_a_body() -> None:
    made, _ = rendered()
    assert made.last_modified == datetime(2000, 1, 1, tzinfo=UTC)
    assert parsed(made.body).events == []


def test_nothing_moves_while_nothing_changes() -> None:
    first, history = rendered(ONE, TWO)
    again, later = rendered(TWO, ONE, history=history, now=NOW + HOUR)
    assert (again, later) == (first, history)


def test_last_modified_moves_when_an_issue_disappears_or_comes_back() -> None:
    first, history = rendered(ONE, TWO)
    without, second = rendered(ONE, history=history, now=NOW)
    assert without.last_modified == NOW > first.last_modified
    back, _ = rendered(ONE, TWO, history=second, now=NOW + HOUR)
    assert back.last_modified == NOW + HOUR
    assert len({first.etag, without.etag, back.etag}) == 3


@pytest.mark.parametrize("lag", [timedelta(), timedelta(microseconds=900), timedelta(days=-400)])
def test_last_modified_moves_by_a_second_at_least_whatever_the_clock_says(lag: timedelta) -> None:
    _, history = rendered(ONE, TWO)
    changed, _ = rendered(ONE, history=history, now=history.changed + lag)
    assert changed.last_modified == history.changed + timedelta(seconds=1)


def test_the_header_counts_too() -> None:
    _, history = rendered(ONE)
    renamed, _ = render(replace(HEADER, name="x"), parts([ONE]), history, "a", NOW)
    assert renamed.last_modified == NOW


def test_last_modified_moves_when_the_style_does() -> None:
    _, history = rendered(ONE)
    assert styled_since(None, "b", NOW) is None
    assert styled_since(history, "a", NOW) is None
    since = styled_since(history, "b", NOW + timedelta(microseconds=7))
    assert since == NOW
    restyled = component(issue(1), since=since)
    made, second = rendered(restyled, history=history, style="b")
    assert (made.last_modified, second.styled, second.style) == (NOW, NOW, "b")
    assert (styled_since(second, "b", NOW + HOUR), styled_since(second, "a", NOW + HOUR)) == (NOW, NOW + HOUR)
    _, third = rendered(restyled, history=second, style="b", now=NOW + HOUR)
    assert third == second


@given(st.lists(st.sets(st.integers(0, 3)), max_size=6), st.lists(st.integers(-5, 5), min_size=6, max_size=6))
def test_last_modified_never_runs_backwards_and_moves_with_the_body(
    contents: list[set[int]], clock: list[int]
) -> None:
    made, history = rendered()
    for held, tick in zip(contents, clock, strict=False):
        items = [component(issue(n)) for n in held]
        new, history = rendered(*items, history=history, now=NOW + timedelta(seconds=tick))
        assert (new.body == made.body) == (new.last_modified == made.last_modified) == (new.etag == made.etag)
        assert new.last_modified >= made.last_modified
        made = new


def test_a_narrowed_feed_has_the_date_that_is_passed() -> None:
    made = render_dated(HEADER, parts([TWO, ONE]), NOW)
    assert made.last_modified == NOW
    assert [str(event["UID"]) for event in parsed(made.body).events] == [ONE.uid, TWO.uid]


def test_gzip_is_what_zlib_makes_of_the_body_and_holds_no_time() -> None:
    made, _ = rendered(*(component(issue(n)) for n in range(500)))
    assert gzip.decompress(made.compressed()) == made.body
    assert made.compressed()[4:8] == bytes(4)
    assert len(made.compressed()) == len(zlib.compress(made.body, 6, 31))


def test_an_etag_is_quoted_and_hangs_on_the_body_alone() -> None:
    made, _ = rendered(ONE)
    assert made.etag.startswith('"')
    assert made.etag.endswith('"')
    assert len(made.etag) == 34
    assert made.etag == render_dated(HEADER, parts([ONE]), made.last_modified).etag


def test_a_digest_of_settings_is_the_same_in_every_process() -> None:
    """One literal: a change of Style's fields shows every feed as revised once, so it must be meant."""
    assert digest(Style(web=WEB)) == "c5bde4128cc197e403bc021d64c3047bd26504bbeb3e0089072197c8f1295e4c"
    assert digest(Style(web=WEB)) != digest(Style(web=WEB, language="de"))
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})


def test_a_calendar_that_fills_its_last_piece_ends_without_an_empty_one() -> None:
    last = RenderedComponent("", NOW, b"x" * (PIECE - len(CLOSING)), b"")
    feed = Rendered(b"x" * PIECE, (last,), 2 * PIECE, '"a"', NOW)
    assert list(map(len, feed.pieces())) == [PIECE, PIECE]
    assert b"".join(feed.pieces()) == feed.body
