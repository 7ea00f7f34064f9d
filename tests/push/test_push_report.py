"""What a push reports: to people, to scripts, and to the status page."""

import pytest

from icsfeed.errors import NoServer
from icsfeed.push.action import Action, DeletionRefusal, PushPlan
from icsfeed.push.report import RESULT_NAMES, Failure, PushProgress, PushStats, TargetReport

URL = "https://dav.example.com/cal/"
KEPT = Action("leave", "uid-1", f"{URL}1.ics", '"1"')
NEW = Action("create", "uid-2", f"{URL}2.ics")
GONE = Action("delete", "uid-3", f"{URL}3.ics", '"3"')
LEFTOVER = Action("leftover", "uid-4", f"{URL}4.ics", '"4"')
CONFLICT = Action("conflict", "uid-5", f"{URL}5.ics", reason="somebody else's")
GOOD = TargetReport(target="t", feed="f", url=URL, counts={"created": 1})


def progress(*done: Action, refused: str = "", force: bool = False) -> PushProgress:
    made = PushProgress(URL)
    made.plan = PushPlan((KEPT, NEW, GONE, LEFTOVER, CONFLICT), owned=2)
    made.done = list(done)
    made.refused = DeletionRefusal(refused) if refused else None
    made.force = force
    return made


def test_a_run_counts_what_it_did_and_what_was_right_already() -> None:
    report = progress(NEW, GONE).report("t", "f", 1.5, None, dry_run=False)
    assert report.counts == {"kept": 1, "created": 1, "deleted": 1}
    assert report.failures == (Failure("uid-5", f"{URL}5.ics", "somebody else's"),)
    assert (report.leftovers, report.spared, report.actions) == ((LEFTOVER,), (), None)
    assert not report.is_good


def test_a_dry_run_counts_what_it_would_do() -> None:
    report = progress().report("t", "f", 0, None, dry_run=True)
    assert report.counts == {"kept": 1, "created": 1, "deleted": 1}
    assert report.actions == (NEW, GONE, CONFLICT)


def test_refused_deletions_are_spared_and_not_counted() -> None:
    report = progress(NEW, refused="too many").report("t", "f", 0, None, dry_run=False)
    assert (report.counts, report.spared) == ({"kept": 1, "created": 1}, (GONE,))
    assert "too many" in report.problems


def test_with_force_leftovers_are_deleted() -> None:
    report = progress(NEW, GONE, LEFTOVER, force=True).report("t", "f", 0, None, dry_run=False)
    assert (report.counts["deleted"], report.leftovers) == (2, ())


@pytest.mark.parametrize("error", [None, NoServer(URL, "no answer")])
def test_a_report_for_scripts_has_every_key(error: NoServer | None) -> None:
    shown = TargetReport(target="t", feed="f", url=URL, counts={"created": 1}, error=error).as_json()
    assert {name: shown[name] for name in RESULT_NAMES} == {**dict.fromkeys(RESULT_NAMES, 0), "created": 1}
    assert ("actions" in shown, shown["error"]) == (False, str(error) if error else None)


def test_the_actions_of_a_dry_run_are_for_scripts_too() -> None:
    report = progress(refused="too many").report("t", "f", 0.12345, None, dry_run=True)
    shown = report.as_json()
    assert shown["actions"][0] == {"action": "create", "uid": "uid-2", "href": f"{URL}2.ics"}
    assert (shown["spared"], shown["leftovers"]) == ([f"{URL}3.ics"], [f"{URL}4.ics"])
    assert (shown["failed"][0]["reason"], shown["seconds"]) == ("somebody else's", 0.123)


def test_a_good_run_has_no_problems_and_a_bad_one_says_each() -> None:
    assert (GOOD.is_good, GOOD.problems) == (True, ())
    report = progress().report("t", "f", 0, NoServer(URL, "no answer"), dry_run=False)
    assert [problem.partition(":")[0] for problem in report.problems[:1]] == ["https"]
    assert report.problems[-1].endswith("no answer")
    assert any(problem.startswith("1 objects of removed issues") for problem in report.problems)


def test_results_of_all_targets_are_added_up() -> None:
    stats = PushStats()
    stats.counts.update({("a", "created"): 2, ("b", "created"): 3, ("b", "deleted"): 1})
    assert (stats.count("created"), stats.count("deleted"), stats.count("updated")) == (5, 1, 0)
