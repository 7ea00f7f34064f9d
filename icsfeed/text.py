"""Text for people: cleaned, clipped, with names filled in. Nothing here raises, whatever a text holds."""

import re
import zlib
from collections.abc import Callable, Mapping

from wcwidth import grapheme_boundary_before

MENTION = "\x1a"
"""On both sides of a user's id in the text of html_text.py. A control character: input loses its own."""

_NEWLINES = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What one of these three changes."""
_HAS_MENTIONS = b"@"
"""The first byte of a deflated text with mentions: it is found without inflating all others."""
_MENTIONED = re.compile(f"{MENTION}([^{MENTION}]*){MENTION}")

_INVISIBLE = re.compile(
    "[\\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]*+"
)
"""White space, control characters, and what Unicode calls default ignorable."""


def is_blank(text: str) -> bool:
    """Return whether a person sees nothing of it."""
    return _INVISIBLE.fullmatch(text) is not None


def multi_line(text: str) -> str:
    """Return the text with newline as its only line break, and no other control character but tab.

    Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """
    # Most are printable, and most of the others have a no-break space or an emoji: this saves three passes.
    if text.replace("\n", "").isprintable() or not _UNWANTED.search(text):
        return text
    text = _CONTROLS.sub("", _NEWLINES.sub("\n", text))
    return _SURROGATES.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return the text as `multi_line` does, each line break as a space."""
    return multi_line(text).replace("\n", " ")


def clip(text: str, limit: int) -> str:
    """Return at most `limit` characters, with `…` when cut: between words where that loses less than half.

    What a reader sees as one character (a grapheme cluster: an emoji with its skin tone) is never cut.
    """
    if len(text) <= limit:
        return text
    head = text[: grapheme_start(text, limit - 1)]
    if not text[len(head)].isspace():
        whole_words = re.match(r"(?s)(.*\S)\s", head)
        head = whole_words[1] if whole_words and len(whole_words[1]) > limit // 2 else head
    return head.rstrip() + "…"


def grapheme_start(text: str, at: int) -> int:
    """Return the last index up to `at` that is inside no character; `at` where one character is that long."""
    return grapheme_boundary_before(text, at + 1) or at


def with_names(text: str, name_of: Callable[[str], str | None]) -> str:
    """Return a text of html_text.py with each mention as `@name`, an unknown person as `@…`."""
    if MENTION not in text:
        return text
    return _MENTIONED.sub(lambda match: "@" + (name_of(match[1]) or "…"), text)


def deflate(text: str) -> bytes:
    """Compress a text of html_text.py to a third: there is one for each issue, and few are read again.

    It begins with `@` where it mentions somebody.
    """
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"), 1) if text else b""
    return _HAS_MENTIONS + packed if MENTION in text else packed


def inflate(text: bytes) -> str:
    """Return the text that was deflated."""
    packed = text.removeprefix(_HAS_MENTIONS)
    return zlib.decompress(packed).decode("utf-8", "surrogatepass") if packed else ""


def mentioned_ids(text: bytes) -> list[str]:
    """Return the ids of those whom a deflated text mentions."""
    return _MENTIONED.findall(inflate(text)) if text.startswith(_HAS_MENTIONS) else []


def fill(template: str, fields: Mapping[str, object]) -> str:
    """Fill in a summary template (`[{sequence_id}] {name}`), whose fields the configuration has checked."""
    return template.format_map(fields)
