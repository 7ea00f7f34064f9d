"""What several servers answered, and what must never be in it: a history goes in, violations come out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from icsfeed.plane.rate_limit import WINDOW_SECONDS

Item = tuple[str, str, date]
"""UID, the version in the summary, DTSTART."""
Part = tuple[Item | None, str, int, str]
"""An event: the item when it is of an issue, LAST-MODIFIED, SEQUENCE, and a digest of all the rest."""
Past = Mapping[str, Sequence[tuple[float, frozenset[Item]]]]
"""The states of each project, and since when it was so."""


CLOCK_TOLERANCE = 1.0
"""Retry-After has whole seconds."""


class Answer(NamedTuple):
    """One answer of a server, whose `life` ends when it is killed. Times are seconds of the history.

    `order`: the numbers of asking and answering among all that was asked and answered, as times are coarse.
    """

    replica: str
    life: int
    feed: str
    asked: float
    answered: float
    order: tuple[int, int]
    status: int
    etag: str = ""
    last_modified: str = ""
    parts: Mapping[str, Part] = {}
    repeated: tuple[str, ...] = ()


class Read(NamedTuple):
    """One request to Plane for the issues of a project; `is_locked`: under a lock in Redis."""

    replica: str
    project: str
    sent: float
    answered: float
    is_locked: bool


class Request(NamedTuple):
    """One request to Plane. `wait`: the seconds of Retry-After, where the limit of the key refused it."""

    replica: str
    life: int
    sent: float
    answered: float
    wait: float | None = None


class History(NamedTuple):
    """Everything that happened. `feeds`: the projects of each feed. `troubled`: when Redis was away."""

    past: Past
    feeds: Mapping[str, Sequence[str]]
    answers: Sequence[Answer]
    reads: Sequence[Read]
    requests: Sequence[Request]
    troubled: Sequence[tuple[float, float]]
    bound: float
    """Seconds after which every replica shows what one of them has shown, and what Plane has."""
    end: float


def violations(history: History) -> Iterator[str]:
    """Yield what a reader, or Plane, should never have seen."""
    yield from _bodies(history)
    yield from _reads(history)
    yield from _refusals(history)
    answers = sorted((each for each in history.answers if each.status != 503), key=lambda each: each.order)
    for feed, projects in history.feeds.items():
        of_feed = [answer for answer in answers if answer.feed == feed]
        for project in projects:
            yield from _states(history, project, of_feed)
        yield from _revisions(history, of_feed)


def _bodies(history: History) -> Iterator[str]:
    """Each answer: not empty, no item twice, none of another project; one body for an ETag."""
    owner = {item[0]: key for key, past in history.past.items() for _, state in past for item in state}
    seen: dict[tuple[str, str], Mapping[str, Part]] = {}
    served: set[tuple[str, int, str]] = set()
    for answer in sorted(history.answers, key=lambda each: each.order[1]):
        at = f"{answer.replica}.{answer.life} {answer.feed} at {answer.answered:.1f}"
        life = (answer.replica, answer.life, answer.feed)
        if answer.status not in (200, 304):
            if answer.status != 503 or life in served:
                yield f"{at}: status {answer.status}"
            continue
        served.add(life)
        if not answer.parts:
            yield f"{at}: empty"
        yield from (f"{at}: {uid} twice" for uid in answer.repeated)
        items = [item for item, *_ in answer.parts.values() if item]
        yield from (
            f"{at}: {i[0]} of another" for i in items if owner[i[0]] not in history.feeds[answer.feed]
        )
        if seen.setdefault((answer.feed, answer.etag), answer.parts) != answer.parts:
            yield f"{at}: another body with the same ETag"


def _reads(history: History) -> Iterator[str]:
    """One reader of a project at a time; without Redis, each reads by itself."""
    last: dict[str, Read] = {}
    reads = (each for each in history.reads if each.is_locked or not _is_troubled(history, each.sent))
    for read in sorted(reads, key=lambda each: each.sent):
        before = last.get(read.project)
        if before and before.answered > read.sent and before.replica != read.replica:
            yield f"{read.replica} and {before.replica} read {read.project} at once, at {read.sent:.1f}"
        if not before or before.answered < read.answered:
            last[read.project] = read


def _refusals(history: History) -> Iterator[str]:
    """A server that is refused leaves Plane alone; once in a window, unless Redis is away."""
    requests = history.requests
    for refused in (each for each in requests if each.wait is not None):
        who = (refused.replica, refused.life)
        own = [each for each in requests if (each.replica, each.life) == who and each is not refused]
        until = refused.answered + (refused.wait or 0.0) - CLOCK_TOLERANCE
        if early := [each.sent for each in own if refused.answered < each.sent < until]:
            yield f"{who} was refused until {until:.1f}, and sent a request at {early[0]:.1f}"
        later = [each.sent for each in own if each.wait is not None and each.sent > refused.answered]
        if (
            later
            and not _is_troubled(history, min(later))
            and min(later) < refused.answered + WINDOW_SECONDS - CLOCK_TOLERANCE
        ):
            yield f"{who} was refused at {refused.answered:.1f} and at {min(later):.1f}"


def _states(history: History, project: str, answers: Sequence[Answer]) -> Iterator[str]:
    """Every answer shows a state that the project had, and none older than one shown before."""
    past = history.past[project]
    ends = [start for start, _ in past[1:]] + [history.end]
    uids = {item[0] for _, state in past for item in state}
    shown: list[tuple[Answer, int]] = []
    for answer in answers:
        at = f"{answer.replica}.{answer.life} {answer.feed} at {answer.asked:.1f}: {project}"
        state = {item for item, *_ in answer.parts.values() if item and item[0] in uids}
        numbers = [number for number, (_, was) in enumerate(past) if was == state]
        if not numbers:
            yield f"{at} was never like this"
            continue
        least = max((number for before, number in shown if _follows(history, answer, before)), default=0)
        later = [number for number in numbers if number >= least]
        if not later:
            yield f"{at} is state {numbers[-1]} of {ends[numbers[-1]]:.1f}, and {least} was shown before"
        elif not _is_troubled(history, answer.asked) and ends[numbers[-1]] < answer.asked - history.bound:
            yield f"{at} is {answer.asked - ends[numbers[-1]]:.1f} s old"
        shown.append((answer, later[0] if later else least))


def _revisions(history: History, answers: Sequence[Answer]) -> Iterator[str]:
    """LAST-MODIFIED and SEQUENCE never fall, and LAST-MODIFIED grows where anything else differs."""
    for number, answer in enumerate(answers):
        # Those of the same life, the newest ones: what is older was compared with those.
        earlier = [before for before in answers[:number] if _follows(history, answer, before)]
        for before in earlier[-20:]:
            at = f"{answer.replica}.{answer.life} {answer.feed} at {answer.asked:.1f}"
            if _moment(answer.last_modified) < _moment(before.last_modified):
                yield f"{at}: Last-Modified fell from {before.last_modified} to {answer.last_modified}"
            for uid, part in answer.parts.items():
                _, modified, sequence, content = part
                _, earlier_modified, lower, was = before.parts.get(uid, part)
                if modified < earlier_modified or sequence < lower:
                    yield f"{at}: {uid} fell from {earlier_modified}, {lower} to {modified}, {sequence}"
                elif was != content and modified == earlier_modified:
                    yield f"{at}: {uid} differs at the same LAST-MODIFIED"


def _follows(history: History, answer: Answer, before: Answer) -> bool:
    """Whether `answer` must not be older than `before`.

    From the same life of a server: always. From another: after the bound, and while Redis is there.
    """
    if (answer.replica, answer.life) == (before.replica, before.life):
        return before.order[1] < answer.order[0]
    return before.answered <= answer.asked - history.bound and not _is_troubled(history, answer.asked)


def _is_troubled(history: History, at: float) -> bool:
    """Whether Redis was away not long before."""
    return any(start - history.bound < at < end + 2 * history.bound for start, end in history.troubled)


def _moment(text: str) -> float:
    return parsedate_to_datetime(text).timestamp() if text else 0.0


def first(found: Iterable[str], count: int = 5) -> list[str]:
    """Return some of them: one fault is often seen many times."""
    return [text for text, _ in zip(found, range(count), strict=False)]
