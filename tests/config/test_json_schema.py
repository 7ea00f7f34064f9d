"""The JSON schema of feeds.yaml: every key, and patterns that fit what loads."""

import re

import pytest
from msgspec import structs

from icsfeed.config import schema as config
from icsfeed.config.json_schema import schema

STRUCTS = [kind for kind in vars(config).values() if getattr(kind, "__struct_fields__", None)]


def test_the_schema_knows_every_key_and_accepts_one_value_for_a_list() -> None:
    document = schema()
    assert len(STRUCTS) > 8
    for struct in STRUCTS:
        definition = document["$defs"][struct.__name__]
        assert set(definition["properties"]) == {one.encode_name for one in structs.fields(struct)}
        assert definition["additionalProperties"] is False
    alarm = document["$defs"]["Feed"]["properties"]["alarm"]
    assert [one["type"] for one in alarm["anyOf"]] == ["string", "array"]
    assert alarm["description"] == "one value, or a list of them"
    assert document["$defs"]["Feed"]["properties"]["stale_notice"]["anyOf"][-1] == {
        "const": False,
        "type": "boolean",
    }


@pytest.mark.parametrize(
    ("struct", "key", "good", "bad"),
    [
        ("Feed", "alarm", ["-PT15H", "P1D", "-15h", "${ALARM}"], ["PT", "soon", "15"]),
        ("Feed", "refresh", ["1h", "1d 12h", "${R}"], ["1 hour", "-1h"]),
        (
            "WorkspaceConfig",
            "url",
            ["https://plane.example.com", "https://${HOST}", "${URL}"],
            ["plane.example.com"],
        ),
    ],
)
def test_the_patterns_of_the_schema_fit_what_loads(
    struct: str, key: str, good: list[str], bad: list[str]
) -> None:
    definition = schema()["$defs"][struct]["properties"][key]
    pattern = definition.get("pattern") or definition["anyOf"][0]["pattern"]
    assert all(re.search(pattern, text) for text in good)
    assert not any(re.search(pattern, text) for text in bad)
