"""The corpus of the benchmarks: a workspace with long descriptions in many scripts.

Nothing in it is random, so that all runs measure the same.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from icsfeed.config.schema import Config, Feed
from icsfeed.demo.data import DemoData
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import FILLED, sample
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.calendar import Calendar, Day, FeedInput, calendar_of, style_of
from icsfeed.feeds.mapping import Style
from icsfeed.feeds.query import Query
from icsfeed.model import Issue, Project, Snapshot, View
from icsfeed.plane import decode as wire

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
ZONE = ZoneInfo("Europe/Berlin")
DESCRIPTION_BYTES = 2_048
"""Bytes of an issue's text, as UTF-8."""
FEED = Feed(everything=True, title="Everything")

_WORDS = (
    "the tenant of flat 3, says: water pressure; is low on Mondays, C:\\News\\2026 – see the report. "
    "Der Aufzug prüft sich nicht von selbst, größere Schäden melden wir übermorgen. "
    "Le chauffage du café façade côté rue; l'entrée, fenêtre à régler. "
)
_RARE = "дверь замок 東京 日本語 会議 🔑 👩‍🔧 naïve"
"""In every eighth issue: with them Python stores two or four bytes for each character."""


def description(number: int) -> str:
    """Return about 2 KB of HTML with paragraphs, a list and a link; different for each number."""
    words = _words(number)
    text, size = "", 0
    while size < DESCRIPTION_BYTES:
        sentence = " ".join(islice(words, 12))
        text += f"<p>{sentence}</p>" if size % 5 else f"<ul><li><p>{sentence}</p></li></ul>"
        size += len(sentence.encode())
    return f'{text}<p>See <a href="https://wiki.example.com/{number}">the wiki</a>.</p>'


def _words(number: int) -> Iterator[str]:
    common, rare = _WORDS.split(), _RARE.split()
    state = number * 2_654_435_761 + 1
    while True:
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        chosen = rare if number % 8 == 0 and state >> 60 == 0 else common
        yield chosen[(state >> 33) % len(chosen)]


def plane_data(issues: int) -> DemoData:
    """Return the demo's sample with one large project, whose issues all have dates and long descriptions."""
    data = sample(TODAY, issues=issues)
    for number, row in enumerate(_filled(data)):
        row["target_date"] = row["target_date"] or (TODAY + timedelta(days=number % 300)).isoformat()
        row["description_html"] = description(number)
    return data


def _filled(data: DemoData) -> Sequence[Row]:
    (project,) = (one for one in data.projects.values() if one.row["identifier"] == FILLED)
    return list(project.issues.values())


def snapshot(issues: int) -> Snapshot:
    """Return that project as a snapshot."""
    data = plane_data(issues)
    (held,) = (one for one in data.projects.values() if one.row["identifier"] == FILLED)
    project = wire.project({**held.row, "is_member": True})
    assert isinstance(project, Project)  # noqa: S101
    rows = [wire.issue(row, project) for row in held.issues.values()]
    periods = [wire.period(row, project, "cycle") for row in held.cycles.values()]
    return Snapshot(
        project=project,
        issues={issue.id: issue for issue in rows if issue},
        states={state.id: state for state in map(wire.state, held.states.values())},
        labels={label.id: label for label in map(wire.label, held.labels.values())},
        people={user.id: wire.person(_person(user.id, user.display_name)) for user in data.users.values()},
        periods={
            period.id: replace(period, issues=frozenset(held.links.get(period.id, ())))
            for period in periods
            if period
        },
    )


def _person(id_: str, name: str) -> Row:
    return {"id": id_, "display_name": name}


def edited(old: Snapshot, turn: int) -> Snapshot:
    """Return the snapshot with one issue renamed, another one each turn."""
    ids = list(old.issues)
    changed = old.issues[ids[turn * 7_919 % len(ids)]]
    new = replace(changed, name=f"Changed in turn {turn}", updated=NOW + timedelta(seconds=turn))
    issues: dict[str, Issue] = {**old.issues, new.id: new}
    return replace(old, issues=issues)


def config() -> Config:
    """Return the configuration of the demo."""
    return demo_config()


def style(feed: Feed = FEED) -> Style:
    """Return the style of a feed."""
    settings = config()
    return style_of(settings, settings.workspaces["demo"], "acme", "f", feed)


def calendar(of: Snapshot, name: str = "everything", feed: Feed = FEED) -> Calendar:
    """Return the calendar of a feed over the snapshot."""
    view = View((of.project,), of.people, (of,), (of,), (), NOW)
    return calendar_of(FeedInput(name, Query(), feed, view, Day(TODAY, ZONE)), style(feed), "Acme")
