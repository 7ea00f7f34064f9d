"""/docs: our OpenAPI description as a page, without a script."""

from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.feeds.service import FeedService
from icsfeed.web.pages.render import PageRenderer, page_answer, page_request
from icsfeed.web.responses import READ


class Operation(Struct, frozen=True):
    """What may be asked of one path. `methods` do the same; `text` has paragraphs, with code in backticks."""

    path: str
    methods: tuple[str, ...]
    summary: str
    text: tuple[str, ...]
    parameters: tuple[str, ...]
    answers: tuple[str, ...]


@route("/docs", http_method=READ, summary="These routes, for people", include_in_schema=False)
async def docs(
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
) -> Response[str]:
    """The same as `/openapi.json`, to read."""
    operations = operations_of(request.app.openapi_schema.to_schema())
    return page_answer(pages.html("docs.html", page_request(request, service.config), operations=operations))


def operations_of(description: Mapping[str, Any]) -> tuple[Operation, ...]:
    """The operations of an OpenAPI description, by path; methods that do the same are one."""
    found = [
        operation for path, item in description["paths"].items() for operation in _operations(path, item)
    ]
    return tuple(sorted(found, key=lambda operation: (operation.path, operation.methods)))


def _operations(path: str, item: Mapping[str, Mapping[str, Any]]) -> Iterator[Operation]:
    methods: dict[Operation, list[str]] = {}
    for method, said in item.items():
        operation = Operation(
            path=path,
            methods=(),
            summary=said["summary"],
            text=tuple(" ".join(part.split()) for part in said.get("description", "").split("\n\n") if part),
            parameters=tuple(parameter["name"] for parameter in said.get("parameters", ())),
            answers=tuple(said["responses"]),
        )
        methods.setdefault(operation, []).append(method.upper())
    for operation, named in methods.items():
        yield replace(operation, methods=tuple(named))
