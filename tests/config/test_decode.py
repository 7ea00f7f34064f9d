"""Plain data to Config: the defaults, the spellings, and every problem at its path."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icsfeed.config.checks import Violation
from icsfeed.config.decode import decode, dotted
from icsfeed.config.schema import AuthProxy, Config, Feed, Match, Secret, Window
from icsfeed.errors import ConfigError, Problem

ZONES = {"UTC", "Europe/Berlin", "Europe/Vienna"}
KEY = "plane_api_0123456789"
SECRET = "s3cr3t-" * 6


def whole(**changes: Any) -> dict[str, Any]:
    workspaces = {"acme": {"url": "https://plane.example.com", "api_key": KEY}}
    return {"secret": SECRET, "workspaces": workspaces, **changes}


def feed(**keys: Any) -> dict[str, Any]:
    return whole(feeds={"f": {"project": "PROP", **keys}})


def target(**keys: Any) -> dict[str, Any]:
    login = {"username": "bot", "password": "pw"}
    return whole(
        feeds={"f": {"project": "PROP"}},
        push={"t": {"feed": "f", "url": "https://dav.example.com/c/", **login, **keys}},
    )


def workspace(**keys: Any) -> dict[str, Any]:
    return whole(workspaces={"acme": {"url": "https://plane.example.com", "api_key": KEY, **keys}})


def problems(data: object, **more: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        decode(data, "feeds.yaml", zones=ZONES, **more)
    return list(caught.value.problems)


def read(data: object) -> Config:
    return decode(data, "feeds.yaml", zones=ZONES)


def test_a_workspace_is_enough() -> None:
    config = read(whole())
    assert config.workspaces["acme"].url == "https://plane.example.com"
    assert config.workspaces["acme"].api_key == Secret(KEY)
    assert (config.timezone, config.store.reveal(), config.gzip) == ("UTC", "file", True)


def test_a_full_configuration_loads() -> None:
    data = whole(
        public_url="https://cal.example.com/plane/",
        timezone="Europe/Berlin",
        feeds={
            "property": {"project": "PROP", "title": "Property issues"},
            "anna": {"assignee": "anna@example.com", "dates": "span", "subscribers": ["phone", "laptop"]},
            "urgent": {
                "projects": ["PROP", "OPS"],
                "window": {"past": "90d", "ahead": "400d"},
                "where": {
                    "priority": ["urgent", "high"],
                    "state": ["unstarted", "started"],
                    "not": {"label": "x"},
                },
                "alarm": ["-PT15H"],
            },
            "all": {"everything": True, "include": ["issues", "cycles"], "public": True},
        },
        auto={"projects": True, "assignees": True},
        push={
            "team": {"feed": "all", "url": "https://dav.example.com/c/", "username": "bot", "password": "pw"}
        },
        embed={"frame_ancestors": ["https://intranet.example.com"]},
        cors=["https://intranet.example.com"],
        cache={"issues": 60},
        store="redis://:pw@host:6379/0",
    )
    config = read(data)
    urgent = config.feeds["urgent"]
    assert urgent.window == Window(past=90 * 86400, ahead=400 * 86400)  # type: ignore[arg-type]
    assert urgent.where.exclude == Match(label=("x",))
    assert urgent.alarm == (-54000,)
    assert config.public_url == "https://cal.example.com/plane"
    assert config.push["team"].url == "https://dav.example.com/c/"


@pytest.mark.parametrize(
    ("written", "key", "value"),
    [
        ({"alarm": "-PT15H"}, "alarm", (-54000,)),
        ({"alarm": None}, "alarm", ()),
        ({"include": "issues"}, "include", ("issues",)),
        ({"subscribers": "Anna's phone"}, "subscribers", ("Anna's phone",)),
        ({"done": "Keep"}, "done", "keep"),
        ({"color": "SteelBlue"}, "color", "steelblue"),
        ({"colors": {"urgent": "Red", "low": None}}, "colors", {"urgent": "red", "low": None}),
        ({"colors": None}, "colors", {}),
        ({"stale_notice": False}, "stale_notice", False),
        ({"stale_notice": "2h"}, "stale_notice", 7200),
        ({"window": "all"}, "window", "all"),
        ({"window": {}}, "window", Window()),
        ({"window": {"past": 0}}, "window", Window(past=0)),  # type: ignore[arg-type]
        ({"refresh": 300}, "refresh", 300),
        ({"refresh": "600"}, "refresh", 600),
        ({"revision": "2"}, "revision", 2),
        ({"active": "false"}, "active", False),
        ({"summary": "{key}: {name} {{x}}"}, "summary", "{key}: {name} {{x}}"),
        ({"title": None}, "title", None),
        ({"component": "vtodo", "undated": True}, "undated", True),
    ],
)
def test_what_people_write_is_read(written: dict[str, Any], key: str, value: object) -> None:
    assert getattr(read(feed(**written)).feeds["f"], key) == value


def test_a_sign_in_proxy_is_read() -> None:
    config = read(whole(auth_proxy={"header": "X-Forwarded-Email", "from": ["10.1.2.3/8", "::1"]}))
    assert config.auth_proxy == AuthProxy("X-Forwarded-Email", ("10.0.0.0/8", "::1/128"))


@pytest.mark.parametrize(
    "scope",
    [
        {"project": "A"},
        {"projects": "A"},
        {"assignee": "anna"},
        {"assignee": "anna", "project": "A"},
        {"unassigned": True, "projects": ["A", "B"]},
        {"everything": True},
    ],
)
def test_each_scope_is_accepted(scope: dict[str, Any]) -> None:
    assert read(whole(feeds={"f": scope})).feeds["f"] != Feed()


TYPES: list[tuple[object, str, str]] = [
    (None, "workspaces", "is missing"),
    ([], "", "must be a mapping"),
    (whole(workspaces={}), "workspaces", "is missing"),
    (whole(workspaces=["acme"]), "workspaces", "must be a mapping"),
    (
        whole(workspaces={"acme": {"api_key": KEY}}),
        "workspaces.acme.url",
        "is missing: give it an http or https address",
    ),
    (
        whole(workspaces={"a b": {"url": "https://p", "api_key": "k"}}),
        'workspaces["a b"]',
        "its name must be a slug",
    ),
    (whole(feedz={}), "feedz", "unknown key; did you mean feeds?"),
    (whole(xyz=1), "xyz", "unknown key; keys: workspaces, "),
    (whole(secret=12345678), "secret", "YAML reads this as a number: write it in quotes"),
    (whole(secret=""), "secret", "must be text on one line, not empty"),
    (whole(secret=[SECRET]), "secret", "must be text on one line"),
    (whole(gzip="maybe"), "gzip", "must be true or false"),
    (whole(gzip=None), "gzip", "has no value: give it true or false, or remove the line"),
    (
        whole(feeds={False: {"project": "A"}}),
        "feeds",
        "has a key that YAML reads as true or false: write it in",
    ),
    (whole(feeds={2024: {"project": "A"}}), "feeds", "has a key that YAML reads as a number"),
    (feed(project=False), "feeds.f.project", "YAML reads this as true or false: write it in quotes"),
    (whole(feeds={"f": {"projects": [False]}}), "feeds.f.projects[0]", "true or false: write it in quotes"),
    (feed(project=""), "feeds.f.project", "must be a name on one line"),
    (feed(where={"priority": ["high", "urgnt"]}), "feeds.f.where.priority[1]", "did you mean urgent?"),
    (feed(where={"priority": "urgnt"}), "feeds.f.where.priority", "one of urgent, high, medium, low, none"),
    (feed(where={"not": {"labl": "x"}}), "feeds.f.where.not.labl", "did you mean label?"),
    (feed(where={"label": ["x", "x"]}), "feeds.f.where.label", "lists something twice"),
    (feed(where="urgent"), "feeds.f.where", "must be a mapping"),
    (feed(window="most"), "feeds.f.window", "must be a mapping (lines of `name: value`), or all"),
    (feed(window={"past": "-3d"}), "feeds.f.window.past", "such as 90d, 12h 30m or 15s"),
    (feed(window={"past": True}), "feeds.f.window.past", "such as 90d, 12h 30m or 15s"),
    (feed(alarm="PT"), "feeds.f.alarm", "such as -PT15H, -P1D or PT9H"),
    (feed(alarm=["PT9H", 540]), "feeds.f.alarm[1]", "YAML reads this as a number: write it in quotes"),
    (
        feed(stale_notice=True),
        "feeds.f.stale_notice",
        "a length of time such as 90d, 12h 30m or 15s, or false",
    ),
    (feed(done=False), "feeds.f.done", "must be one of cancelled, keep, check, drop; YAML reads this as"),
    (feed(language="sv"), "feeds.f.language", "must be one of en, de, es, fr, it, nl, pl, pt"),
    (feed(color="#ff0000"), "feeds.f.color", "must be a CSS3 colour name such as tomato"),
    (feed(colors={"urgent": "reddish"}), "feeds.f.colors.urgent", "must be a CSS3 colour name"),
    (feed(color="tomatto"), "feeds.f.color", "did you mean tomato?"),
    (feed(summary="{nmae}"), "feeds.f.summary", "there is no {nmae}; did you mean name?"),
    (feed(colors={"huge": "red"}), "feeds.f.colors.huge", "its name must be one of urgent"),
    (feed(revision=0), "feeds.f.revision", "must be a whole number, 1 or more"),
    (feed(revision=True), "feeds.f.revision", "must be a whole number, 1 or more"),
    (feed(refresh="1m"), "feeds.f.refresh", "must be a length of time, 5m or more"),
    (feed(subscribers=["a", "a"]), "feeds.f.subscribers", "lists something twice"),
    (feed(subscribers=["a\n"]), "feeds.f.subscribers[0]", "must be a name on one line"),
    (feed(include=["issue"]), "feeds.f.include[0]", "did you mean issues?"),
    (feed(include=["issues", "issues"]), "feeds.f.include", "lists something twice"),
    (feed(title=2024), "feeds.f.title", "must be text; YAML reads this as a number: write it in quotes"),
    (whole(cache={"issues": 0}), "cache.issues", "1s or more"),
    (whole(cache={"issues": 1.5}), "cache.issues", "must be a length of time"),
    (whole(timezone=3), "timezone", "write it in quotes"),
    (whole(cors="https://x/"), "cors", "must be an exact origin"),
    (whole(cors=["https://*.x.org"]), "cors[0]", "must be an exact origin"),
    (whole(embed={"frame_ancestors": "https://x; script-src *"}), "embed.frame_ancestors", "an exact origin"),
    (whole(auth_proxy={"header": "X Mail", "from": "10.0.0.1"}), "auth_proxy.header", "the name of a header"),
    (whole(auth_proxy={"header": "X-Mail", "from": "proxy"}), "auth_proxy.from", "an IP address or network"),
    (workspace(webhook_from="10.0.0.0/33"), "workspaces.acme.webhook_from", "an IP address or network"),
    (workspace(slug="a/b"), "workspaces.acme.slug", "must be a slug"),
    (target(max_delete_ratio=1.5), "push.t.max_delete_ratio", "must be a number from 0 to 1"),
    (target(max_delete_ratio=float("nan")), "push.t.max_delete_ratio", "must be a number from 0 to 1"),
    (target(min_delete=-1), "push.t.min_delete", "must be a whole number, 0 or more"),
    (target(read_timeout=0), "push.t.read_timeout", "1s or more"),
    (target(adopt=5), "push.t.adopt", "must be true, false, or a list of former feeds"),
    (target(adopt=["a b"]), "push.t.adopt[0]", "must be true, false, or a list of former feeds"),
]


@pytest.mark.parametrize(
    ("data", "path", "words"), TYPES, ids=[f"{path}-{words[:20]}" for _, path, words in TYPES]
)
def test_a_wrong_value_is_named_with_its_path(data: object, path: str, words: str) -> None:
    (problem,) = problems(data)
    assert problem.path == path
    assert words in problem.message


ADDRESSES = [
    "plane.example.com",
    "ftp://x",
    "https://",
    "https://u:p@x",
    "https://x?a",
    "https://x/#f",
    "https://x y",
]


@pytest.mark.parametrize("address", [*ADDRESSES, "https://x:99999", "https://x\n", "javascript:1"])
def test_an_address_is_http_with_a_host_and_without_a_user_name(address: str) -> None:
    assert [problem.path for problem in problems(workspace(url=address))] == ["workspaces.acme.url"]
    assert [problem.path for problem in problems(workspace(web_url=address))] == ["workspaces.acme.web_url"]
    assert [problem.path for problem in problems(whole(public_url=address))] == ["public_url"]
    assert [problem.path for problem in problems(target(url=address))] == ["push.t.url"]


@pytest.mark.parametrize(
    "address",
    [
        "https://x",
        "http://plane_web:8080/a/b",
        "https://xn--bcher-kva.example",
        "https://[::1]:8443",
        "http://10.0.0.1",
    ],
)
def test_good_addresses_are_kept(address: str) -> None:
    assert read(workspace(url=address)).workspaces["acme"].url == address


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "0", "x" * 64])
def test_feed_names_that_links_can_contain_are_accepted(name: str) -> None:
    assert name in read(whole(feeds={name: {"everything": True}})).feeds


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".a",
        "-a",
        "a b",
        "a/b",
        "ä",
        "x" * 65,
        "a.ics",
        "A.ICS",
        "a.atom",
        "a.json",
        "a.mobileconfig",
        "icsf_abc",
        "a\n",
        "a@b",
    ],
)
def test_feed_names_that_links_cannot_contain_are_refused(name: str) -> None:
    (problem,) = problems(whole(feeds={name: {"everything": True}}))
    assert "its name must be 1 to 64 of A-Z a-z 0-9" in problem.message


@pytest.mark.parametrize(
    "text", ["{nam}", "{}", "{0}", "{name.x}", "{name[0]}", "{name!r}", "{name:>9}", "{", "}", "{name"]
)
def test_a_summary_has_our_fields_and_nothing_else(text: str) -> None:
    (problem,) = problems(feed(summary=text))
    assert "{name} {sequence_id} {key} {project} {state} {priority}" in problem.message


CHECKS: list[tuple[object, str, str]] = [
    (whole(timezone="Europe/Belin"), "timezone", "did you mean Europe/Berlin?"),
    (whole(timezone="CET+1"), "timezone", "write it as in Europe/Berlin"),
    (whole(secret="x" * 31), "secret", "needs 32 characters or more; try: python3 -c"),
    (whole(secret=None, auto={"projects": True}), "secret", "is missing: needs 32"),
    (
        whole(secret=None, feeds={"f": {"everything": True, "public": True, "details": "busy"}}),
        "secret",
        "is missing: needs 32",
    ),
    (whole(admin_token="x" * 15), "admin_token", "needs 16 characters or more"),
    (whole(public_url=f"https://x/{'x' * 83}"), "public_url", "is longer than 90 characters"),
    (whole(cors=["*", "https://x"]), "cors", "may hold * only alone"),
    (whole(embed={"frame_ancestors": "*"}), "embed", "must be exact origins"),
    (whole(auth_proxy={"header": "X-Mail", "from": []}), "auth_proxy", "its from is empty"),
    (
        whole(auth_proxy={"header": "X-Mail", "from": "10.0.0.1", "secret": "x" * 31}),
        "auth_proxy",
        "its secret needs 32 characters or more",
    ),
    (whole(auth_proxy={"header": "X-Mail"}), "auth_proxy.from", "is missing"),
    (whole(auth_proxy={"from": "10.0.0.1"}), "auth_proxy.header", "is missing"),
    (whole(store="disk"), "store", "must be file, memory, or an address such as redis://"),
    (whole(store="fiel"), "store", "did you mean file?"),
    (whole(store="memroy"), "store", "did you mean memory?"),
    (
        whole(workspaces={"a": {"url": "https://x"}}),
        "workspaces.a.api_key",
        "is missing: create one in Plane",
    ),
    (workspace(api_key="a b"), "workspaces.acme.api_key", "copy it again"),
    (workspace(token="t"), "workspaces.acme.token", "cannot be combined with api_key"),
    (workspace(token_file="/run/token"), "workspaces.acme.token", "cannot be combined with api_key"),
    (workspace(api_key=None, token="Bearer t"), "workspaces.acme.token", "without the word Bearer"),
    (
        workspace(url="https://app.plane.so/team/browse/WEB-1", slug="acme"),
        "workspaces.acme.slug",
        "contradicts url",
    ),
    (whole(feeds={"f": None}), "feeds.f", "must say what it holds: project, projects, assignee"),
    (whole(feeds={"f": {"unassigned": False}}), "feeds.f", "must say what it holds"),
    (feed(projects=["A"]), "feeds.f.projects", "cannot be combined with project"),
    (feed(everything=True), "feeds.f.everything", "cannot be combined with project"),
    (feed(project=None, unassigned=True, everything=True), "feeds.f.everything", "combined with unassigned"),
    (feed(assignee="a", unassigned=True), "feeds.f.unassigned", "cannot be combined with assignee"),
    (feed(include=[]), "feeds.f.include", "is empty: list issues, cycles or modules"),
    (
        feed(overdue_digest=True, details="busy"),
        "feeds.f.overdue_digest",
        "cannot be combined with details: busy",
    ),
    (feed(component="vtodo", include="cycles"), "feeds.f.include", "must be issues: component is vtodo"),
    (
        feed(include=["issues", "releases"]),
        "feeds.f.include",
        "contains releases, which belong to the whole workspace",
    ),
    (
        feed(include=["releases", "initiatives"]),
        "feeds.f.include",
        "contains initiatives and releases, which belong to the whole workspace: set everything: true",
    ),
    (
        whole(
            workspaces={"acme": {"url": "https://plane.example.com", "api_key": KEY, "projects": ["A"]}},
            feeds={"f": {"everything": True, "include": ["initiatives", "releases"]}},
        ),
        "feeds.f.include",
        "holds initiatives and releases, but its workspace is limited to `projects`: remove them",
    ),
    (feed(undated=True), "feeds.f.undated", "needs component: vtodo"),
    (feed(public=True, subscribers="a"), "feeds.f.subscribers", "mean nothing in a public feed"),
    (feed(subscribers=["a", "b"], revoked="a"), "feeds.f.revoked", "names someone who still is a subscriber"),
    (feed(workspace="acm"), "feeds.f.workspace", "is not the name of a workspace; did you mean acme?"),
    (
        whole(feeds={"f": {"project": "A"}, "F": {"project": "B"}}),
        "feeds.F",
        "differs from f only in upper and lower",
    ),
    (target(feed="g"), "push.t.feed", "is not the name of a feed; there is: f"),
    (target(adopt=["old", "f"]), "push.t.adopt", "names a feed that is pushed itself"),
    (target(feed="project-prop"), "push.t.feed", "is not the name of a feed"),
    (target(token="x"), "push.t.token", "cannot be combined with a user name"),
    (target(feed="g") | {"feeds": {}}, "push.t.feed", "is not the name of a feed; there is: none"),
    (target(password=None), "push.t.password", "is missing: username needs it"),
    (target(username=None), "push.t.username", "is missing: the password needs it"),
    (target(username=None, password=None), "push.t", "needs username and password, or token"),
    (target(url="http://dav.example.com/c/"), "push.t.url", "use https, or allow_insecure: true"),
]


@pytest.mark.parametrize(
    ("data", "path", "words"), CHECKS, ids=[f"{path}-{words[:20]}" for _, path, words in CHECKS]
)
def test_keys_that_cannot_be_combined_are_named_with_their_path(data: object, path: str, words: str) -> None:
    (problem,) = problems(data)
    assert problem.path == path
    assert words in problem.message


@pytest.mark.parametrize(
    "data",
    [
        whole(secret=None),
        whole(secret=None, feeds={"f": {"everything": True, "public": True}}),
        whole(secret=None, secret_file="/run/secret", auto={"projects": True}),
        whole(workspaces={"a": {"url": "https://x", "api_key_file": "/run/key"}}),
        workspace(api_key=None, token="t"),
        workspace(api_key=None, token_file="/run/token"),
        whole(cors="*"),
        feed(details="busy"),
        feed(overdue_digest=True),
        whole(store="valkeys://host"),
        whole(store="rediss+sentinel://a:26379,b:26379/plane/0"),
        whole(store="unix:///run/redis/redis.sock?db=1"),
        target(url="http://localhost:5232/bot/c/"),
        target(url="http://127.0.0.1:5232/bot/c/", username=None, password=None),
        target(url="http://[::1]/c/"),
        target(url="http://dav.localhost/c/"),
        target(url="http://dav/c/", allow_insecure=True),
        target(password=None, password_file="/run/pw"),
        target(username=None, password=None, token="t"),
        target(feed="project-prop") | {"auto": {"projects": True}},
        target(feed="assignee-anna") | {"auto": {"assignees": True}},
    ],
)
def test_keys_that_can_be_combined_are_accepted(data: dict[str, Any]) -> None:
    config = read(data)
    for section in ("feeds", "push"):
        assert getattr(config, section).keys() == data.get(section, {}).keys()


def test_several_workspaces_must_be_named() -> None:
    two = {name: {"url": "https://x", "api_key": "k"} for name in ("acme", "beta")}
    feeds = {"f": {"everything": True}, "g": {"everything": True, "workspace": "beta"}}
    assert problems(whole(workspaces=two, feeds=feeds)) == [
        Problem("feeds.f.workspace", "is missing: name one of acme, beta")
    ]


def test_all_problems_are_listed_in_the_order_of_the_data() -> None:
    data = {
        "timezone": "Nowhere",
        "feeds": {"b": {"done": "maybe", "colour": "red"}, "a": {"assignee": "x", "alarm": 3}},
        "workspaces": {"acme": {"api_key": 7}},
        "gzip": 2,
    }
    assert [problem.path for problem in problems(data)] == [
        "secret",
        "timezone",
        "feeds.b",
        "feeds.b.done",
        "feeds.b.colour",
        "feeds.a.alarm",
        "workspaces.acme.url",
        "workspaces.acme.api_key",
        "gzip",
    ]


def test_a_misspelt_key_is_one_problem_not_two() -> None:
    data = whole(workspaces={"acme": {"ulr": "https://x", "api_key": KEY}}, feeds={"f": {"projct": "A"}})
    assert [problem.path for problem in problems(data)] == ["workspaces.acme.ulr", "feeds.f.projct"]


def test_known_problems_are_reported_once() -> None:
    known = [Violation(("secret",), "the environment variable X is not set")]
    assert problems(whole(secret="", gzip=2), known=known) == [
        Problem("secret", "the environment variable X is not set"),
        Problem("gzip", "must be true or false"),
    ]


def test_the_error_names_its_source_and_lists_the_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        decode(whole(gzip=2, colour=1), "my.yaml")
    assert str(caught.value).splitlines()[0] == "my.yaml: 2 problems"
    assert "  gzip: must be true or false" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a", "b", 0), "a.b[0]"),
        (("feeds", "a.b", "c"), 'feeds["a.b"].c'),
        (("ä\n",), '["\\u00e4\\n"]'),
    ],
)
def test_paths_are_written_for_people(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


HIDDEN = "hunter2-Xq9"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.dates(),
    st.binary(max_size=3),
    st.just(HIDDEN),
    st.sampled_from(
        ["https://plane.example.com", "all", "PROP", "90d", "-PT15H", "red", "{name}", "*", "https://x"]
    ),
)


def _keys(struct: Any = Config) -> Iterator[str]:
    seen = {
        "workspaces",
        "feeds",
        "push",
        "where",
        "not",
        "cache",
        "auto",
        "embed",
        "window",
        "acme",
        "urgent",
    }
    yield from sorted(seen | set(Config.__struct_fields__) | set(Feed.__struct_fields__))


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(
        st.sampled_from(list(_keys())),
        st.sampled_from(["url", "api_key", "feed", "token"]),
        st.text(max_size=4),
    )
    return st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(keys, st.none(), st.integers()), inner, max_size=5),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(SCALARS, _nested, max_leaves=25))
def test_any_data_is_a_configuration_or_a_config_error_without_its_values(data: object) -> None:
    try:
        said = ""
        decode(data, "feeds.yaml", zones=ZONES)
    except ConfigError as error:
        said = str(error) + repr(error) + repr(error.problems)
    assert HIDDEN not in said
    said.encode()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_message_repeats_a_value_wherever_it_is(draw: st.DataObject) -> None:
    data: Any = target(where={"priority": "high"}) | {"cors": ["https://x"], "admin_token": "t" * 20}
    places = [place for place in _leaves(data, ()) if place]
    *parents, last = draw.draw(st.sampled_from(places))
    holder = data
    for step in parents:
        holder = holder[step]
    holder[last] = draw.draw(
        st.sampled_from([HIDDEN, [HIDDEN], {"x": HIDDEN}, f"${{{HIDDEN}", f"https://u:{HIDDEN}@h/"])
    )
    try:
        said = ""
        read(data)
    except ConfigError as error:
        said = str(error)
    assert HIDDEN not in said


def _leaves(data: Any, at: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(data, Mapping | list):
        yield from (
            place
            for key, value in (data.items() if isinstance(data, Mapping) else enumerate(data))
            for place in (((*at, key)), *_leaves(value, (*at, key)))
        )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (True, True),
        (False, False),
        ("old", ("old",)),
        (["old", "older@abcdefghijkl"], ("old", "older@abcdefghijkl")),
    ],
)
def test_adopt_is_a_boolean_or_a_list_of_former_feeds(given: object, meant: object) -> None:
    assert decode(target(adopt=given), "test").push["t"].adopt == meant
