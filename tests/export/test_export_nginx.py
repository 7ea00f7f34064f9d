"""The nginx configuration that ships, in Debian's nginx, over what the export writes."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cli_world import SECRET, plane_served, run
from plane.sample import sample
from web_servers import nginx

from icsfeed.demo.sample import API_KEY, SLUG

ROOT = Path(__file__).parents[2]


class Site(NamedTuple):
    """A served export: the address, the paths of links by feed, and where nginx writes its logs."""

    url: str
    paths: dict[str, str]
    folder: Path
    work: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("nginx")
    with plane_served(sample(datetime.now(UTC).date())) as plane:
        (home / "feeds.yaml").write_text(
            f"secret: {SECRET}\npublic_url: https://cal.example.com\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
            "feeds: {property: {project: PROP}, all: {everything: true, public: true}}\n",
            encoding="utf-8",
        )
        state = {"STATE_DIRECTORY": str(home / "state")}
        done = run("export", "out", "--links", cwd=home, env=state)
        assert done.returncode == 0, done.stderr
        feeds = json.loads(run("urls", "--json", cwd=home, env=state).stdout)["feeds"]
    paths = {name: links["ics"].removeprefix("https://cal.example.com") for name, links in feeds.items()}
    conf = (ROOT / "docs/nginx/export.conf").read_text(encoding="utf-8")
    with nginx(conf.replace("/var/lib/icsfeed-export/www", str(home / "out")), work) as url:
        yield Site(url, paths, home / "out", work)


@pytest.mark.parametrize(
    ("feed", "cache"),
    [("property", "private, no-cache"), ("all", "public, max-age=60, stale-if-error=86400")],
)
def test_a_feed_has_the_headers_that_our_own_server_sends(site: Site, feed: str, cache: str) -> None:
    answer = httpx.get(site.url + site.paths[feed], headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.content == (site.folder / site.paths[feed].lstrip("/")).read_bytes()
    expected = {
        "content-type": "text/calendar; charset=utf-8",
        "content-disposition": f'inline; filename="{feed}.ics"',
        "content-length": str(len(answer.content)),
        "cache-control": cache,
        "x-robots-tag": "noindex, nofollow",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "vary": "Accept-Encoding",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert {"etag", "last-modified"} <= answer.headers.keys()
    assert "set-cookie" not in answer.headers


def test_validators_are_recognised(site: Site) -> None:
    link = site.url + site.paths["property"]
    first = httpx.get(link)
    for header in (
        {"If-None-Match": first.headers["etag"]},
        {"If-Modified-Since": first.headers["last-modified"]},
    ):
        assert httpx.get(link, headers=header).status_code == 304
    assert httpx.get(link, headers={"If-Modified-Since": "Wed, 01 Jan 2020 00:00:00 GMT"}).status_code == 200


def test_it_is_compressed_when_asked_and_head_equals_get(site: Site) -> None:
    link = site.url + site.paths["all"]
    with httpx.stream("GET", link, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join(answer.iter_raw())
    plain = httpx.get(link, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(packed) == plain.content
    head = httpx.head(link, headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (
        200,
        b"",
        plain.headers["content-length"],
    )


@pytest.mark.parametrize(
    "path",
    [
        "/feeds/icsf_aaaaaaaaaaaaaaaaaaaaaaaaaa/property.ics",
        "/feeds/property.ics",
        "/feeds/",
        "/feeds",
        "/.icsfeed-export.json",
        "/.icsfeed-export.lock",
        "/feeds/..%2f.icsfeed-export.json",
        "/feeds/%2e%2e/.icsfeed-export.json",
        "/",
    ],
)
def test_what_is_no_feed_is_one_short_404(site: Site, path: str) -> None:
    answer = httpx.get(site.url + path)
    assert (answer.status_code, answer.text) == (404, "There is no calendar here. Ask for a new link.\n")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/plain", "no-store")
    assert "www-authenticate" not in answer.headers


def test_it_is_read_only(site: Site) -> None:
    for method in ("PUT", "POST", "PROPFIND", "DELETE"):
        assert httpx.request(method, site.url + site.paths["all"]).status_code == 405


def test_no_log_holds_a_link(site: Site) -> None:
    httpx.get(site.url + site.paths["property"])
    httpx.get(f"{site.url}/feeds/icsf_bbbbbbbbbbbbbbbbbbbbbbbbbb/property.ics")
    logs = "".join(path.read_text(encoding="utf-8") for path in site.work.glob("*.log"))
    assert "icsf_" not in logs


def test_doctor_finds_nothing_wrong_with_it(site: Site, tmp_path: Path) -> None:
    report = json.loads(run("doctor", "--json", site.url + site.paths["all"], cwd=tmp_path).stdout)
    words = {one["app"]: one["word"] for one in report["apps"]}
    near = ("Thunderbird", "ICSx5", "Home Assistant", "vdirsyncer", "Apple Calendar")
    assert [words[app] for app in near] == ["works"] * len(near)
