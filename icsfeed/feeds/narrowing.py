"""The address of a narrowed feed: the shortest query that says what a form's fields say."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

FIELDS = (
    *("priority", "state", "label", "assignee", "cycle", "module"),
    *("from", "to", "days", "component", "alarm", "done", "dates"),
)
"""The parameters that narrow a feed, in the order in which an address names them."""

URL_LIMIT = 200
"""Characters: Google takes 256, and some apps fewer (clients.md)."""


def query_string(parameters: Iterable[tuple[str, str]]) -> str:
    """The narrowing among these parameters, as a query: `priority=urgent,high&days=14`, or nothing.

    Empty and unknown ones are left out, values of one field joined with commas. A value that holds a
    comma itself stands alone.
    """
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        if name in FIELDS and value.strip() and value.strip() not in given.setdefault(name, []):
            given[name].append(value.strip())
    return "&".join(f"{name}={value}" for name in FIELDS for value in _values(given, name))


def with_query(url: str, query: str) -> str:
    """The address with this query, if there is one."""
    return f"{url}?{query}" if query else url


def _values(given: Mapping[str, list[str]], name: str) -> Iterable[str]:
    values = given.get(name, [])
    plain = [value for value in values if "," not in value and not value.startswith("!")]
    without = [value.removeprefix("!") for value in values if "," not in value and value.startswith("!")]
    alone = [value for value in values if "," in value]
    if plain:
        yield quote(",".join(plain), safe=",")
    if without:
        yield "!" + quote(",".join(without), safe=",")
    yield from (quote(value, safe=",!") for value in alone)
