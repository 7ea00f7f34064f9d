"""What is printed for people: no name and no answer of a server may steer their terminal."""

import pytest

from icsfeed.cli.check import Finding
from icsfeed.cli.output import printable, show_exported, show_finding, show_links, show_reasons
from icsfeed.doctor.verdict import ClientRemark
from icsfeed.export.run import ExportResult

HOSTILE = "a\x1b[2Jb\x9b\u202ec\u2028d\ud800\n\u2066e"


def test_what_steers_a_terminal_becomes_a_space_and_names_stay_as_they_are() -> None:
    assert printable(HOSTILE) == "a [2Jb  c d   e"
    assert printable("👩\u200d💻 Zoë أحمد") == "👩\u200d💻 Zoë أحمد"


def test_every_list_is_printed_without_what_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    three = dict.fromkeys(("ics", "page", "embed"), "https://cal.example.com/x")
    show_links({HOSTILE: {**three, "links": {HOSTILE: three}}})
    show_finding(Finding("ok", HOSTILE, HOSTILE))
    show_reasons(HOSTILE, [ClientRemark("fails", HOSTILE)])
    show_exported(ExportResult([HOSTILE], [], [HOSTILE], {HOSTILE: HOSTILE}))
    shown = "".join(capsys.readouterr())
    assert shown.count("a [2Jb  c d   e") == 12
    assert shown.replace("\n", "").isprintable()
