"""Judge whether calendar apps can read a feed: from its responses to a verdict for each app."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct, to_builtins

from icsfeed.doctor.body import read_body
from icsfeed.doctor.clients import CLIENTS, EVERYBODY
from icsfeed.doctor.content_rules import about_content, about_form, about_two
from icsfeed.doctor.http_rules import Remark, Weight, about_answers, about_place, about_talk
from icsfeed.doctor.observations import Observations

Word: TypeAlias = Literal["works", "limited", "fails"]

WORDS: Mapping[Weight, Word] = {"fails": "fails", "limits": "limited", "note": "works"}
"""What a remark makes of an app, the most serious first."""
WORKS, PARTLY, UNREACHABLE, NO_CALENDAR = 0, 4, 69, 76
"""Exit codes of `icsfeed doctor`."""


class ClientRemark(Struct, frozen=True):
    """A remark for one app."""

    weight: Weight
    text: str


class Verdict(Struct, frozen=True):
    """Whether one app can read the feed, and why: the most serious reason first."""

    app: str
    word: Word
    reasons: tuple[ClientRemark, ...]


def judge(seen: Observations) -> Sequence[Verdict]:
    """Return a verdict for each app of clients.py, in its order."""
    remarks = list(_remarks(seen))
    verdicts = []
    for client in CLIENTS:
        own = dict.fromkeys(
            ClientRemark(remark.weight, remark.text) for remark in remarks if client.name in remark.apps
        )
        reasons = tuple(sorted(own, key=lambda remark: list(WORDS).index(remark.weight)))
        verdicts.append(Verdict(client.name, WORDS[reasons[0].weight] if reasons else "works", reasons))
    return verdicts


def is_readable(seen: Observations) -> bool:
    """Return whether a plain request gets a calendar at all."""
    return seen.first.is_good and seen.first.is_calendar


def _remarks(seen: Observations) -> Iterator[Remark]:
    yield from about_place(seen)
    yield from about_answers(seen)
    yield from about_talk(seen)
    if not is_readable(seen):
        return
    if not seen.first.is_whole:
        text = f"it is larger than {len(seen.first.body):,} bytes: not examined further"
        yield Remark("limits", EVERYBODY, text)
        return
    body = read_body(seen.first.body)
    yield from about_form(body, len(seen.first.body))
    yield from about_content(body)
    if seen.again.is_good:
        same = seen.first.body == seen.again.body
        yield from about_two(body, read_body(seen.again.body), same_bytes=same)


def severity(seen: Observations, verdicts: Sequence[Verdict]) -> int:
    """Return the exit code: whether there is a response, a calendar in it, and no app that fails."""
    if not seen.first.status:
        return UNREACHABLE
    if not is_readable(seen):
        return NO_CALENDAR
    return PARTLY if any(verdict.word == "fails" for verdict in verdicts) else WORKS


def report(seen: Observations, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the status and size of the feed and the verdicts, for scripts."""
    first = seen.first
    feed = {"status": first.status, "bytes": len(first.body)} if first.status else {}
    return {"feed": feed, "apps": to_builtins(verdicts)}
