"""Responses that are not pages: plain text and errors as JSON, and what routes need to say about them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.config.schema import Config

if TYPE_CHECKING:
    from icsfeed.web.state import Site

Clock: TypeAlias = Callable[[], datetime]

READ = (HttpMethod.GET, HttpMethod.HEAD)

MEDIA_TYPES = {"ics": "text/calendar", "atom": "application/atom+xml", "json": "application/feed+json"}
"""By the extension of a file of a feed (see `split_file`)."""

NOT_FOUND = "There is no calendar here. Ask for a new link."

ERROR_RETRY_SECONDS = 300
"""Retry-After where only an operator can correct what is wrong."""

NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ApiError(HTTPException):
    """A refusal as JSON, with an `error_code` of its own (docs/reference.md)."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.code = code
        super().__init__(message, status_code=status, headers=dict(headers or {}))


def listed(headers: Headers, name: str) -> str | None:
    """Join a header that is a list, which may stand on several lines (RFC 9110, 5.3); None: it is absent."""
    lines = headers.getall(name, [])
    return ", ".join(lines) if lines else None


def site_of(connection: ASGIConnection[Any, Any, Any, Any]) -> "Site":
    """Return the site of a request, where litestar (2.25) injects nothing: guards, errors, middleware."""
    site: Site = connection.app.state.site
    return site


def plain_answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response[str]:
    """Return a short text: calendar apps show nothing else well."""
    return Response(
        f"{text}\n", status_code=status, headers={**NEVER_STORED, **(headers or {})}, media_type="text/plain"
    )


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    now: datetime,
    details: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, Any]]:
    """Return an error as JSON, in the format of all our routes."""
    body = {
        "status": "error",
        "message": message,
        "error_code": code,
        "details": details or {},
        "timestamp": timestamp(now),
    }
    return Response(body, status_code=status, headers={**NEVER_STORED, **(headers or {})})


async def send_response(
    response: Response[Any] | ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a response from an ASGI app, where litestar does not do it."""
    if isinstance(response, Response):
        response = response.to_asgi_response(app=None, request=None)  # type: ignore[arg-type]
    await response(scope, receive, send)


def server_address(request: Request[Any, Any, Any], config: Config) -> str:
    """Return the beginning of the server's links: as configured, else as the client knows it."""
    try:
        return config.public_url or str(request.base_url).rstrip("/")
    except ValueError:
        return ""  # The Host header is not valid.


def timestamp(moment: datetime) -> str:
    """Format a time for JSON: RFC 3339 in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
