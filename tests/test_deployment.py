"""The compose file and the reverse proxies of docs/, run with Debian's nginx and Caddy."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from cli_world import SECRET, line_with, plane_served, run, running
from plane.sample import sample
from web_servers import caddy, free_port, nginx

from icsfeed.config.file import load
from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.web.client_address import PROOF_HEADER

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docs/compose.yaml").read_text(encoding="utf-8")
ADMINISTRATION = (ROOT / "docs/administration.md").read_text(encoding="utf-8")
PROXY_SECRET = "what-is-between-proxy-and-icsfeed"
PUBLIC = "https://cal.example.com"


class Proxied(NamedTuple):
    """The URLs of icsfeed and of the proxy, the paths of two links, and the folder with the proxy's logs."""

    own: str
    url: str
    private: str
    public: str
    work: Path


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home, work, port = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("proxy"), free_port()
    with plane_served(sample(datetime.now(UTC).date())) as plane:
        (home / "feeds.yaml").write_text(
            f"secret: {SECRET}\npublic_url: {PUBLIC}\n"
            "trusted_proxies: [127.0.0.1]\nallowed_hosts: [cal.example.com]\n"
            f"auth_proxy: {{header: X-Forwarded-Email, from: [127.0.0.1], secret: {PROXY_SECRET}}}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}, webhook_secret: hook}}}}\n"
            "feeds: {property: {project: PROP}, all: {everything: true, public: true}}\n",
            encoding="utf-8",
        )
        env = {"STATE_DIRECTORY": str(home / "state")}
        with running("serve", "--port", str(port), cwd=home, env=env) as server:
            own = line_with(server, "listening on").split()[-1]
            feeds = json.loads(run("urls", "--json", cwd=home, env=env).stdout)["feeds"]
            private, public = (feeds[name]["ics"].removeprefix(PUBLIC) for name in ("property", "all"))
            with _proxy(request.param, work, port) as url:
                yield Proxied(own, url, private, public, work)


def _proxy(name: str, work: Path, port: int) -> Any:
    if name == "caddy":
        site = (ROOT / "docs/Caddyfile").read_text(encoding="utf-8")
        return caddy(site, work, f"127.0.0.1:{port}")
    site = (ROOT / "docs/nginx/proxy.conf").read_text(encoding="utf-8")
    return nginx(site.replace("127.0.0.1:8765", f"127.0.0.1:{port}"), work)


HOST = {"Host": "cal.example.com"}


@pytest.mark.parametrize("feed", ["private", "public"])
def test_a_proxy_passes_the_answers_of_the_server_on(proxied: Proxied, feed: str) -> None:
    path = getattr(proxied, feed)
    for coding in ("identity", "gzip"):
        sent = {**_host(proxied), "Accept-Encoding": coding}
        behind, direct = (
            httpx.get(proxied.url + path, headers=sent),
            httpx.get(proxied.own + path, headers=sent),
        )
        assert (behind.status_code, behind.content) == (200, direct.content)
        for name, value in direct.headers.items():
            if name not in ("date", "connection"):
                assert behind.headers.get(name) == value, name
    unchanged = httpx.get(
        proxied.url + path, headers={**_host(proxied), "If-None-Match": direct.headers["etag"]}
    )
    assert unchanged.status_code == 304
    head = httpx.head(proxied.url + path, headers=_host(proxied))
    assert (head.status_code, head.content) == (200, b"")


def _host(proxied: Proxied) -> dict[str, str]:
    """Return the Host header for nginx; Caddy gets its address, by which the test replaces the name."""
    return {} if (proxied.work / "Caddyfile").exists() else HOST


def test_errors_are_answered_by_the_server_too(proxied: Proxied) -> None:
    missing = httpx.get(f"{proxied.url}/feeds/icsf_{'a' * 26}/property.ics", headers=_host(proxied))
    assert (missing.status_code, missing.text) == (404, "There is no calendar here. Ask for a new link.\n")
    assert httpx.request("PROPFIND", proxied.url + proxied.public, headers=_host(proxied)).status_code == 405
    large = httpx.post(f"{proxied.url}/webhooks/plane", headers=_host(proxied), content=b"x" * 2_000_000)
    assert large.status_code == 413


def test_no_log_of_a_proxy_holds_a_link(proxied: Proxied) -> None:
    httpx.get(proxied.url + proxied.private, headers=_host(proxied))
    logs = "".join(path.read_text(encoding="utf-8") for path in proxied.work.glob("*.log"))
    assert "icsf_" not in logs


def test_the_proxy_and_not_the_client_names_the_client_address(proxied: Proxied) -> None:
    """Limits count real addresses: a forged one does not get a limit of its own."""
    left = []
    for n in range(3):
        forged = {**_host(proxied), "X-Forwarded-For": f"203.0.113.{n}", "Forwarded": f"for=203.0.113.{n}"}
        answer = httpx.post(f"{proxied.url}/webhooks/plane", headers=forged, content=b"{}")
        left.append(int(answer.headers["x-ratelimit-remaining"]))
    assert left == [left[0], left[0] - 1, left[0] - 2]


def test_a_forged_sign_in_header_does_not_pass_a_proxy(proxied: Proxied) -> None:
    forged = {"X-Forwarded-Email": "anna@example.com", "X-Icsfeed-Proxy-Secret": PROXY_SECRET}
    assert httpx.get(f"{proxied.own}/me", headers={**HOST, **forged}).status_code == 200
    assert httpx.get(f"{proxied.url}/me", headers={**_host(proxied), **forged}).status_code == 403


TRUSTED_HEADERS = [
    *("X-Forwarded-Email", "X-Forwarded-User", "X-Auth-Request-Email", "X-Auth-Request-User"),
    *("Remote-Email", "Remote-User", "Cf-Access-Authenticated-User-Email", PROOF_HEADER),
]


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_no_forged_header_that_icsfeed_may_trust_passes_a_proxy(name: str, tmp_path: Path) -> None:
    forged = {
        **dict.fromkeys(TRUSTED_HEADERS, "forged"),
        "X-Forwarded-For": "forged",
        "X-Forwarded-Proto": "forged",
    }
    with _upstream() as (port, received), _proxy(name, tmp_path, port) as url:
        assert httpx.get(url, headers={**forged, **(HOST if name == "nginx" else {})}).status_code == 204
    assert "forged" not in received.values()
    assert (received["x-forwarded-for"], received["x-forwarded-proto"]) == ("127.0.0.1", "http")


@contextmanager
def _upstream() -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the port of a server that answers 204, and the headers of its last request."""
    received: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.update((name.lower(), value) for name, value in self.headers.items())
            self.send_response(204)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, received
        server.shutdown()


@pytest.mark.parametrize("text", [COMPOSE, ADMINISTRATION.partition("```yml\n")[2].partition("```")[0]])
def test_compose_names_the_containerfile_which_docker_does_not_look_for(text: str) -> None:
    build = yaml.safe_load(text)["services"]["icsfeed"]["build"]
    folder = ROOT / "docs" if text == COMPOSE else ROOT
    assert (folder / build["context"] / build["dockerfile"]).resolve() == ROOT / "Containerfile"


def test_the_compose_file_gives_no_more_rights_than_needed() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    own = services["icsfeed"]
    assert own["read_only"]
    for service in services.values():
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert "ports" not in own
    assert set(own["secrets"]) == set(yaml.safe_load(COMPOSE)["secrets"])
    assert run(*own["command"][:1], "--help", cwd=ROOT).returncode == 0
    assert all("environment" not in service or name == "caddy" for name, service in services.items())


def test_the_short_compose_file_in_the_documents_agrees_with_the_whole_one() -> None:
    found = re.search(r"```yml\n(.*?)```", ADMINISTRATION, re.DOTALL)
    assert found is not None
    short, whole = yaml.safe_load(found[1])["services"], yaml.safe_load(COMPOSE)["services"]
    assert short.keys() == whole.keys()
    assert {name: one["image"] for name, one in short.items() if "image" in one} == {
        name: whole[name]["image"] for name in ("valkey", "caddy")
    }
    same = ("command", "read_only", "cap_drop", "volumes")
    assert {key: short["icsfeed"][key] for key in same} == {key: whole["icsfeed"][key] for key in same}
    for key in ("ports", "environment"):
        assert short["caddy"][key] == whole["caddy"][key]
    mounted, _, place = short["caddy"]["volumes"][0].partition(":")
    assert (ROOT / mounted).read_bytes() == (ROOT / "docs/Caddyfile").read_bytes()
    assert place == whole["caddy"]["volumes"][0].partition(":")[2]


def test_its_configuration_loads_and_trusts_its_own_network(tmp_path: Path) -> None:
    block = COMPOSE[COMPOSE.index("# In feeds.yaml:") : COMPOSE.index("# Plane's webhook")]
    text = "\n".join(line[4:] for line in block.splitlines()[1:])
    for name in set(re.findall(r"/run/secrets/([\w-]+)", text)):
        (tmp_path / name).write_text(SECRET, encoding="utf-8")
    text = text.replace("/run/secrets/", f"{tmp_path}/") + "\nauto: {projects: true}\n"
    (tmp_path / "feeds.yaml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "feeds.yaml", {})
    (subnet,) = yaml.safe_load(COMPOSE)["networks"]["inside"]["ipam"]["config"]
    assert config.trusted_proxies == (str(ip_network(subnet["subnet"])),)
