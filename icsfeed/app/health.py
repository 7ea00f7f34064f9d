"""What the server says of itself to everybody: name, health, what crawlers may do, its routes."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, get, route
from litestar.di import NamedDependency

from icsfeed import __version__
from icsfeed.app.answers import NEVER_STORED, READ, Clock, timestamp
from icsfeed.app.feeds import FeedService
from icsfeed.core.errors import PlaneError

DESCRIPTION = "Calendar feeds for the due dates of a Plane workspace"


@route("/", http_method=READ, summary="What this server is")
async def root(clock: NamedDependency[Clock], started: NamedDependency[datetime]) -> dict[str, str | int]:
    """Name, version and uptime (whole seconds). Never a feed's name."""
    return {
        "name": "icsfeed",
        "version": __version__,
        "description": DESCRIPTION,
        "status": "running",
        "uptime": int((clock() - started).total_seconds()),
    }


@route("/health", http_method=READ, summary="Whether the process lives")
async def health(clock: NamedDependency[Clock]) -> dict[str, str]:
    """Says that the process lives; never touches Plane."""
    return {"status": "healthy", "timestamp": timestamp(clock())}


@route("/health/ready", http_method=READ, summary="Whether every feed can be served")
async def ready(
    service: NamedDependency[FeedService], clock: NamedDependency[Clock]
) -> Response[dict[str, Any]]:
    """200 once every active workspace has a good copy, else 503 with the reasons."""
    missing = {
        name: _in_a_word(workspace.last_error)
        for name, workspace in service.workspaces.items()
        if not workspace.is_ready
    }
    body = {"status": "unready" if missing else "ready", "reasons": missing, "timestamp": timestamp(clock())}
    status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
    return Response(body, status_code=status, headers=NEVER_STORED)


def _in_a_word(error: PlaneError | None) -> str:
    """What is wrong, without the addresses and names that an error's text holds: anybody may ask."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower() if error else "not read yet"


@route("/robots.txt", http_method=READ, media_type="text/plain", summary="For crawlers")
async def robots() -> str:
    """Allows everything: calendar services ask first. Feeds carry X-Robots-Tag instead."""
    return "User-agent: *\nAllow: /\n"


@get("/openapi.json", summary="This description", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI description of these routes."""
    return request.app.openapi_schema.to_schema()
