"""Attacks and bad inputs by name, each with its outcome, against a real server over a real socket."""

import hmac
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

import pytest
from app_world import events, titles
from attack_world import ADMIN, HOOK, HOST, Answer, Target
from attack_world import target as under_attack

from icsfeed.demo.sample import API_KEY
from icsfeed.demo.settings import SECRET

H = f"Host: {HOST}\r\n"
HEAD = f"GET /feeds/public.ics HTTP/1.1\r\n{H}Connection: close\r\n"
TOKEN = "a" * 26


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One server for all attacks: it must bear them one after the other."""
    with under_attack() as made:
        yield made


class Attack(NamedTuple):
    """What is sent, and the statuses that are right; 0: the connection is ended without an answer."""

    name: str
    send: Callable[[Target], Answer]
    outcome: tuple[int, ...]


def get(name: str, path: str, *outcome: int, headers: str = H) -> Attack:
    return Attack(name, lambda target: target.ask("GET", path, headers), outcome)


def link(name: str, change: Callable[[Target], str], *outcome: int) -> Attack:
    """A link to the feed `property` with another token."""
    return Attack(name, lambda target: target.ask("GET", f"/feeds/{change(target)}/property.ics"), outcome)


def raw(name: str, data: bytes, *outcome: int, ends: bool = False) -> Attack:
    return Attack(name, lambda target: target.send(data, ends=ends), outcome)


def header(name: str, lines: str, *outcome: int) -> Attack:
    """A read of the public feed with more headers."""
    return get(name, "/feeds/public.ics", *outcome, headers=f"{H}{lines}\r\n")


def hook(name: str, body: bytes, signature: Callable[[bytes], str], *outcome: int) -> Attack:
    def send(target: Target) -> Answer:
        return target.ask("POST", "/webhooks/plane", f"{H}X-Plane-Signature: {signature(body)}\r\n", body)

    return Attack(name, send, outcome)


def signed(body: bytes, secret: str = HOOK) -> str:
    return hmac.new(secret.encode(), body, "sha256").hexdigest()


LINKS = [
    get("no token", "/feeds/property.ics", 404),
    link("a made-up token", lambda _: f"icsf_{TOKEN}", 404),
    link("the token of another feed", lambda t: t.token("busy"), 404),
    link("the token of another kind", lambda t: t.token("property", kind="embed"), 404),
    link("an admin's token of the feed", lambda t: t.token("property", kind="admin"), 404),
    link("a token of another revision", lambda t: t.token("property", revision=2), 404),
    link("a subscriber who is none", lambda t: t.token("property", "eve"), 404),
    link("upper case", lambda t: t.token("property").upper(), 404),
    link("cut by a letter", lambda t: t.token("property")[:-1], 404),
    link("a letter more", lambda t: f"{t.token('property')}a", 404),
    link("with a NUL", lambda t: f"{t.token('property')}%00", 404),
    link("with a line break", lambda t: f"{t.token('property')}%0d%0aX-Evil:%201", 404),
    link("not ASCII", lambda _: "icsf_%C3%A9%E2%82%AC%F0%9F%98%80", 404),
    link("not UTF-8", lambda _: "icsf_%ff%fe", 404),
    link("half an escape", lambda _: "icsf_%", 404),
    link("an empty token", lambda _: "", 404),
    link("the configuration's secret", lambda _: quote(SECRET), 404),
    link("the admin token", lambda _: ADMIN, 404),
    link("three thousand letters", lambda _: "a" * 3000, 404),
    link("nine thousand letters", lambda _: "a" * 9000, 414),
    get("a token in the query", f"/feeds/property.ics?token=icsf_{TOKEN}", 404),
    Attack(
        "an inactive feed by its own token",
        lambda t: t.ask("GET", f"/feeds/{t.token('asleep')}/asleep.ics"),
        (404,),
    ),
    Attack(
        "a good token for another name", lambda t: t.ask("GET", f"/feeds/{t.token('property')}/x.ics"), (404,)
    ),
]

PATHS = [
    get("dots", "/feeds/../../../../etc/passwd", 404),
    get("escaped dots", "/feeds/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 404),
    get("twice escaped dots", "/feeds/%252e%252e/etc/passwd", 404),
    get("backslashes", "/feeds/..\\..\\windows\\win.ini", 404),
    get("dots before a name", "/feeds/..%2fpublic.ics", 404),
    get("a file of ours", "/feeds/feeds.yaml", 404),
    get("the environment", "/proc/self/environ", 404),
    get("a static file outside", "/static/%2e%2e/%2e%2e/feeds.yaml", 404),
    get("doubled slashes", "//feeds//public.ics", 200),
    get("a NUL after the name", "/feeds/public.ics%00", 404),
    get("a line break after the name", "/feeds/public.ics%0d%0aSet-Cookie:%20a=b", 404),
    get("an absolute address elsewhere", "http://169.254.169.254/latest/meta-data/", 404),
    get("a path that is none", "feeds/public.ics", 400),
    get("three thousand folders", "/a" * 1500, 404),
]

QUERIES = [
    get("days beyond the calendar", "/feeds/public.ics?days=99999999999999999999", 400),
    get("negative days", "/feeds/public.ics?days=-1", 400),
    get("days in other digits", "/feeds/public.ics?days=%D9%A3", 400),
    get("a day that is none", "/feeds/public.ics?from=2026-02-31", 400),
    get("a day with a line break", "/feeds/public.ics?from=2026-01-01%0d%0aX:1", 400),
    get("a calendar in a value", "/feeds/public.ics?component=vevent%0d%0aBEGIN:VEVENT", 400),
    get("a thousand alarms", "/feeds/public.ics?alarm=" + ",".join(["PT1H"] * 500), 400),
    get("an alarm beyond time", "/feeds/public.ics?alarm=-P999999999W", 400),
    get("one parameter twice", "/feeds/public.ics?days=1&days=2", 400),
    get("a filter that probes a busy feed", "/feeds/busy.ics?label=x", 404),
    get("a redirect that somebody wants", "/feeds/public.ics?redirect=https://evil.example&next=//evil", 200),
    get(
        "an address to fetch", "/feeds/public.ics?url=http://169.254.169.254/&source=file:///etc/passwd", 200
    ),
    get("a script in a label", "/feeds/public.ics?label=<script>alert(1)</script>", 200),
    get("SQL in a label", "/feeds/public.ics?label=';DROP%20TABLE%20issues;--", 200),
    get("a pattern that backtracks", "/feeds/public.ics?label=" + "(a%2B)%2B" * 200, 200),
    get("two thousand parameters", "/feeds/public.ics?" + "&".join("x=" for _ in range(1300)), 200),
    get("a query without end", "/feeds/public.ics?" + "x" * 9000, 414),
]

HEADERS = [
    get("another host", "/feeds/public.ics", 400, headers="Host: evil.example.com\r\n"),
    get("no host", "/feeds/public.ics", 400, headers=""),
    get("two hosts", "/feeds/public.ics", 400, headers=f"{H}Host: evil.example.com\r\n"),
    get("a host with a user", "/feeds/public.ics", 400, headers=f"Host: {HOST}@evil.example.com\r\n"),
    header("a forwarded host", "X-Forwarded-Host: evil.example.com", 200),
    header("a rewritten address", "X-Original-URL: /status\r\nX-Rewrite-URL: /status", 200),
    header("another method", "X-HTTP-Method-Override: DELETE", 200),
    header("a password that nobody asked for", "Authorization: Basic !!!", 200),
    header("a long entity tag", f"If-None-Match: {'W/' * 20_000}", 200),
    header("many entity tags", "If-None-Match: " + '"x",' * 5000, 200),
    header("a date that is none", "If-Modified-Since: Mon, 99 Foo 99999 99:99:99 +9999", 200),
    header("a date beyond time", "If-Modified-Since: Fri, 31 Dec 999999 23:59:59 GMT", 200),
    header("a hundred ranges", "Range: bytes=" + ",".join(f"{n}-" for n in range(100)), 200),
    header("encodings that are none", "Accept-Encoding: gzip;q=NaN, *;q=1e999, br;q=-1", 200),
    header("a compression bomb as request", "Content-Encoding: gzip", 200),
    header("a cookie", "Cookie: session=" + "x" * 4000, 200),
    header("a user agent of 8 kB", f"User-Agent: {'Mozilla/5.0 (' * 600}", 200),
    header("a foreign page", "Origin: https://evil.example.com\r\nSec-Fetch-Site: cross-site", 200),
    header("another protocol", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", 200),
    header("a websocket", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA==", 200),
    header("a header of 100 kB", f"X-Long: {'x' * 100_000}", 400, 0),
    header("two hundred headers", "\r\n".join(f"X-{n}: y" for n in range(200)), 400),
]

BYTES = [
    raw("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    raw("an HTTP/2 greeting", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    raw("HTTP/0.9", b"GET /feeds/public.ics\r\n", 0, ends=True),
    raw("nonsense", b"\x00\xff" * 500, 400),
    raw("nothing", b"", 0, ends=True),
    raw("half a request", HEAD.encode(), 0, ends=True),
    raw("a negative length", f"{HEAD}Content-Length: -1\r\n\r\n".encode(), 400),
    raw("two lengths", f"{HEAD}Content-Length: 0\r\nContent-Length: 5\r\n\r\nGET /".encode(), 400),
    raw(
        "a length and chunks (smuggling)",
        f"{HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n".encode(),
        400,
    ),
    raw("chunks that are none", f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), 400, 200),
    raw("a coding that is none", f"{HEAD}Transfer-Encoding: xchunked\r\n\r\n".encode(), 400),
    raw("a space before the colon", f"{HEAD}X-A : b\r\n\r\n".encode(), 400),
    raw("a folded header", f"{HEAD}X-A: b\r\n c\r\n\r\n".encode(), 400),
    raw("a NUL in a header", f"{HEAD}X-A: b\x00c\r\n\r\n".encode(), 400),
    raw("bytes in the path", b"GET /feeds/\xff\xfe.ics HTTP/1.1\r\n" + H.encode() + b"\r\n", 400, 404),
    Attack("a method that is none", lambda t: t.ask("EVIL", "/feeds/public.ics"), (501,)),
    Attack(
        "a proxy's method",
        lambda t: t.send(f"CONNECT evil:443 HTTP/1.1\r\n{H}\r\n".encode()),
        (501,),
    ),
    Attack("TRACE", lambda t: t.ask("TRACE", "/feeds/public.ics", f"{H}Cookie: a=b\r\n"), (405,)),
    Attack("writing to a feed", lambda t: t.ask("PUT", "/feeds/public.ics", body=b"BEGIN:VCALENDAR"), (405,)),
    Attack("deleting a feed", lambda t: t.ask("DELETE", "/feeds/public.ics"), (405,)),
    Attack("WebDAV", lambda t: t.ask("PROPFIND", "/feeds/public.ics", body=b"<?xml?><!DOCTYPE a>"), (405,)),
]

NESTED = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
HOOKS = [
    hook("an unsigned webhook", b"{}", lambda _: "", 401),
    hook("a webhook signed by another", b"{}", lambda body: signed(body, "another secret"), 401),
    hook("a signature of another body", b"{}", lambda _: signed(b"[]"), 401),
    hook("a signature in bytes", b"{}", lambda _: "\udcff\udcfe", 401),
    hook("a signature of 10 kB", b"{}", lambda _: "a" * 10_000, 401),
    hook("a signed webhook that is no JSON", b"<xml/>", signed, 200),
    hook("a signed webhook that is not UTF-8", b'{"event": "\xff"}', signed, 200),
    hook("a signed webhook nested 20,000 deep", NESTED, signed, 200),
    hook("a signed webhook that is a list", b"[1, 2, 3]", signed, 200),
    hook(
        "a signed webhook with numbers for words", b'{"event": 1, "action": [], "data": 1e999}', signed, 200
    ),
    hook("a webhook of 2 MB", b"x" * 2_000_000, signed, 413, 0),
    Attack("reading the webhook", lambda t: t.ask("GET", "/webhooks/plane"), (405,)),
]


def admin(name: str, headers: str, *outcome: int, path: str = "/status") -> Attack:
    return get(name, path, *outcome, headers=f"{H}{headers}")


ADMINS = [
    admin("the status without a token", "", 401),
    admin("the status with a wrong token", "Authorization: Bearer wrong\r\n", 401),
    admin("the metrics with half a token", f"Authorization: Bearer {ADMIN[:-1]}\r\n", 401, path="/metrics"),
    admin("an admin token in the query", "", 401, path=f"/status?token={ADMIN}&admin_token={ADMIN}"),
    admin("an admin token in a cookie", f"Cookie: token={ADMIN}\r\n", 401),
    admin("Basic that is no base64", "Authorization: Basic \x7f\r\n", 401, 400),
    admin("bytes for a token", "Authorization: Bearer \udcff\r\n", 401),
    admin("a page of another site", f"Authorization: Bearer {ADMIN}\r\nSec-Fetch-Site: cross-site\r\n", 403),
    Attack(
        "a sync that a page of another site starts",
        lambda t: t.ask(
            "POST", "/webhooks/sync", f"{H}Authorization: Bearer {ADMIN}\r\nSec-Fetch-Site: same-site\r\n"
        ),
        (403,),
    ),
    Attack("a sync without a token", lambda t: t.ask("POST", "/webhooks/sync"), (401,)),
]

ATTACKS = [*LINKS, *PATHS, *QUERIES, *HEADERS, *BYTES, *HOOKS, *ADMINS]


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 100


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_ends_as_it_should(target: Target, attack: Attack) -> None:
    answer = attack.send(target)
    assert answer.status in attack.outcome, answer
    if answer.status == 200 and attack in HOOKS:
        assert json.loads(answer.body)["status"] == "processed"
    elif answer.status == 200:
        assert answer.body.startswith(b"BEGIN:VCALENDAR\r\n")
        assert answer.body.endswith(b"END:VCALENDAR\r\n")
    for secret in (SECRET, API_KEY, ADMIN, HOOK, target.token("property"), "Traceback", "icsf_", ".py"):
        assert secret.encode() not in answer.body
        assert secret not in str(answer.headers)
    assert not {"set-cookie", "location", "x-evil", "server", "x-powered-by"} & answer.headers.keys()
    assert "access-control-allow-origin" not in answer.headers
    assert b"evil" not in answer.body
    assert b"alert(1)" not in answer.body


def test_after_all_that_good_links_are_served_as_before(target: Target) -> None:
    answer = target.ask("GET", f"/feeds/{target.token('property')}/property.ics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert len(events(answer.body)) > 5


def test_a_revoked_link_shows_nothing_of_the_feed(target: Target) -> None:
    own = target.ask("GET", f"/feeds/{target.token('property')}/property.ics")
    revoked = target.ask("GET", f"/feeds/{target.token('property', 'gone')}/property.ics")
    assert revoked.status == 200
    assert len(events(revoked.body)) == 1
    assert not titles(revoked.body) & titles(own.body)


@pytest.mark.parametrize(
    "query", ["project=PROP", "projects=PROP", "assignee=*", "workspace=other", "everything=true"]
)
def test_a_query_never_widens_a_feed(target: Target, query: str) -> None:
    whole = target.ask("GET", "/feeds/public.ics")
    asked = target.ask("GET", f"/feeds/public.ics?{query}")
    assert asked.status == 200
    assert titles(asked.body) <= titles(whole.body)


def test_a_webhook_that_is_sent_again_does_nothing(target: Target) -> None:
    issue = {"event": "issue", "action": "updated", "data": {"id": "1", "project": "2"}, "webhook_id": "w"}
    body = json.dumps(issue).encode()
    headers = f"{H}X-Plane-Signature: {signed(body)}\r\n"
    first, again = (target.ask("POST", "/webhooks/plane", headers, body) for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert (json.loads(first.body)["message"], json.loads(again.body)["message"]) == (
        "Issue sync triggered",
        "Seen before",
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:evil\r\n", id="lines of a calendar"),
        pytest.param("x\nATTENDEE:mailto:evil@example.com", id="a guest"),
        pytest.param("x\u2028BEGIN:VALARM\u2029", id="line separators"),
        pytest.param("x;VALUE=URI:javascript:alert(1)", id="a parameter"),
        pytest.param("\\n\\;\\,\\", id="escapes"),
        pytest.param("\x00\x07\x1b[31m\ud800", id="control characters and half a surrogate"),
        pytest.param("😀" * 120, id="letters of four bytes at every fold"),
        pytest.param("‮evil‬", id="text that runs backwards"),
    ],
)
def test_what_people_write_in_plane_stays_one_text_in_one_event(target: Target, name: str) -> None:
    path = f"/feeds/{target.token('property')}/property.ics"
    before = events(target.ask("GET", path).body)

    async def rename() -> None:
        target.world.change("PROP", 1, name=name, description_html=f"<p>{name}</p><script>alert(1)</script>")
        target.world.clock.move(hours=1)

    target.run(rename())
    answer = target.ask("GET", path)
    after = events(answer.body)
    assert before.keys() == after.keys()
    assert all("ATTENDEE" not in event and not event.walk("VALARM") for event in after.values())
    assert all(len(line) <= 75 for line in answer.body.split(b"\r\n"))
    assert b"alert(1)</script>" not in answer.body
