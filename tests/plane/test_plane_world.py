"""What the tests of the Plane client share: recorded answers, a scripted Plane, and clients of both."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx

from icsfeed.model import Project
from icsfeed.plane.client import PlaneClient, open_client

RECORDINGS = Path(__file__).parents[1] / "data" / "plane"
KEY = "plane_api_0123456789abcdef"
WEB = Project(
    id="0dd17da7-1669-4f23-be89-0cc025bca15b", key="WEB", name="Website relaunch", timezone="Europe/Berlin"
)

Handler = Callable[[httpx.Request], httpx.Response]
Change = Callable[[list[Any]], object]


def connect(handler: Handler, key: str = KEY, url: str = "https://plane.test") -> PlaneClient:
    return PlaneClient(url, "acme", client=open_client(key, httpx.MockTransport(handler)))


def always(answer: httpx.Response) -> Handler:
    """A Plane that gives the same answer to everything."""
    return lambda _: answer


def recording(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))


def rows_of(name: str) -> list[Any]:
    """The rows of a recorded list."""
    body = recording(name)["body"]
    return list(body if isinstance(body, list) else body["results"])


def recorded(name: str) -> httpx.Response:
    """A recorded answer, without the headers that belong to its transport."""
    found = recording(name)
    kept = {"content-type", "retry-after", "location", "x-ratelimit-remaining", "date"}
    headers = {key: value for key, value in found["headers"] if key.lower() in kept}
    body = found["body_text"] if "body_text" in found else json.dumps(found["body"])
    return httpx.Response(int(found["status_line"].split()[1]), headers=headers, content=body)


def replay(*names: str) -> Handler:
    """A Plane that gives the recorded answers to their paths, whatever the query."""
    by_path = {recording(name)["request"]["path"].partition("?")[0]: name for name in names}

    def handler(request: httpx.Request) -> httpx.Response:
        name = by_path.get(request.url.path)
        return recorded(name) if name else no_such_path()

    return handler


def no_such_path() -> httpx.Response:
    return httpx.Response(404, json={"error": "Page not found."})


def page(rows: Iterable[Any], **fields: object) -> dict[str, Any]:
    """The one page of a list."""
    results = list(rows)
    fixed = {"next_cursor": "1000:1:0", "next_page_results": False, "total_results": len(results)}
    return {**fixed, "results": results, **fields}


def row(number: int, **fields: object) -> dict[str, Any]:
    """An issue as Plane sends it."""
    moment = "2026-11-21T13:16:43.901700+05:30"
    return {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "name": f"Issue {number}",
        "description_html": "<p></p>",
        "sequence_id": number,
        "priority": "none",
        "start_date": None,
        "target_date": "2026-12-01",
        "created_at": moment,
        "updated_at": moment,
        "state": "4b69ec16-87b0-430a-b2b3-ae121b804cfa",
        **fields,
    }


def rows(count: int) -> list[Any]:
    return [row(number) for number in range(1, count + 1)]


class ScriptedPlane:
    """A Plane with one list, at `path`. After each answer the next of `changes` happens to the list.

    `largest` is the largest page; one that `clamps` gives it to clients that ask for more, others refuse.
    As up to v0.26.1, a cursor must be for the page size that is asked for.
    """

    def __init__(
        self,
        rows: list[Any],
        *,
        path: str = "work-items",
        largest: int = 1000,
        clamps: bool = False,
        changes: Iterable[Change] = (),
    ) -> None:
        self.rows = rows
        self.path = path
        self.largest = largest
        self.clamps = clamps
        self.requests: list[httpx.Request] = []
        self._changes: Iterator[Change] = iter(changes)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not request.url.path.endswith(f"/{self.path}/"):
            return no_such_path()
        size = int(request.url.params["per_page"])
        if size > self.largest and not self.clamps:
            detail = f"Invalid per_page value. Cannot exceed {self.largest}."
            return httpx.Response(400, json={"detail": detail})
        answer = self._page(min(size, self.largest), request.url.params.get("cursor"))
        next(self._changes, len)(self.rows)
        return answer

    def _page(self, size: int, cursor: str | None) -> httpx.Response:
        of_size, number = map(int, (cursor or f"{size}:0:0").split(":")[:2])
        if of_size != size:
            return httpx.Response(500, json={"error": "Something went wrong please try again later"})
        start, end = number * size, (number + 1) * size
        more = end < len(self.rows)
        found = page(self.rows[start:end], next_cursor=f"{size}:{number + 1}:0", next_page_results=more)
        return httpx.Response(200, json={**found, "total_results": len(self.rows)})

    def asked(self, parameter: str) -> list[str | None]:
        """What each request gave for a parameter."""
        return [request.url.params.get(parameter) for request in self.requests]
