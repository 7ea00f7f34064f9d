"""Backups of the links that people have made: a JSON file with digests, by which nobody can open a feed."""

import re
from collections.abc import Iterator
from datetime import datetime
from json import JSONDecodeError, loads
from typing import Any

from msgspec import Struct, ValidationError, convert, json

from icsfeed.errors import BadBackup
from icsfeed.own_links.model import Digests, LinkRecord, OwnLink

FORMAT = 1

_ID, _DIGEST = re.compile(r"[a-z2-7]{8}"), re.compile(r"[0-9a-f]{64}")


class Backup(Struct, frozen=True):
    """A backup. `icsfeed_links` is the version of its format."""

    icsfeed_links: int
    written_at: datetime
    links: tuple[OwnLink, ...]
    forgotten: tuple[str, ...] = ()


def written(record: LinkRecord, now: datetime) -> bytes:
    """Return a backup of the links as a file."""
    return json.format(json.encode(Backup(FORMAT, now, record.links, record.forgotten)), indent=1) + b"\n"


def read_backup(body: bytes) -> LinkRecord:
    """Return the links of a backup. Raises BadBackup, which names the line or the field that is wrong."""
    try:
        text = body.decode()
        content = loads(text)
    except UnicodeDecodeError as error:
        raise BadBackup(f"byte {error.start + 1}", "is not UTF-8") from None
    except JSONDecodeError as error:
        raise BadBackup(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}") from None
    except RecursionError:
        raise BadBackup("the file", "is nested too deeply") from None
    if not isinstance(content, dict) or "icsfeed_links" not in content:
        raise BadBackup("the file", "is no backup of `icsfeed links export`")
    if content["icsfeed_links"] != FORMAT:
        raise BadBackup("icsfeed_links", f"must be {FORMAT}: another version of icsfeed has written this")
    # Unknown members are not ignored: a misspelt `revoked_at` would make a revoked link work again.
    for place, problem in _unknown(content):
        raise BadBackup(place, problem)
    try:
        backup = convert(content, Backup)
    except ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise BadBackup(path.rstrip("`") or "the file", reason[:1].lower() + reason[1:]) from None
    for place, problem in _wrong(backup):
        raise BadBackup(place, problem)
    return LinkRecord(links=backup.links, forgotten=backup.forgotten)


def _unknown(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    links = content.get("links")
    places = [("", content, Backup.__struct_fields__)]
    for number, link in enumerate(links if isinstance(links, list) else ()):
        if isinstance(link, dict):
            places.append((f"links[{number}].", link, OwnLink.__struct_fields__))
            former = link.get("former")
            several = [("digests", link.get("digests"))]
            several += [
                (f"former[{n}]", each) for n, each in enumerate(former if isinstance(former, list) else ())
            ]
            places += [
                (f"links[{number}].{name}.", each, Digests.__struct_fields__)
                for name, each in several
                if isinstance(each, dict)
            ]
    for place, members, known in places:
        yield from ((f"{place}{name}", "is not a known member") for name in members if name not in known)


def _wrong(backup: Backup) -> Iterator[tuple[str, str]]:
    """Find what has the right type and cannot be right."""
    seen: set[str] = set()
    for number, link in enumerate(backup.links):
        place = f"links[{number}]"
        if not _ID.fullmatch(link.id):
            yield f"{place}.id", "must have 8 letters and digits"
        if link.id in seen:
            yield f"{place}.id", f"is that of another link: {link.id}"
        seen.add(link.id)
        if "@" not in link.person or link.person != link.person.strip().casefold():
            yield f"{place}.person", "must be an e-mail address in lower case"
        if not link.device.strip() or not f"{link.device}{link.title}".isprintable():
            yield f"{place}.device", "must be a name"
        for digests in (link.digests, *link.former):
            kinds = (digests.token,) if link.is_account else (digests.token, digests.embed)
            if not all(map(_DIGEST.fullmatch, kinds)):
                yield f"{place}.digests", "must be 64 hexadecimal digits each"
        times = (link.made_at, link.renewed_at, link.revoked_at, link.suspended_at)
        if any(
            time is not None and time.tzinfo is None for time in (*times, *(one.until for one in link.former))
        ):
            yield place, "has a time without its UTC offset"
