"""What a push reports: to people, to scripts, and to the status page."""

from msgspec.structs import replace

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


def test_a_run_that_ends_before_it_has_a_plan_did_nothing() -> None:
    error = NoServer(URL, "no answer")
    report = PushProgress(URL).report("t", "f", 1.5, error, dry_run=False)
    assert report == TargetReport(target="t", feed="f", url=URL, counts={}, seconds=1.5, error=error)


def test_a_report_has_what_was_noted_on_the_way() -> None:
    made = progress(NEW)
    made.unread, made.requests, made.warnings = NoServer(URL, "no answer"), 7, ["slow"]
    report = made.report("t", "f", 0, None, dry_run=False)
    assert (report.unread, report.requests, report.warnings) == (made.unread, 7, ("slow",))


def test_a_dry_run_counts_what_it_would_do() -> None:
    report = progress().report("t", "f", 0, None, dry_run=True)
    assert report.counts == {"kept": 1, "created": 1, "deleted": 1}
    assert report.actions == (NEW, GONE, CONFLICT)


def test_refused_deletions_are_spared_and_not_counted() -> None:
    report = progress(NEW, refused="too many").report("t", "f", 0, None, dry_run=False)
    assert (report.counts, report.spared) == ({"kept": 1, "created": 1}, (GONE,))
    would = progress(refused="too many").report("t", "f", 0, None, dry_run=True)
    assert (would.counts, would.actions) == ({"kept": 1, "created": 1}, (NEW, CONFLICT))
    assert "too many" in report.problems


def test_with_force_leftovers_are_deleted() -> None:
    report = progress(NEW, GONE, LEFTOVER, force=True).report("t", "f", 0, None, dry_run=False)
    assert (report.counts["deleted"], report.leftovers) == (2, ())
    would = progress(force=True).report("t", "f", 0, None, dry_run=True)
    assert (would.counts["deleted"], would.actions) == (2, (NEW, GONE, LEFTOVER, CONFLICT))


def test_a_report_for_scripts_has_every_key() -> None:
    assert GOOD.as_json() == {
        "target": "t",
        "feed": "f",
        "url": URL,
        **dict.fromkeys(RESULT_NAMES, 0),
        "created": 1,
        "failed": [],
        "refused": None,
        "spared": [],
        "leftovers": [],
        "warnings": [],
        "requests": 0,
        "seconds": 0.0,
        "error": None,
    }


def test_a_report_for_scripts_says_what_went_wrong_and_what_a_dry_run_would_do() -> None:
    failed = progress(refused="too many").report("t", "f", 0.12345, NoServer(URL, "no answer"), dry_run=True)
    shown = replace(failed, warnings=("slow",), requests=3).as_json()
    assert shown["actions"][0] == {"action": "create", "uid": "uid-2", "href": f"{URL}2.ics"}
    assert (shown["refused"], shown["spared"], shown["leftovers"]) == (
        "too many",
        [f"{URL}3.ics"],
        [f"{URL}4.ics"],
    )
    assert shown["failed"] == [{"uid": "uid-5", "href": f"{URL}5.ics", "reason": "somebody else's"}]
    assert (shown["warnings"], shown["requests"], shown["seconds"]) == (["slow"], 3, 0.123)
    assert shown["error"] == f"{URL}: no answer"


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
