"""What the Containerfile promises; .ci/container.py runs its steps."""

import re
from pathlib import Path

from containerfile import environment, one, stages

ROOT = Path(__file__).parents[1]
BUILD, FINAL = stages(ROOT / "Containerfile")


def test_the_final_stage_runs_nothing_and_takes_two_folders() -> None:
    words = [instruction.word for instruction in FINAL]
    assert "RUN" not in words
    copies = [instruction.text for instruction in FINAL if instruction.word == "COPY"]
    assert copies == [
        "--from=build /opt/icsfeed /opt/icsfeed",
        "--from=build --chown=10001:10001 /opt/state/ /var/lib/",
    ]


def test_it_runs_as_an_unprivileged_user_with_its_state_in_one_volume() -> None:
    assert one(FINAL, "USER").text == "10001:10001"
    assert one(FINAL, "VOLUME").text == environment(FINAL)["STATE_DIRECTORY"] == "/var/lib/icsfeed"


def test_every_dependency_comes_from_the_lock() -> None:
    runs = [instruction.text for instruction in BUILD if instruction.word == "RUN"]
    installs = [run for run in runs if "install " in run.replace("install -d", "") or "uv sync" in run]
    assert len(installs) == 3
    assert installs[0].startswith("pip install --no-cache-dir uv==")
    assert all(run.startswith("uv sync --no-cache --frozen --no-default-groups") for run in installs[1:])


def test_the_release_is_built_by_the_same_uv_as_the_image() -> None:
    files = ("Containerfile", ".ci/release.sh", ".github/workflows/pages.yml")
    texts = [path.read_text(encoding="utf-8") for name in files if (path := ROOT / name).exists()]
    assert texts  # tests of the built wheel have the first file alone
    assert len({version for text in texts for version in re.findall(r"uv==(\S+)", text)}) == 1


def test_icsfeed_checks_its_health_and_sigterm_stops_it() -> None:
    assert one(FINAL, "HEALTHCHECK").command == ["icsfeed", "status", "--live"]
    assert one(FINAL, "ENTRYPOINT").command + one(FINAL, "CMD").command == [
        "icsfeed",
        "serve",
        "--host",
        "0.0.0.0",  # noqa: S104
    ]
    assert one(FINAL, "STOPSIGNAL").text == "SIGTERM"


def test_it_has_labels() -> None:
    label = one(FINAL, "LABEL").text
    for name in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{name}=" in label


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source.removeprefix("./")
        for instruction in BUILD
        if instruction.word == "COPY"
        for source in instruction.text.split()[:-1]
    }
    assert "*" in lines
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied - {"icsfeed"})  # which is installed, in CI
