"""schemathesis over our own description of our routes. It needs the group fuzz:

pytest tests/fuzz/openapi.py
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from app_world import serving
from attack_world import ADMIN, HOOK, Target, attacked
from attack_world import target as under_attack
from hypothesis import HealthCheck, settings
from schemathesis.checks import allow_header_conformance, not_a_server_error, unsupported_method

from icsfeed.demo.settings import SECRET

SECRETS = (ADMIN, HOOK, SECRET, "Traceback", 'File "')
FUZZ = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with under_attack() as made:
        yield made


async def _description() -> dict[str, Any]:
    async with serving(attacked()) as world:
        described: dict[str, Any] = (await world.ask("GET", "/openapi.json")).json()
        return described


routes = schemathesis.openapi.from_dict(asyncio.run(_description()))


def says_nothing_of_the_inside(_context: Any, response: Any, _case: Any) -> None:
    """No secret, no traceback; nothing that a browser would take for a page; nothing kept in it."""
    text = response.text + str(response.headers)
    assert not [secret for secret in SECRETS if secret in text]
    assert "set-cookie" not in response.headers
    if response.status_code > 400:
        assert response.headers["x-content-type-options"] == ["nosniff"]


CHECKS = [not_a_server_error, unsupported_method, allow_header_conformance, says_nothing_of_the_inside]


@routes.parametrize()
@FUZZ
def test_a_stranger_finds_no_fault(case: Any, target: Target) -> None:
    target.world.clock.move(1)
    case.call_and_validate(base_url=target.url, checks=CHECKS)


@routes.parametrize()
@FUZZ
def test_the_administrator_finds_no_fault(case: Any, target: Target) -> None:
    target.world.clock.move(1)
    case.call_and_validate(base_url=target.url, checks=CHECKS, headers={"Authorization": f"Bearer {ADMIN}"})
