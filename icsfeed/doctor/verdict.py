"""What calendar apps will make of a feed: from what was seen of it to a verdict for each app."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct, to_builtins

from icsfeed.doctor.body import read_body
from icsfeed.doctor.clients import CLIENTS, EVERYBODY
from icsfeed.doctor.content_rules import about_content, about_form, about_two
from icsfeed.doctor.http_rules import Remark, Weight, about_answers, about_place, about_talk, is_calendar
from icsfeed.doctor.observations import FeedResponse, NoResponse, Observations

Word: TypeAlias = Literal["works", "limited", "fails"]

WORKS, PARTLY, UNREACHABLE, NO_CALENDAR = 0, 4, 69, 76
"""Exit codes of `icsfeed doctor`."""


class ClientRemark(Struct, frozen=True):
    """A remark for one app."""

    weight: Weight
    text: str


class Verdict(Struct, frozen=True):
    """What one app will make of the feed, and why: the heaviest reason first."""

    app: str
    word: Word
    reasons: tuple[ClientRemark, ...]


def judge(seen: Observations) -> Sequence[Verdict]:
    """A verdict for each app of clients.py, in its order."""
    remarks = list(_remarks(seen))
    return [_verdict(client.name, remarks) for client in CLIENTS]


def is_readable(seen: Observations) -> bool:
    """Whether there is a calendar at all for whoever asks plainly."""
    return isinstance(seen.first, FeedResponse) and seen.first.status == 200 and is_calendar(seen.first)


def _verdict(app: str, remarks: Sequence[Remark]) -> Verdict:
    mine = (remark for remark in remarks if app in remark.apps)
    own = dict.fromkeys(ClientRemark(remark.weight, remark.text) for remark in mine)
    weights: tuple[Weight, ...] = ("fails", "limits", "note")
    reasons = tuple(sorted(own, key=lambda said: weights.index(said.weight)))
    words: dict[str, Word] = {"fails": "fails", "limits": "limited"}
    return Verdict(app, words.get(reasons[0].weight, "works") if reasons else "works", reasons)


def _remarks(seen: Observations) -> Iterator[Remark]:
    yield from about_place(seen)
    yield from about_answers(seen)
    yield from about_talk(seen)
    if not (isinstance(seen.first, FeedResponse) and is_readable(seen)):
        return
    if not seen.first.is_whole:
        text = f"it is larger than {len(seen.first.body):,} bytes: not looked at further"
        yield Remark("limits", EVERYBODY, text)
        return
    body = read_body(seen.first.body)
    yield from about_form(body, len(seen.first.body))
    yield from about_content(body)
    if isinstance(seen.again, FeedResponse) and seen.again.status == 200:
        same = seen.first.body == seen.again.body
        yield from about_two(body, read_body(seen.again.body), same_bytes=same)


def severity(seen: Observations, verdicts: Sequence[Verdict]) -> int:
    """The exit code: whether there is an answer, a calendar in it, and no app that fails on it."""
    if isinstance(seen.first, NoResponse):
        return UNREACHABLE
    if not is_readable(seen):
        return NO_CALENDAR
    return PARTLY if any(verdict.word == "fails" for verdict in verdicts) else WORKS


def report(seen: Observations, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """For scripts: the feed in a few words, and the verdicts."""
    first = seen.first
    found = {"status": first.status, "bytes": len(first.body)} if isinstance(first, FeedResponse) else {}
    return {"feed": found, "apps": to_builtins(verdicts)}
