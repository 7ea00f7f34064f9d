"""Backups of the links that people have made: what is in them, and which files are refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from icsfeed.errors import BadBackup
from icsfeed.own_links import changes
from icsfeed.own_links.backup import read_backup, written
from icsfeed.own_links.model import Invitation, LinkRecord, OwnLink, digests_of

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TOKEN = "icsf_" + "a" * 26
PHONE = OwnLink(
    id="aaaaaaaa",
    person="anna@example.com",
    device="phone",
    feed="property",
    narrowing="priority=urgent",
    digests=digests_of(TOKEN, is_account=False),
    former=(replace(digests_of("icsf_b", is_account=False), until=NOW),),
    made_at=NOW - timedelta(days=3),
    renewed_at=NOW,
)
ACCOUNT = OwnLink(
    id="bbbbbbbb",
    person="ben@example.com",
    device="Tablet 📱",
    digests=digests_of("icsf_c", is_account=True),
    made_at=NOW,
    revoked_at=NOW,
)
RECORD = LinkRecord(links=(PHONE, ACCOUNT), forgotten=("cccccccc",))


def content() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(written(RECORD, NOW))
    return loaded


def test_what_is_written_is_read_again() -> None:
    assert read_backup(written(RECORD, NOW)) == RECORD


def test_links_that_were_revoked_long_ago_stay_so_whatever_a_backup_says() -> None:
    dead = replace(PHONE, revoked_at=NOW)
    later = changes.without_past(
        LinkRecord(links=(dead, ACCOUNT)), timedelta(days=90), NOW + timedelta(days=91)
    )
    assert (later.links, later.forgotten) == ((), (PHONE.id, ACCOUNT.id))
    assert changes.merged(later, RECORD).links == ()
    # And the other way round: the store is the older one.
    assert changes.merged(RECORD, changes.exported(later)).links == ()


def test_a_backup_has_no_token_and_no_invitation() -> None:
    invitation = Invitation("f" * 64, "anna@example.com", NOW)
    body = written(replace(RECORD, invitations=(invitation,)), NOW)
    assert b"icsf_" not in body
    assert b"f" * 64 not in body
    assert content()["icsfeed_links"] == 1
    assert body.endswith(b"}\n")
    assert body.count(b"\n") > 20


def changed(**link: Any) -> bytes:
    """A backup whose first link has other members; None: without that member."""
    backup = content()
    first = {**backup["links"][0], **link}
    backup["links"][0] = {name: value for name, value in first.items() if value is not None}
    return json.dumps(backup).encode()


DIGEST = "0" * 64
WRONG: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "line 1, column 1 is not JSON"),
    "cut off": (written(RECORD, NOW)[:200], "line 10, column 17 is not JSON: "),
    "a line": (b'{\n"icsfeed_links": 1,\n"links": [,]}', "line 3, column 11 is not JSON"),
    "not UTF-8": (b"\xff{}", "byte 1 is not UTF-8"),
    "a list": (b"[]", "the file is no backup of `icsfeed links export`"),
    "something else": (b'{"feeds": {}}', "the file is no backup"),
    "deep": (b"[" * 100_000, "the file is nested too deeply"),
    "newer": (b'{"icsfeed_links": 2}', "icsfeed_links must be 1"),
    "no links": (
        b'{"icsfeed_links": 1, "written_at": "2026-11-23T10:00:00Z"}',
        "the file object missing required field `links`",
    ),
    "links": (
        b'{"icsfeed_links": 1, "written_at": "2026-11-23T10:00:00Z", "links": 3}',
        "links expected `array`",
    ),
    "a number": (
        b'{"icsfeed_links": 1, "written_at": "2026-11-23T10:00:00Z", "links": [3]}',
        "links[0] expected",
    ),
    "member": (json.dumps({**content(), "link": []}).encode(), "link is not a known member"),
    "misspelt": (changed(revokd_at="2026-11-23T10:00:00Z"), "links[0].revokd_at is not a known member"),
    "type": (changed(person=7), "links[0].person expected `str`, got `int`"),
    "missing": (changed(person=None), "links[0] object missing required field `person`"),
    "id": (changed(id="A"), "links[0].id must have 8 letters and digits"),
    "twice": (changed(id="bbbbbbbb"), "links[1].id is that of another link: bbbbbbbb"),
    "person": (changed(person="Anna"), "links[0].person must be an e-mail address in lower case"),
    "upper case": (changed(person="Anna@example.com"), "links[0].person must be an e-mail address in lower"),
    "device": (changed(device=" "), "links[0].device must be a name"),
    "control": (changed(title="a\nb"), "links[0].device must be a name"),
    "digest": (changed(digests={"token": "x", "embed": DIGEST}), "links[0].digests must be 64 hexadecimal"),
    "no embed": (changed(digests={"token": DIGEST}), "links[0].digests must be 64 hexadecimal"),
    "digests": (changed(digests={"token": DIGEST, "x": 1}), "links[0].digests.x is not a known member"),
    "former": (changed(former=[{"y": 1}]), "links[0].former[0].y is not a known member"),
    "time": (changed(made_at="2026-11-23T10:00:00"), "links[0] has a time without its UTC offset"),
    "no time": (changed(made_at="yesterday"), "links[0].made_at invalid RFC3339"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused_and_the_line_or_field_is_named(what: str) -> None:
    body, message = WRONG[what]
    with pytest.raises(BadBackup) as refused:
        read_backup(body)
    assert str(refused.value).startswith(message)
