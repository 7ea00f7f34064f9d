"""Files for other programs name what there is: metrics, ports, paths, keys and commands of icsfeed."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_world import SECRET
from click.testing import CliRunner
from containerfile import environment, one, stages
from test_docs import REFERENCE

from icsfeed.cli.commands import cli
from icsfeed.config.file import load

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
FINAL = stages(ROOT / "Containerfile")[-1]
COMPOSE = yaml.safe_load((ROOT / "docs/compose.yaml").read_text(encoding="utf-8"))
MANIFESTS = sorted((PACKAGING / "kubernetes").glob("*.yaml"))


def metrics() -> Mapping[str, str]:
    """The metrics of a running server by name, with their types: docs/reference.py asks one."""
    section = REFERENCE.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(icsfeed_\w+)` \| (\w+) \|", section, re.MULTILINE))


def queried() -> Iterator[str]:
    dashboard = json.loads((PACKAGING / "prometheus/grafana.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"] for variable in dashboard["templating"]["list"])
    rules = yaml.safe_load((PACKAGING / "prometheus/icsfeed.rules.yml").read_text(encoding="utf-8"))
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])


def test_dashboard_and_alerts_query_metrics_that_exist() -> None:
    known = {
        name if kind != "summary" else f"{name}{part}"
        for name, kind in metrics().items()
        for part in (("",) if kind != "summary" else ("_sum", "_count"))
    }
    named = {name for query in queried() for name in re.findall(r"\bicsfeed_\w+", query)}
    assert len(named) > 15
    assert sorted(named - known) == []


def test_the_dashboard_shows_every_metric() -> None:
    shown = {
        re.sub(r"_(sum|count)$", "", name)
        for query in queried()
        for name in re.findall(r"\bicsfeed_\w+", query)
    }
    assert sorted(metrics().keys() - shown) == []


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = json.loads((PACKAGING / "prometheus/grafana.json").read_text(encoding="utf-8"))["panels"]
    cells = [cell for panel in panels for cell in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def _cells(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        yield from ((x, y) for y in range(place["y"], place["y"] + place["h"]))


def objects() -> Mapping[tuple[str, str], dict[str, Any]]:
    """The Kubernetes objects by kind and name."""
    texts = (path.read_text(encoding="utf-8") for path in MANIFESTS if path.name != "feeds.yaml")
    found = (item for text in texts for item in yaml.safe_load_all(text))
    return {(item["kind"], item.get("metadata", {}).get("name", "")): item for item in found}


def kustomization() -> dict[str, Any]:
    return objects()["Kustomization", ""]


def server() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of the server, and its container."""
    pod = objects()["Deployment", "icsfeed"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def accepts(arguments: Iterable[str]) -> bool:
    """Whether the command line takes these arguments."""
    options = [argument for argument in arguments if argument.startswith("--")]
    shown = CliRunner().invoke(cli, [next(iter(arguments)), "--help"])
    return shown.exit_code == 0 and all(option in shown.output for option in options)


def test_kustomize_finds_all_files() -> None:
    named = [*kustomization()["resources"], "feeds.yaml", "kustomization.yaml"]
    assert sorted(named) == [path.name for path in MANIFESTS]
    assert (PACKAGING / "kubernetes/secrets.env").exists()
    assert kustomization()["configMapGenerator"] == [{"name": "icsfeed", "files": ["feeds.yaml"]}]
    assert kustomization()["secretGenerator"] == [{"name": "icsfeed", "envs": ["secrets.env"]}]


def test_the_pod_is_what_the_containerfile_makes() -> None:
    pod, container = server()
    user = one(FINAL, "USER").text
    security = pod["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
    assert [port["containerPort"] for port in container["ports"]] == [int(one(FINAL, "EXPOSE").text)]
    assert environment(FINAL)["STATE_DIRECTORY"] in {
        mount["mountPath"] for mount in container["volumeMounts"]
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    assert accepts(container["args"])
    assert {variable["name"] for variable in container["env"]} <= _variables()
    assert container["image"] == kustomization()["images"][0]["name"]


def _variables() -> set[str]:
    text = (ROOT / "docs/administration.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([A-Z_]+)`", text))


def test_probes_ask_addresses_that_exist() -> None:
    _, container = server()
    routes = set(re.findall(r"^\| [A-Z, ]*GET[A-Z, ]* `([^`]+)` \|", REFERENCE, re.MULTILINE))
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/health/ready",
    }
    assert set(paths.values()) <= routes


def test_the_pod_has_no_rights() -> None:
    for name in ("icsfeed", "valkey"):
        pod = objects()["Deployment", name]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_selectors_find_the_pods() -> None:
    for name, service in (("icsfeed", "icsfeed"), ("valkey", "valkey")):
        template = objects()["Deployment", name]["spec"]["template"]
        labels = template["metadata"]["labels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        for selector in (
            objects()["Deployment", name]["spec"]["selector"]["matchLabels"],
            objects()["Service", service]["spec"]["selector"],
            objects()["NetworkPolicy", name]["spec"]["podSelector"]["matchLabels"],
        ):
            assert selector.items() <= labels
        assert {port["targetPort"] for port in objects()["Service", service]["spec"]["ports"]} <= ports
    budget = objects()["PodDisruptionBudget", "icsfeed"]["spec"]
    assert budget["minAvailable"] < objects()["Deployment", "icsfeed"]["spec"]["replicas"]


def test_its_configuration_loads_with_its_secrets(tmp_path: Path) -> None:
    text = (PACKAGING / "kubernetes/feeds.yaml").read_text(encoding="utf-8")
    secrets = (PACKAGING / "kubernetes/secrets.env").read_text(encoding="utf-8")
    for line in secrets.splitlines():
        (tmp_path / line.partition("=")[0]).write_text(SECRET, encoding="utf-8")
    _, container = server()
    mounted = next(item["mountPath"] for item in container["volumeMounts"] if item["name"] == "secrets")
    assert mounted in text
    (tmp_path / "feeds.yaml").write_text(text.replace(mounted, str(tmp_path)), encoding="utf-8")
    config = load(tmp_path / "feeds.yaml", {})
    assert config.store.reveal() == "redis://valkey:6379/0"
    assert container["args"][-1] == "/etc/icsfeed/feeds.yaml"


def test_valkey_is_the_same_everywhere() -> None:
    (container,) = objects()["Deployment", "valkey"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == COMPOSE["services"]["valkey"]["image"]


QUADLET_KEYS = {
    "Container": {
        *(
            "Image",
            "Exec",
            "PublishPort",
            "Volume",
            "Secret",
            "ReadOnly",
            "DropCapability",
            "NoNewPrivileges",
        ),
        *("HealthCmd", "HealthInterval", "HealthOnFailure", "StopTimeout"),
    },
    "Volume": {"VolumeName"},
}
"""Keys of podman-systemd.unit(5) that we use. Debian 12 has Podman 4.3, which cannot read quadlets."""


@pytest.mark.parametrize("name", ["icsfeed.container", "icsfeed.volume"])
def test_a_quadlet_has_keys_that_podman_knows(name: str) -> None:
    assert {key for key, _ in _quadlet(name)} <= QUADLET_KEYS[name.partition(".")[2].title()]


def _quadlet(name: str) -> list[tuple[str, str]]:
    """The keys and values of the section that is Podman's; a key may be repeated."""
    text = (PACKAGING / "quadlet" / name).read_text(encoding="utf-8")
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.read_string(text)  # refuses what is not a unit
    section = text.partition(f"[{name.partition('.')[2].title()}]\n")[2].partition("\n[")[0]
    lines = (line for line in section.splitlines() if line and not line.startswith("#"))
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def test_the_quadlet_runs_the_container_as_the_containerfile_and_compose_say() -> None:
    keys = _quadlet("icsfeed.container")
    given = dict(keys)
    assert accepts(given["Exec"].split())
    assert given["Exec"].split() == COMPOSE["services"]["icsfeed"]["command"]
    assert given["HealthCmd"].split() == one(FINAL, "HEALTHCHECK").command
    assert given["PublishPort"].split(":")[-1] == one(FINAL, "EXPOSE").text
    targets = [value.split(":")[1] for key, value in keys if key == "Volume"]
    assert targets == [environment(FINAL)["STATE_DIRECTORY"], "/etc/icsfeed/feeds.yaml"]
    assert all(f"uid={one(FINAL, 'USER').text.partition(':')[0]}" in v for k, v in keys if k == "Secret")
