"""Requests that are as large or as slow as they may be: bounded, and nobody else waits for them."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter, process_time

import pytest
from app_world import HOST, World, serving, settings
from dav_client import SPACES, DavClient, basic, found, of_feed

from icsfeed.config.schema import Feed
from icsfeed.demo.sample import FILLED
from icsfeed.web.dav.filters import MAX_CONDITIONS
from icsfeed.web.dav.messages import MAX_BODY_BYTES
from icsfeed.web.dav.requests import MAX_HREFS

pytestmark = pytest.mark.anyio
CALENDAR = "/dav/many/many/"
MANY = 3_000


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving(settings({"many": Feed(project=FILLED)}), issues=MANY) as running:
        await running.get("many")
        yield running


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(world: World) -> DavClient:
    return of_feed(world, "many")


def query(inner: str) -> str:
    return (
        f'<c:calendar-query {SPACES}><prop><getetag/></prop><c:filter><c:comp-filter name="VCALENDAR">'
        f'<c:comp-filter name="VEVENT">{inner}</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>'
    )


@pytest.mark.parametrize(
    ("body", "status", "condition"),
    [
        ("\x00\xff<", 400, b""),
        ("<a " + " ".join(f'b{n}="c"' for n in range(20_000)) + "/>", 403, b"supported-report"),
        (f"<a>{'<b>' * 100_000}", 400, b""),
        (f"<propfind xmlns='DAV:'>{'<a/>' * 200_000}</propfind>", 403, b"supported-report"),
        ("<a>" + "x" * MAX_BODY_BYTES + "</a>", 413, b""),
        (query('<c:time-range start="00010101T000000Z" end="99991231T235959Z"/>'), 207, b"VEVENT"),
        (query('<c:time-range start="20261301T000000Z"/>'), 403, b"valid-filter"),
        (query('<c:time-range start="20261101T000000Z" end="20251101T000000Z"/>'), 403, b"valid-filter"),
        (query('<c:prop-filter name="SUMMARY"/>' * MAX_CONDITIONS), 403, b"supported-filter"),
        (
            query(
                f'<c:prop-filter name="SUMMARY"><c:text-match>{"x" * 900_000}</c:text-match></c:prop-filter>'
            ),
            207,
            b"",
        ),
        (
            f"<c:calendar-multiget {SPACES}><prop><getetag/></prop>"
            + "<href>/x</href>" * (MAX_HREFS + 1)
            + "</c:calendar-multiget>",
            507,
            b"number-of-matches-within-limits",
        ),
        (
            "<expand-property xmlns='DAV:'>"
            + "<property name='owner'>" * 60
            + "</property>" * 60
            + "</expand-property>",
            207,
            b"",
        ),
    ],
)
async def test_bodies_as_large_as_they_may_be(
    client: DavClient, body: str, status: int, condition: bytes
) -> None:
    began = process_time()
    response = await client.ask("REPORT", CALENDAR, body)
    assert response.status_code == status, response.text[:300]
    if status != 207:
        assert condition in response.content
    assert process_time() - began < 5


async def test_ten_thousand_hrefs_are_answered(client: DavClient) -> None:
    listed = await client.propfind(CALENDAR, "getetag", depth=1)
    hrefs = [href for href in listed if href.endswith(".ics")]
    hrefs += [f"{CALENDAR}{number}.ics" for number in range(MAX_HREFS - len(hrefs))]
    answers = await client.multiget(CALENDAR, hrefs)
    assert len(answers) == MAX_HREFS
    assert sum(one.status == 200 for one in answers.values()) == len(listed) - 1 > 1_000


@pytest.mark.parametrize(
    "inner",
    [
        '<c:time-range start="20260101T000000Z" end="20270101T000000Z"/>',
        '<c:prop-filter name="SUMMARY"><c:text-match>nowhere</c:text-match></c:prop-filter>',
    ],
)
async def test_others_are_answered_while_all_objects_are_searched(
    world: World, client: DavClient, inner: str
) -> None:
    await client.ask("REPORT", CALENDAR, query(inner))
    searching = asyncio.create_task(client.ask("REPORT", CALENDAR, query(inner)))
    waits = []
    while not searching.done():
        began = perf_counter()
        assert (await world.ask("GET", "/health")).status_code == 200
        waits.append(perf_counter() - began)
        await asyncio.sleep(0)  # in process, nothing else of a request waits
    assert (await searching).status_code == 207
    # Ten and more: the search runs in a thread, and the loop goes on.
    assert len(waits) > 10


async def test_a_body_that_never_ends_is_read_by_piece_and_no_further_than_its_bound(world: World) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    headers = {**basic("many", world.service.links.token("many") or ""), "Depth": "0"}
    request = world.client.build_request("PROPFIND", HOST + CALENDAR, content=pieces(), headers=headers)
    assert (await world.client.send(request)).status_code == 413
    assert sent <= MAX_BODY_BYTES / 65_536 + 2


async def test_the_first_and_the_last_days_there_are(client: DavClient) -> None:
    for inner in ('<c:time-range start="00010101T000000Z"/>', '<c:time-range end="99991231T235959Z"/>'):
        assert len(found(await client.ask("REPORT", CALENDAR, query(inner)))) > 1_000
