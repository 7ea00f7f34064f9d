"""/docs: our OpenAPI description as a page, without a script; /static: the files of our pages."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.web.pages.assets import TYPES
from icsfeed.web.pages.render import page_answer, page_request
from icsfeed.web.responses import READ, plain_answer
from icsfeed.web.state import Site

IMMUTABLE = "public, max-age=31536000, immutable"


class Operation(Struct, frozen=True):
    """One path, and `methods` that do the same on it; `text` has paragraphs, with code in backticks."""

    path: str
    methods: tuple[str, ...]
    summary: str
    text: tuple[str, ...]
    parameters: tuple[str, ...]
    answers: tuple[str, ...]


@route("/docs", http_method=READ, summary="These routes, for people", include_in_schema=False)
async def docs(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[str]:
    """The same as `/openapi.json`, to read."""
    operations = operations_of(request.app.openapi_schema.to_schema())
    ask = page_request(request, site.config)
    return page_answer(site.pages.html("docs.html", ask, operations=operations))


@route("/static/{file:str}", http_method=READ, include_in_schema=False)
async def static_file(file: FromPath[str], site: NamedDependency[Site]) -> Response[bytes] | Response[str]:
    """A style, a script or an icon of our pages."""
    body = site.pages.assets.body(file)
    if body is None:
        return plain_answer(404, "There is no such file.")
    headers = {"Cache-Control": IMMUTABLE, "X-Content-Type-Options": "nosniff"}
    return Response(body, headers=headers, media_type=TYPES[file.rpartition(".")[2]])


def operations_of(description: Mapping[str, Any]) -> tuple[Operation, ...]:
    """Return the operations of an OpenAPI description, by path; GET and HEAD that do the same are one."""
    methods: dict[Operation, list[str]] = {}
    for path, item in description["paths"].items():
        for method, described in item.items():
            paragraphs = described.get("description", "").split("\n\n")
            operation = Operation(
                path=path,
                methods=(),
                summary=described["summary"],
                text=tuple(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph),
                parameters=tuple(parameter["name"] for parameter in described.get("parameters", ())),
                answers=tuple(described["responses"]),
            )
            # A frozen Struct is a key: GET and HEAD of a route differ in nothing else.
            methods.setdefault(operation, []).append(method.upper())
    operations = [replace(operation, methods=tuple(names)) for operation, names in methods.items()]
    return tuple(sorted(operations, key=lambda operation: (operation.path, operation.methods)))
