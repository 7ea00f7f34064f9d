"""What an export may touch: what it made itself, and nothing else."""

from collections.abc import Collection, Mapping

import pytest
from msgspec import DecodeError, json

from icsfeed.export.plan import ExportFile, ExportPlan, plan_export, read_record

A, B = ExportFile("a"), ExportFile("b", "anna")


@pytest.mark.parametrize(
    ("wanted", "made", "present", "gone", "plan"),
    [
        pytest.param({"a.ics": A}, {}, (), True, ExportPlan(("a.ics",), (), ()), id="new"),
        pytest.param(
            {"a.ics": A}, {"a.ics": "a"}, ("a.ics",), True, ExportPlan(("a.ics",), (), ()), id="ours"
        ),
        pytest.param(
            {"a.ics": A}, {}, ("a.ics",), True, ExportPlan((), ("a.ics",), ()), id="somebody else's"
        ),
        pytest.param({}, {"a.ics": "a"}, (), True, ExportPlan((), (), ("a.ics",)), id="gone"),
        pytest.param({}, {"a.ics": "a"}, (), False, ExportPlan((), (), ()), id="perhaps gone"),
        pytest.param(
            {"a.ics": A, "b.ics": B},
            {"b.ics": "b", "c.ics": "c"},
            ("a.ics", "b.ics"),
            True,
            ExportPlan(("b.ics",), ("a.ics",), ("c.ics",)),
            id="all at once",
        ),
    ],
)
def test_the_plan_follows_from_what_is_wanted_made_and_there(
    wanted: Mapping[str, ExportFile],
    made: Mapping[str, str],
    present: Collection[str],
    gone: bool,
    plan: ExportPlan,
) -> None:
    assert plan_export(wanted, made, present, lambda feed: gone and feed in made.values()) == plan


def test_a_record_is_read_back() -> None:
    made = {"a.ics": "a", f"feeds/icsf_{'a' * 26}/b.ics": "b", "feeds/c.ics": "c"}
    assert read_record(json.encode({"made": made})) == made


@pytest.mark.parametrize(
    "record",
    [
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param({"made": ["a.ics"]}, id="a list of files"),
        pytest.param({"made": {"a.ics": 1}}, id="a number"),
        pytest.param({"made": {"../a.ics": "a"}}, id="leads out"),
        pytest.param({"made": {"feeds/../../a.ics": "a"}}, id="leads out further on"),
        pytest.param({"made": {"/etc/a.ics": "a"}}, id="absolute"),
        pytest.param({"made": {".a.ics": "a"}}, id="hidden"),
        pytest.param({"made": {"notes.txt": "a"}}, id="no calendar"),
        pytest.param({"made": {"a.ics\n": "a"}}, id="a line break"),
    ],
)
def test_a_record_that_no_export_wrote_is_rejected(record: object) -> None:
    with pytest.raises((ValueError, DecodeError), match=r"no export writes|Expected|missing"):
        read_record(json.encode(record))


def test_messages_name_a_file_by_its_feed_and_subscriber() -> None:
    assert (A.label, B.label) == ("a", "b/anna")
