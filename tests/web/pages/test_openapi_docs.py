"""/docs: what OpenAPI says of the routes, as a page like the others."""

import re
from collections.abc import AsyncIterator

import pytest
from app_world import World, serving, settings
from test_pages import page, policy, words

from icsfeed.web.pages.docs import Operation, operations_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving(settings(public_url="https://www.example.com/tools/cal")) as made:
        yield made


async def test_every_route_of_the_description_is_on_the_page(world: World) -> None:
    answer = await page(world, "/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    said = words(answer)
    described = (await world.ask("GET", "/openapi.json")).json()["paths"]
    assert len(described) >= 15
    for path, item in described.items():
        # Methods that do the same are in one heading.
        headings = re.findall(f"((?:[A-Z]+, )*[A-Z]+) {re.escape(path)} ", said)
        assert {method for heading in headings for method in heading.split(", ")} == {*map(str.upper, item)}
        for operation in item.values():
            assert operation["summary"] in said
            assert operation["description"]
    assert "`" not in said


async def test_it_runs_nothing_and_is_guarded_as_other_pages_are(world: World) -> None:
    answer, other = await page(world, "/docs"), await page(world, "/")
    assert policy(answer) == policy(other)
    assert re.findall(r"<script|\son\w+=|\sstyle=|<style|https?://", answer.text) == []
    files = re.findall('(?:href|src)="([^"?#]+)"', answer.text)
    assert "/tools/cal/openapi.json" in files
    for file in files:
        assert (await world.ask("GET", file)).status_code == 200


async def test_it_is_a_page_whatever_is_accepted_and_in_german_too(world: World) -> None:
    assert (await world.ask("GET", "/docs", accept="*/*")).text == (await page(world, "/docs")).text
    assert (await world.ask("HEAD", "/docs")).content == b""
    assert "HTTP-API dieses Servers" in words(await page(world, "/docs?lang=de"))


def test_methods_that_do_the_same_are_told_once() -> None:
    read = {"summary": "Read", "description": "One `x`\nline.\n\nAnother.", "responses": {"200": {}}}
    write = {"summary": "Write", "parameters": [{"name": "id"}], "responses": {"201": {}, "400": {}}}
    found = operations_of({"paths": {"/b": {"get": read, "head": read, "put": write}, "/a": {"get": write}}})
    assert found == (
        Operation("/a", ("GET",), "Write", (), ("id",), ("201", "400")),
        Operation("/b", ("GET", "HEAD"), "Read", ("One `x` line.", "Another."), (), ("200",)),
        Operation("/b", ("PUT",), "Write", (), ("id",), ("201", "400")),
    )
