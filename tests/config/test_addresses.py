"""One address of Plane is enough: those of its API and its pages, and the slug, follow from it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.config.addresses import PlaneAddress, plane_address, slug_of, web_address
from icsfeed.config.decode import decode
from icsfeed.config.schema import Config, WorkspaceConfig
from icsfeed.errors import ConfigError

API, APP = "https://api.plane.so", "https://app.plane.so"
PROJECT = "projects/0dd17da7-1669-4f23-be89-0cc025bca15b/issues"


def configured(url: str, **keys: object) -> Config:
    workspaces = {"team": {"url": url, "api_key": "k", **keys}}
    feeds = {"all": {"everything": True}}
    return decode({"secret": "s" * 32, "workspaces": workspaces, "feeds": feeds}, "test")


def read(url: str, **keys: object) -> tuple[str, str, str]:
    """The addresses of the API and of the pages, and the slug, with which a configuration is read."""
    workspace = configured(url, **keys).workspaces["team"]
    return plane_address(workspace.url).api, web_address(workspace), slug_of("team", workspace)


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("url", "slug"),
    [
        (API, "team"),
        (APP, "team"),
        ("http://app.plane.so", "team"),
        ("https://app.plane.so:443", "team"),
        ("https://plane.so", "team"),
        ("https://www.plane.so", "team"),
        ("HTTPS://APP.PLANE.SO", "team"),
        ("https://acme.plane.so", "acme"),
        ("https://ACME.Plane.so", "acme"),
        (f"https://acme.plane.so/{PROJECT}", "acme"),
        (f"https://acme.plane.so/acme/{PROJECT}", "acme"),
        ("https://app.plane.so/acme", "acme"),
        (f"https://App.Plane.so/acme/{PROJECT}", "acme"),
        ("https://app.plane.so/acme/browse/WEB-1", "acme"),
        ("https://api.plane.so/api", "team"),
        ("https://api.plane.so/api/v1", "team"),
        ("https://api.plane.so/api/v1/workspaces/acme/projects", "acme"),
        ("https://app.plane.so/profile/activity", "team"),
        ("https://app.plane.so/create-workspace", "team"),
    ],
)
def test_any_address_of_cloud_is_enough(url: str, slug: str, end: str) -> None:
    assert read(url + end) == (API, APP, slug)
    assert plane_address(url + end).is_cloud


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://app.eu.plane.so/acme", "acme"),
        ("https://api.eu.plane.so", "team"),
        ("https://acme.eu.plane.so", "acme"),
    ],
)
def test_a_region_of_cloud_keeps_its_domain(url: str, slug: str) -> None:
    assert read(url) == ("https://api.eu.plane.so", "https://app.eu.plane.so", slug)


@pytest.mark.parametrize(
    "url",
    [
        "https://plane.example.com",
        "https://plane.example.com/acme",
        "https://intranet.example.com/plane",
        "https://notplane.so",
        "https://app.plane.so.example.com",
        "https://app.plane.so:8443",
        "http://localhost:8000",
        "http://[::1]:8000",
    ],
)
def test_a_self_hosted_plane_has_one_address(url: str) -> None:
    assert read(url) == (url, url, "team")
    assert not plane_address(url).is_cloud


def test_what_is_configured_comes_first() -> None:
    assert read("https://acme.plane.so", slug="other") == (API, APP, "other")
    assert read(API, web_url="https://plane.example.com/") == (API, "https://plane.example.com", "team")


@pytest.mark.parametrize("url", [f"{APP}/acme/{PROJECT}", f"{API}/api/v1/workspaces/acme"])
def test_a_slug_that_contradicts_a_pasted_address_is_a_problem(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(url, slug="other")
    [problem] = refused.value.problems
    assert problem.path == "workspaces.team.slug"
    assert "contradicts url, which names another workspace" in problem.message
    assert read(url, slug="acme") == (API, APP, "acme")


@given(st.text(), st.sampled_from(["", APP, API, "https://acme.plane.so", "https://"]))
def test_any_text_has_an_address(text: str, before: str) -> None:
    found = plane_address(before + text)
    assert isinstance(found, PlaneAddress)
    assert found.slug is None or re.fullmatch(r"[^/:]+", found.slug)
    assert slug_of("team", WorkspaceConfig(url=before + text))
