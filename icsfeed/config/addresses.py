"""Plane's addresses, and the slug of a workspace, from the one address that people know.

A self-hosted Plane has one address for all. Cloud answers its API at api.plane.so and shows its pages at
app.plane.so or, for some workspaces, at a host of their own such as acme.plane.so.
"""

import re
from typing import NamedTuple

from icsfeed.config.schema import WorkspaceConfig

_CLOUD = re.compile(r"https?://(?:([^/:]+)\.)?plane\.so(?::(?:80|443))?(?:/(.*))?", re.IGNORECASE)
_HOSTS = ("api", "app", "www", "sites")
"""Hosts of Cloud that are not named after a workspace."""
_SLUG_IN_PATH = re.compile(r"(?:api/v[0-9]+/workspaces/)?([A-Za-z0-9_-]+)(?:/.*)?")
_PAGES = frozenset(
    {
        *("accounts", "api", "create-workspace", "god-mode", "installations", "invitations", "onboarding"),
        *("profile", "settings", "sign-in", "sign-up", "spaces", "workspace-invitations"),
    }
)
"""Paths of the web app that do not begin with the slug of a workspace."""


class PlaneAddress(NamedTuple):
    """Where a Plane has its API (before `/api`) and its pages (before the slug).

    `slug`: that of the workspace in the address, where it names one. `is_in_path`: as the app's own pages
    do, and not by its host.
    """

    api: str
    web: str
    slug: str | None = None
    is_in_path: bool = False

    @property
    def is_cloud(self) -> bool:
        return self.api != self.web


def plane_address(url: str) -> PlaneAddress:
    """Return the addresses that belong to a configured one, with a slash at its end or without."""
    cloud = _CLOUD.fullmatch(url)
    if cloud is None:
        return PlaneAddress(url, url)  # self-hosted: its path may be the prefix of a proxy
    host, _, region = (cloud[1] or "app").lower().partition(".")
    domain = f"{region}.plane.so" if region else "plane.so"
    api, web = f"https://api.{domain}", f"https://app.{domain}"
    if host not in _HOSTS:
        return PlaneAddress(api, web, host)
    path = _SLUG_IN_PATH.fullmatch(cloud[2] or "")
    slug = path[1] if path and path[1] not in _PAGES else None
    return PlaneAddress(api, web, slug, is_in_path=slug is not None)


def slug_of(name: str, workspace: WorkspaceConfig) -> str:
    """Return the slug of a configured workspace: as configured, from its address, or its name here."""
    return workspace.slug or plane_address(workspace.url).slug or name


def web_address(workspace: WorkspaceConfig) -> str:
    """Return the address of Plane's pages, before the slug."""
    return workspace.web_url or plane_address(workspace.url).web
