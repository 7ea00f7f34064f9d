"""The values of a configuration: secrets, durations, colours."""

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.config.rules import color_name
from icsfeed.config.schema import (
    Auto,
    Config,
    Duration,
    Feed,
    PushTarget,
    Secret,
    WorkspaceConfig,
)
from icsfeed.config.values import MAX_SECONDS, parse_alarm, parse_duration, secrets_of
from icsfeed.errors import InvalidValue
from icsfeed.ics.component import CSS3

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90d", 90 * DAY),
        ("12h", 12 * HOUR),
        ("30m", 1800),
        ("15s", 15),
        ("2w", 14 * DAY),
        ("90d 12h 30m 15s", 90 * DAY + 12 * HOUR + 1815),
        ("1d12h", 36 * HOUR),
        (" 5M ", 300),
        ("0d", 0),
        ("60", 60),
        (60, 60),
        ("36500d", 36_500 * DAY),
    ],
)
def test_a_duration_is_read(written: str | int, seconds: int) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "d",
        "-3d",
        "1h 1d",
        "1d 1d",
        "1.5h",
        "5 m",
        "PT5M",
        "１d",
        "1y",
        -1,
        "99999999w",
        "36500d 1s",
        10**30,
    ],
)
def test_a_text_that_is_not_a_duration_is_refused(written: str | int) -> None:
    with pytest.raises(ValueError, match="not a length"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("-PT15H", -15 * HOUR),
        ("PT9H", 9 * HOUR),
        ("+PT9H", 9 * HOUR),
        ("-P1D", -DAY),
        ("-P1DT2H30M", -(DAY + 9000)),
        ("P1W", 7 * DAY),
        ("PT0S", 0),
        ("-15h", -15 * HOUR),
        ("1d 2h", 26 * HOUR),
        ("-pt15h", -15 * HOUR),
    ],
)
def test_an_alarm_is_read(written: str, seconds: int) -> None:
    assert parse_alarm(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "P", "PT", "-", "P1DT", "15", "--PT1H", "PT1H30", "P1H", "P99999999W"]
)
def test_a_text_that_is_not_an_alarm_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a length"):
        parse_alarm(written)


@given(st.text(alphabet="PTWDHMSwdhms0123456789 +-", max_size=30))
def test_durations_are_in_bounds_or_refused(written: str) -> None:
    for read in (parse_duration, parse_alarm):
        with contextlib.suppress(ValueError):
            assert abs(read(written)) <= MAX_SECONDS


def test_a_duration_has_a_timedelta() -> None:
    assert Duration(90).delta.total_seconds() == 90


def test_a_secret_shows_only_when_asked() -> None:
    secret = Secret("hunter2hunter2")
    config = Config(
        workspaces={"acme": WorkspaceConfig(url="https://p.example", api_key=secret)},
        secret=secret,
        store=secret,
    )
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        repr(config),
        str(config),
        repr(copy.copy(secret)),
    ):
        assert "hunter2" not in text
    assert repr(secret) == "Secret('***')"
    assert secret.reveal() == "hunter2hunter2"


def test_secrets_are_equal_when_their_values_are() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"


def test_a_feed_that_names_no_workspace_is_of_the_first() -> None:
    two = {name: WorkspaceConfig(url="https://p.example", api_key=Secret("k")) for name in ("acme", "labs")}
    config = Config(workspaces=two)
    assert [config.workspace_of(Feed(workspace=name)) for name in (None, "acme", "labs")] == [
        "acme",
        "acme",
        "labs",
    ]


def test_inactive_feeds_are_no_feeds() -> None:
    rest = Feed(everything=True, active=False)
    assert Config(workspaces={}, feeds={"f": rest}).has_no_feeds
    assert not Config(workspaces={}, feeds={"f": rest, "g": Feed(everything=True)}).has_no_feeds
    assert not Config(workspaces={}, auto=Auto(projects=True)).has_no_feeds


def test_there_are_147_colours_and_each_has_a_value() -> None:
    assert len(CSS3) == 147
    assert all(len(value) == 7 and int(value[1:], 16) >= 0 for value in CSS3.values())
    assert (CSS3["tomato"], CSS3["darkgray"], CSS3["yellowgreen"]) == ("#FF6347", CSS3["darkgrey"], "#9ACD32")


def test_a_colour_name_is_lower_case() -> None:
    assert color_name("SteelBlue") == "steelblue"
    with pytest.raises(InvalidValue, match="none of those"):
        color_name("#ff0000")
    with pytest.raises(InvalidValue, match="did you mean tomato"):
        color_name("tomatoe")


def test_every_secret_of_a_configuration_is_known() -> None:
    config = Config(
        workspaces={
            "a": WorkspaceConfig(
                url="https://x", api_key=Secret("key of a"), webhook_secret=Secret("hook of a")
            ),
            "b": WorkspaceConfig(url="https://x", api_key=Secret("key of b")),
            "c": WorkspaceConfig(url="https://x", token=Secret("token of c")),
        },
        secret=Secret("the secret"),
        admin_token=Secret("the admin token"),
        feeds={"f": Feed()},
        push={
            "p": PushTarget(
                feed="f", url="https://x/", password=Secret("the password"), token=Secret("bearer")
            )
        },
        store=Secret("redis://user:pass@host"),
    )
    assert set(secrets_of(config)) == {
        "key of a",
        "hook of a",
        "key of b",
        "token of c",
        "the secret",
        "the admin token",
        "the password",
        "bearer",
        "redis://user:pass@host",
    }
