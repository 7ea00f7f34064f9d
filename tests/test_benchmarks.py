"""The benchmarks run, print what they should, and find what icsfeed promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
REQUESTS, PUSH = BENCHMARKS / "requests.py", BENCHMARKS / "push.py"
SMALL = ("--issues", "300", "--projects", "3", "--minutes", "3")
KINDS = {"checks", "issues", "ids", "states", "labels", "cycles", "modules", "links", "members", "projects"}
REFRESHES = {"cold", "unchanged", "changed_5", "changed_200", "deleted_1"}
PERIODS = {"start", "polled", "webhooks"}


def printed(*arguments: str, folder: Path) -> str:
    """Return what the command prints when it is started in another folder."""
    command = [sys.executable, str(REQUESTS), *SMALL, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results as JSON."""
    text = printed("--json", folder=tmp_path_factory.mktemp("requests"))
    results: dict[str, Any] = json.loads(text)
    return results


def test_the_json_names_every_case_and_every_kind_of_request(results: dict[str, Any]) -> None:
    assert {name: results[name] for name in ("issues", "projects", "minutes")} == {
        "issues": 300,
        "projects": 3,
        "minutes": 3,
    }
    assert (results["refreshes"].keys(), results["periods"].keys()) == (REFRESHES, PERIODS)
    cases = [*results["refreshes"].values(), *results["periods"].values()]
    assert all(case["requests"].keys() == KINDS for case in cases)
    assert all(case["total"] == sum(case["requests"].values()) for case in cases)
    assert all(case["size"] > 0 for case in cases)


def test_a_cold_read_takes_the_pages_that_the_api_forces_and_each_name_once(results: dict[str, Any]) -> None:
    cold = results["refreshes"]["cold"]
    assert cold["requests"] == dict.fromkeys(KINDS, 1) | {"checks": 0, "ids": 0, "links": 0}
    assert (cold["least"], cold["ratio"]) == (1, 1.0)


@pytest.mark.parametrize("case", ["unchanged", "changed_5"])
def test_few_changes_are_one_request(results: dict[str, Any], case: str) -> None:
    refresh = results["refreshes"][case]
    assert (refresh["total"], refresh["requests"]["issues"], refresh["ratio"]) == (1, 1, 1.0)


def test_many_changes_cost_one_request_more_than_the_forced_pages(results: dict[str, Any]) -> None:
    many = results["refreshes"]["changed_200"]
    assert (many["total"], many["requests"]["issues"], many["least"]) == (2, 2, 1)


def test_a_deletion_costs_a_request_before_the_ids_and_one_after_them(results: dict[str, Any]) -> None:
    deleted = results["refreshes"]["deleted_1"]
    assert (deleted["total"], deleted["requests"]["ids"], deleted["requests"]["issues"]) == (3, 1, 2)


def test_a_running_server_keeps_to_the_budget_and_to_the_ttls(results: dict[str, Any]) -> None:
    for period in results["periods"].values():
        assert period["refused"] == 0
        assert period["busiest"] <= 60
        assert period["total"] <= period["budget"]
    assert results["periods"]["start"]["oldest"] is None
    assert results["periods"]["polled"]["oldest"] <= 60 + 2
    assert results["periods"]["polled"]["budget"] == 3 * 60


def test_webhooks_make_no_copy_older_while_the_budget_has_room(results: dict[str, Any]) -> None:
    polled, hooked = results["periods"]["polled"], results["periods"]["webhooks"]
    assert hooked["ratio"] < 0.8
    assert hooked["oldest"] <= polled["oldest"]


def test_without_json_it_prints_a_line_for_every_case(tmp_path: Path) -> None:
    text = printed(folder=tmp_path)
    assert {line.split(" ")[0] for line in text.splitlines()} >= REFRESHES | PERIODS


def test_a_push_costs_what_icsfeed_promises_compared_with_vdirsyncer(tmp_path: Path) -> None:
    command = [sys.executable, str(PUSH), "--items", "40", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    results = json.loads(done.stdout)
    assert results["items"] == 40
    requests = {
        program: {case: cost["requests"] for case, cost in cases.items()}
        for program, cases in results["costs"].items()
    }
    assert requests["icsfeed"] == {"first": 42, "unchanged": 1, "changed_10": 12}
    assert requests["vdirsyncer"].keys() == requests["icsfeed"].keys()
    assert requests["vdirsyncer"]["first"] >= 40
    assert all(cost["seconds"] > 0 for cases in results["costs"].values() for cost in cases.values())


# Speed

RUN = REQUESTS.with_name("run.py")
FEW = "200"


def ran(*arguments: str, folder: Path) -> str:
    command = [sys.executable, str(RUN), "--issues", FEW, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True).stdout


def test_ratios_are_of_two_measurements_and_name_their_baseline(tmp_path: Path) -> None:
    results = json.loads(ran("reading", "rendering", "refreshing", "crowd", "--json", folder=tmp_path))
    assert results["issues"] == int(FEW)
    assert len(results["rows"]) == 11
    for row in results["rows"]:
        assert row["value"] > 0
        assert row["baseline"]
        assert row["ours"] != row["theirs"] or row["unit"] == "x the bytes"
        assert row["bound"] in ("min", "max")


def test_the_table_has_a_line_for_each_ratio(tmp_path: Path) -> None:
    head, *lines = ran("rendering", folder=tmp_path).splitlines()
    assert head.split()[:2] == ["what", "baseline"]
    assert [line.split()[0] for line in lines] == ["write", "cold", "render", "a", "render", "gzip"]
    assert all(" KB" in line for line in lines), "bytes on the wire stand next to each speed"


def test_a_calendar_is_as_small_as_gzip_makes_it(tmp_path: Path) -> None:
    rows = json.loads(ran("rendering", "--json", folder=tmp_path))["rows"]
    (row,) = (row for row in rows if row["unit"] == "x the bytes")
    assert row["value"] <= 1.05


def test_the_chart_is_an_image_with_a_line_for_each_curve(tmp_path: Path) -> None:
    ran("--chart", str(tmp_path / "cost.svg"), folder=tmp_path)
    image = ElementTree.parse(tmp_path / "cost.svg")  # noqa: S314 - our own
    lines = image.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 6
    assert all(len(line.attrib["points"].split()) == 2 for line in lines)


def test_an_unknown_subject_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ran("speed", folder=tmp_path)
    assert "no subject speed" in refused.value.stderr


def test_a_flood_of_wrong_links_takes_nothing_from_readers_with_good_ones() -> None:
    """Latencies are for people to look at; that each request is answered is promised."""
    command = [sys.executable, str(REQUESTS.with_name("flood.py")), "--json", "--reads", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    phases = json.loads(done.stdout)
    assert list(phases) == ["0_connections", "16_connections", "500_connections"]
    assert all(phase["good"] == {"200": 50} for phase in phases.values())
    assert phases["0_connections"]["wrong"] == {}
    assert all(set(phase["wrong"]) <= {"404", "429"} for phase in phases.values())
