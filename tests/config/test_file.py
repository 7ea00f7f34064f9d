"""feeds.yaml, the environment and the files of secrets to Config."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import trustme
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs
from signing_world import made_signing

from icsfeed.config import schema as config_module
from icsfeed.config.addresses import slug_of
from icsfeed.config.file import (
    MAX_FILE_BYTES,
    SECRET_FILES,
    example_text,
    find,
    from_environment,
    load,
)
from icsfeed.config.schema import Config, Match, ProfileSigning, Secret
from icsfeed.errors import ConfigError, Problem

ZONES = {"UTC", "Europe/Berlin"}
SECRET = "s3cr3t-" * 6
ENVIRON = {
    "ICSFEED_PROXY_SECRET": SECRET,
    "ICSFEED_SECRET": SECRET,
    "PLANE_API_KEY": "plane_api_key",
    "ICSFEED_ADMIN_TOKEN": "admin-" * 4,
    "PLANE_WEBHOOK_SECRET": "plane_wh_secret",
    "PLANE_WEBHOOK_SECRET_OLD": "plane_wh_secret",
    "DAV_PASSWORD": "pw",
    "DAV_TOKEN": "tk",
}
HEAD = f"secret: {SECRET}\nworkspaces: {{acme: {{url: https://plane.example.com, api_key: k}}}}\n"


class Folder:
    """A folder with a configuration in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Path:
        file = self.path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def load(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
        return load(self.write("feeds.yaml", text), environ or {}, ZONES)

    def problems(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            self.load(text, environ)
        assert caught.value.__cause__ is None
        assert caught.value.source == str(self.path / "feeds.yaml")
        return list(caught.value.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_file_is_loaded(folder: Folder) -> None:
    config = folder.load(HEAD + "feeds: {all: {everything: true}}\n")
    assert config.feeds["all"].everything
    assert config.secret == Secret(SECRET)


def test_a_full_configuration_loads_as_it_is_written(folder: Folder) -> None:
    design = """
public_url: https://cal.example.com  # may hold a path
timezone: Europe/Berlin
language: en
secret: ${ICSFEED_SECRET}
admin_token: ${ICSFEED_ADMIN_TOKEN}
workspaces:
  acme:
    url: https://plane.example.com
    api_key: ${PLANE_API_KEY}
    active: true
    title: Property team
    description: Property management
    projects: [PROP, OPS]
    webhook_from: [10.0.0.0/8]
    webhook_secret: ${PLANE_WEBHOOK_SECRET}
feeds:
  property:  {project: PROP, title: Property issues}
  anna:      {assignee: anna@example.com, dates: span, subscribers: [phone, laptop]}
  urgent:
    {projects: [PROP, OPS], window: {past: 90d, ahead: 400d}, where: {state: [started]}, alarm: [-PT15H]}
  all:       {everything: true, include: [issues, cycles], public: true}
auto: {projects: true, assignees: true}
push:
  team: {feed: all, url: https://dav.example.com/c/, username: bot, password: ${DAV_PASSWORD}}
embed: {frame_ancestors: [https://intranet.example.com]}
cors: [https://intranet.example.com]
cache: {issues: 60}
store: file
gzip: true
"""
    config = folder.load(design, ENVIRON)
    assert config.push["team"].password == Secret("pw")
    assert config.feeds["urgent"].alarm == (-54000,)


def test_the_time_zones_of_the_system_are_known(folder: Folder) -> None:
    path = folder.write("feeds.yaml", HEAD + "timezone: Europe/Berlin\n")
    assert load(path, {}).timezone == "Europe/Berlin"


def test_variables_are_filled_in_anywhere(folder: Folder) -> None:
    feed_text = "{projects: [A, ${KEY}], title: 'x ${A}${B} $${C} $D', refresh: ${EVERY}}"
    text = HEAD + f"feeds: {{a: {feed_text}}}\ngzip: ${{GZIP}}\n"
    environ = {"KEY": "B", "A": "1", "B": "${KEY}", "EVERY": "600", "GZIP": "false"}
    config = folder.load(text, environ)
    feed = config.feeds["a"]
    assert (feed.projects, feed.title, feed.refresh) == (("A", "B"), "x 1${KEY} ${C} $D", 600)
    assert config.gzip is False


def test_an_unset_variable_is_a_problem_at_its_path_and_the_only_one(folder: Folder) -> None:
    text = (
        "secret: ${A}\nworkspaces: {acme: {url: https://${B}/x, api_key: ${A}}}\n"
        "feeds: {f: {projects: [X, ${C}]}}\n"
    )
    assert folder.problems(text, {"B": "plane"}) == [
        Problem("secret", "the environment variable A is not set"),
        Problem("workspaces.acme.api_key", "the environment variable A is not set"),
        Problem("feeds.f.projects[1]", "the environment variable C is not set"),
    ]


@pytest.mark.parametrize("text", ["${}", "${a-b}", "${X:-y}", "${", "a${X", "${ X }"])
def test_a_malformed_variable_says_how_to_write_one(folder: Folder, text: str) -> None:
    (problem,) = folder.problems(HEAD + f"feeds: {{f: {{everything: true, title: '{text}'}}}}\n")
    assert problem == Problem("feeds.f.title", "holds a ${ without NAME}: write $${ for a plain ${")


@pytest.mark.parametrize("content", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n"])
def test_a_secret_comes_from_a_file_without_its_line_break(folder: Folder, content: str) -> None:
    folder.write("secret.txt", content)
    config = folder.load(HEAD.replace(f"secret: {SECRET}", "secret_file: secret.txt"))
    assert config.secret == Secret(SECRET)
    assert config.secret_file == str(folder.path / "secret.txt")


def test_a_variable_may_name_the_file_of_a_secret(folder: Folder) -> None:
    folder.write("key", "plane_key\n")
    acme = "{url: https://x, api_key_file: ${CREDENTIALS_DIRECTORY}/key}"
    text = f"secret: {SECRET}\nworkspaces: {{acme: {acme}}}\n"
    config = folder.load(text, {"CREDENTIALS_DIRECTORY": str(folder.path)})
    assert config.workspaces["acme"].api_key == Secret("plane_key")


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("admin_token_file: nowhere", "admin_token_file", "cannot be read: No such file or directory"),
        ("admin_token_file: .", "admin_token_file", "cannot be read: Is a directory"),
        ("admin_token_file: empty", "admin_token_file", "names an empty file"),
        ("admin_token_file: binary", "admin_token_file", "it is not UTF-8 text"),
        ("admin_token_file: ${NOT_SET}", "admin_token_file", "NOT_SET is not set"),
        ("admin_token_file: 3", "admin_token_file", "write it in quotes"),
        ("admin_token_file: short", "admin_token", "needs 16 characters or more"),
        (
            "admin_token: x\nadmin_token_file: short",
            "admin_token_file",
            "cannot be combined with admin_token",
        ),
    ],
)
def test_a_file_that_holds_no_secret_is_a_problem(folder: Folder, line: str, path: str, words: str) -> None:
    for name, content in (("empty", b"\n"), ("binary", b"\xff\xfe"), ("short", b"tiny-token\n")):
        folder.write(name, content)
    problem = folder.problems(HEAD + line)[-1]
    assert problem.path == path
    assert words in problem.message
    assert "tiny-token" not in problem.message


def test_a_certificate_authority_is_a_path_that_must_exist(folder: Folder) -> None:
    push = (
        "feeds: {f: {everything: true}}\npush: {t: {feed: f, url: https://x/, token: t, ca_file: ca.pem}}\n"
    )
    assert folder.problems(HEAD + push)[0].path == "push.t.ca_file"
    folder.write("ca.pem", "pem")
    assert "no certificate" in folder.problems(HEAD + push)[0].message
    folder.write("ca.pem", trustme.CA().cert_pem.bytes().decode())
    assert folder.load(HEAD + push).push["t"].ca_file == str(folder.path / "ca.pem")


@pytest.mark.parametrize(
    ("line", "environ", "seconds"),
    [
        ("", {}, 300),
        ("", {"SYNC_INTERVAL_SECONDS": "90"}, 90),
        ("", {"SYNC_INTERVAL_SECONDS": ""}, 300),
        ("sync_interval: 10m\n", {"SYNC_INTERVAL_SECONDS": "90"}, 600),
    ],
)
def test_how_often_targets_are_pushed_may_come_from_the_environment(
    folder: Folder, line: str, environ: dict[str, str], seconds: int
) -> None:
    assert folder.load(HEAD + line, environ).sync_interval == seconds


def test_every_key_that_names_a_file_of_a_secret_is_read() -> None:
    fields = (getattr(kind, "__struct_fields__", ()) for kind in vars(config_module).values())
    names = {key for keys in fields for key in keys if key.endswith("_file")}
    assert names - {"ca_file", "certificate_file", "key_file"} == SECRET_FILES


def test_files_to_sign_profiles_with_are_tried(folder: Folder) -> None:
    signing = "profile_signing: {certificate_file: signing.pem, key_file: signing.key}\n"
    assert folder.problems(HEAD + signing) == [
        Problem("profile_signing.certificate_file", "cannot be read: No such file or directory"),
        Problem("profile_signing.key_file", "cannot be read: No such file or directory"),
    ]
    made_signing(folder.path)
    config = folder.load(HEAD + signing)
    assert config.profile_signing == ProfileSigning(
        str(folder.path / "signing.pem"), str(folder.path / "signing.key")
    )
    folder.write("signing.key", "hidden")
    reason = "key_file holds no private key that can be used (PEM)"
    assert folder.problems(HEAD + signing) == [Problem("profile_signing", reason)]
    one = "profile_signing: {certificate_file: signing.pem}\n"
    assert [problem.path for problem in folder.problems(HEAD + one)] == ["profile_signing.key_file"]


def test_keys_given_twice_are_problems_with_their_lines(folder: Folder) -> None:
    twice = "feeds:\n  a: {everything: true}\n  a:\n    everything: true\n    done: keep\n    done: drop\n"
    text = f"{HEAD}gzip: true\n{twice}gzip: false\n"
    assert folder.problems(text) == [
        Problem("gzip", "is given twice, in lines 3 and 10: keep one"),
        Problem("feeds.a", "is given twice, in lines 5 and 6: keep one"),
        Problem("feeds.a.done", "is given twice, in lines 8 and 9: keep one"),
    ]


def test_anchors_and_merges_work_and_are_not_duplicates(folder: Folder) -> None:
    text = HEAD + "feeds:\n  a: &a {everything: true, done: keep}\n  b: {<<: *a, done: drop}\n"
    feeds = folder.load(text).feeds
    assert (feeds["a"].done, feeds["b"].done, feeds["b"].everything) == ("keep", "drop", True)


@pytest.mark.parametrize("key", ["NO", "ON", "on", "Yes", "2024", "2024-01-31", "1:30", "0o7", "3.5"])
def test_values_that_yaml_reads_otherwise_are_read_back_or_need_quotes(folder: Folder, key: str) -> None:
    text = HEAD + f"feeds: {{f: {{projects: [A, {key}]}}}}\n"
    if isinstance(yaml.safe_load(key), str):
        assert folder.load(text).feeds["f"].projects == ("A", key)
        return
    (problem,) = folder.problems(text)
    assert problem.path == "feeds.f.projects[1]"
    assert problem.message.endswith("write it in quotes")
    assert folder.load(text.replace(key, f'"{key}"')).feeds["f"].projects == ("A", key)


BROKEN: list[tuple[str | bytes, str]] = [
    ("", "is empty: `icsfeed init` writes an example"),
    ("# nothing\n", "is empty"),
    ("---\n", "is empty"),
    ("- a\n", "must be a mapping"),
    ("hello\n", "must be a mapping"),
    ("a: b: c\n", "line 1, column 5: is not YAML"),
    ("a:\n\t- b\n", "line 2, column 1: is not YAML: found character '\\t' that cannot start any token"),
    ("feeds: {a: [}\n", "line 1, column 13: is not YAML"),
    ("secret: *hunter2\n", "line 1, column 9: is not YAML: a value that starts with & * ! or % needs quotes"),
    ("secret: !hunter2 x\n", "line 1, column 9: is not YAML: a value that starts with & * ! or %"),
    ("secret: @hunter2\n", "line 1, column 9: is not YAML"),
    ("a: 1\n---\nb: 2\n", "line 2, column 1: is not YAML"),
    ("{[a]: b}\n", "is not YAML"),
    ("a: \x07\n", "holds a character that YAML does not allow"),
    (b"a: \xff\n", "it is not UTF-8 text"),
    ("a: 2024-13-45\n", "holds a date, number or tag that cannot be read"),
    ("a: !!int ''\n", "holds a date, number or tag that cannot be read"),
    ("a: !!bool x\n", "holds a date, number or tag that cannot be read"),
    (f"a: {'9' * 5000}\n", "holds a date, number or tag that cannot be read"),
    ("[" * 5000, "is nested too deeply"),
    ("a: &a [*a]\n", "or an alias that holds itself"),
    ("a: &a {b: *a}\n", "or an alias that holds itself"),
    (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 9)),
        "more than 100000 values",
    ),
    (
        "a0: &a0 {x: y}\n" + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1},' * 9}]}}\n" for n in range(1, 9)),
        "more than",
    ),
    ("#" * (MAX_FILE_BYTES + 1), "is larger than 1024 KiB"),
]


@pytest.mark.parametrize(("text", "words"), BROKEN, ids=[words[:40] for _, words in BROKEN])
def test_a_file_that_is_not_a_configuration_is_one_clear_problem(
    folder: Folder, text: str | bytes, words: str
) -> None:
    (problem,) = folder.problems(text)
    assert problem.path == ""
    assert words in problem.message
    assert "hunter2" not in problem.message


def test_a_missing_file_is_a_problem(folder: Folder) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load(folder.path / "nowhere.yaml", {}, ZONES)


def test_a_byte_order_mark_is_ignored(folder: Folder) -> None:
    assert folder.load(b"\xef\xbb\xbf" + HEAD.encode()).secret == Secret(SECRET)


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("ab:-{}[],&*!|>'\"#%@`$ \n\t<?=.0123~é"), max_size=60))
def test_any_text_is_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load(path, {}, ZONES)


def test_the_file_is_the_argument_then_the_environments_then_the_local_then_the_systems(
    tmp_path: Path,
) -> None:
    system = tmp_path / "etc.yaml"
    environ = {"ICSFEED_CONFIG": "/srv/env.yaml"}
    assert find(None, {}, tmp_path, system) is None
    system.touch()
    assert find(None, {}, tmp_path, system) == system
    (tmp_path / "feeds.yaml").touch()
    assert find(None, {}, tmp_path, system) == tmp_path / "feeds.yaml"
    assert find(None, environ, tmp_path, system) == Path("/srv/env.yaml")
    assert find("own.yaml", environ, tmp_path, system) == tmp_path / "own.yaml"


ALONE = {
    "PLANE_BASE_URL": "https://plane.example.com/",
    "PLANE_WORKSPACE": "acme",
    "PLANE_API_KEY": "key",
    "ICSFEED_SECRET": SECRET,
}


def test_the_environment_is_enough_for_one_workspace() -> None:
    config = from_environment({**ALONE, "PLANE_WEBHOOK_SECRET": "wh", "PATH": "/bin"}, ZONES)
    workspace = config.workspaces["acme"]
    assert (workspace.url, workspace.api_key, workspace.webhook_secret) == (
        "https://plane.example.com",
        Secret("key"),
        Secret("wh"),
    )
    assert config.feeds["all"].everything
    assert (config.auto.projects, config.auto.assignees, config.cache.issues) == (True, True, 60)


def test_the_environment_sets_what_else_a_server_needs() -> None:
    more = {
        "SYNC_INTERVAL_SECONDS": "60",
        "ICSFEED_TIMEZONE": "Europe/Berlin",
        "ICSFEED_PUBLIC_URL": "https://cal.example.com",
        "ICSFEED_ADMIN_TOKEN": "t" * 16,
    }
    config = from_environment({**ALONE, **more}, ZONES)
    assert (config.cache.issues, config.timezone, config.public_url) == (
        60,
        "Europe/Berlin",
        "https://cal.example.com",
    )
    assert config.admin_token == Secret("t" * 16)


def test_problems_of_the_environment_name_the_variables() -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(
            {"PLANE_WORKSPACE": "", "ICSFEED_SECRET": "hunter2", "SYNC_INTERVAL_SECONDS": "soon"}, ZONES
        )
    assert caught.value.source == "environment"
    assert [problem.path for problem in caught.value.problems] == [
        "PLANE_WORKSPACE",
        "PLANE_BASE_URL",
        "PLANE_API_KEY",
        "SYNC_INTERVAL_SECONDS",
        "ICSFEED_SECRET",
    ]
    assert "hunter2" not in str(caught.value)


def test_a_token_in_the_environment_stands_in_place_of_the_key() -> None:
    environ = {name: value for name, value in ALONE.items() if name != "PLANE_API_KEY"}
    [workspace] = from_environment({**environ, "PLANE_TOKEN": "bearer"}, ZONES).workspaces.values()
    assert (workspace.token, workspace.api_key) == (Secret("bearer"), None)


@pytest.mark.parametrize(
    ("url", "named", "slug"),
    [
        ("https://app.plane.so/acme/projects/", "", "acme"),
        ("https://ACME.plane.so", "", "acme"),
        ("https://acme.plane.so", "other", "other"),
        ("https://app.plane.so", "other", "other"),
    ],
)
def test_the_environment_takes_the_slug_from_the_address_too(url: str, named: str, slug: str) -> None:
    config = from_environment({**ALONE, "PLANE_BASE_URL": url, "PLANE_WORKSPACE": named}, ZONES)
    assert [slug_of(name, workspace) for name, workspace in config.workspaces.items()] == [slug]


def test_a_workspace_in_the_environment_must_not_contradict_the_address() -> None:
    contradicting = {"PLANE_BASE_URL": "https://app.plane.so/acme/projects/", "PLANE_WORKSPACE": "other"}
    with pytest.raises(ConfigError) as caught:
        from_environment({**ALONE, **contradicting}, ZONES)
    assert [problem.path for problem in caught.value.problems] == ["PLANE_WORKSPACE"]


def test_a_workspace_in_the_environment_must_be_a_slug() -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment({**ALONE, "PLANE_WORKSPACE": "My Team"}, ZONES)
    assert [problem.path for problem in caught.value.problems] == ["PLANE_WORKSPACE"]


def test_the_example_loads(folder: Folder) -> None:
    needed = {name: ENVIRON[name] for name in ("ICSFEED_SECRET", "PLANE_API_KEY")}
    assert set(folder.load(example_text(), needed).feeds) == {"property", "anna", "urgent", "all", "tasks"}


def test_the_example_loads_with_all_that_is_commented_out(folder: Folder) -> None:
    config = _example(folder)
    assert set(config.push) == {"team", "by-token"}


def test_the_defaults_in_the_example_are_the_defaults(folder: Folder) -> None:
    config = _example(folder)
    bare = folder.load(HEAD)
    assert (config.cache, config.gzip, config.store, config.language) == (
        bare.cache,
        bare.gzip,
        bare.store,
        bare.language,
    )


def test_the_example_has_every_key_where_it_belongs() -> None:
    text = example_text()
    data = yaml.safe_load(_uncommented(text))
    missing = [key for key in _missing(Config, [data]) if not key.endswith("_file")]
    assert missing == []
    assert [key for key in SECRET_FILES if f"{key}: FILE" not in text] == []


def _example(folder: Folder) -> Config:
    """The example with all its keys, next to the files that it names."""
    folder.write("ca.pem", trustme.CA().cert_pem.bytes().decode())
    made_signing(folder.path)
    return load(folder.write("feeds.yaml", _without_the_token(_uncommented(example_text()))), ENVIRON)


def _without_the_token(text: str) -> str:
    """The token stands in place of the API key. With a second workspace the feeds would need to name one."""
    assert text.count("    token: ${PLANE_TOKEN}\n") == 1
    return text.replace("    token: ${PLANE_TOKEN}\n", "")


def test_the_example_loads_with_the_token_in_place_of_the_key(folder: Folder) -> None:
    text = (
        example_text()
        .replace("    api_key: ${PLANE_API_KEY}\n", "")
        .replace("#token: ${PLANE", "token: ${PLANE")
    )
    config = folder.load(text, {"ICSFEED_SECRET": SECRET, "PLANE_TOKEN": "bearer"})
    assert config.workspaces["acme"].token == Secret("bearer")


def _uncommented(text: str) -> str:
    """Options behind `#` have no space after it, or their indentation; prose has one space."""
    return re.sub(r"(?m)^( *)#(?=\S|  )", r"\1", text)


def _inside(kind: Any) -> Iterator[type[Struct]]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
    for part in get_args(kind):
        yield from _inside(part)


def _missing(struct: type[Struct], shown: list[dict[str, Any]]) -> Iterator[str]:
    """Keys of a struct that none of the mappings shown for it has, and of the structs in it."""
    for one in structs.fields(struct):
        values = [data[one.encode_name] for data in shown if one.encode_name in data]
        if not values:
            yield f"{struct.__name__}.{one.encode_name}"
        for kind in set(_inside(one.type)) - {Match}:  # `not` takes the keys of `where`
            several = get_origin(one.type) is Mapping
            yield from _missing(
                kind, [part for value in values for part in (value.values() if several else [value])]
            )
