"""Logging: one line for each event, as text or JSON, without secrets, and repeated failures counted.

What an event is about is given with its message: `log.info("words", extra=about(feed="anna"))`.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, TypeAlias

from cachetools import LRUCache
from msgspec import json

Form: TypeAlias = Literal["text", "json"]

HIDDEN = "***"
MIN_SECRET_LENGTH = 8
"""Shorter values (`file`, `memory`) are words that can occur in any line."""
QUIET_LOGGERS = ("httpx", "httpcore", "uvicorn")
"""Loggers that print whole URLs, our links among them, or what nobody needs to know."""
SILENCE_SECONDS = 600.0
"""For so long the same warning or error is only counted."""
MAX_REMEMBERED = 500
NEVER_SILENCED = ("icsfeed.config",)
"""Loggers whose reader waits for each line: somebody who has just changed the configuration."""

_TOKEN = re.compile(r"icsf_[A-Za-z2-7]{8,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What controls a terminal, ends a line, changes the direction of text, or cannot be encoded."""
_PLAIN = re.compile(r"[^\s\"=]+")


def about(**fields: object) -> dict[str, Any]:
    """Return the argument `extra=` of an event: what it is about, as `name=value` or as JSON members."""
    return {"about": fields}


class RedactingFormatter(logging.Formatter):
    """A formatter that hides tokens of links and the given secrets, in messages and tracebacks."""

    def __init__(self, secrets: Iterable[str] = (), form: Form = "text") -> None:
        super().__init__("%(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._secrets: tuple[str, ...] = ()
        self.add(secrets)
        self._form = form

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these secrets, too, from now on."""
        every = {*self._secrets, *(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)}
        # The longest first: a secret that holds another one must not leave the rest of it to be read.
        self._secrets = tuple(sorted(every, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of an event."""
        fields = {
            name: value if isinstance(value, int | float) else self.hide(str(value))
            for name, value in getattr(record, "about", {}).items()
        }
        if repeated := getattr(record, "repeated", 0):
            fields["repeated"] = repeated
        trace = self.hide(self.formatException(record.exc_info)) if record.exc_info else ""
        write = self._json if self._form == "json" else self._text
        return write(record, self.hide(record.getMessage()), fields, trace)

    def hide(self, text: str) -> str:
        """Return the text with secrets hidden."""
        text = _TOKEN.sub(f"icsf_{HIDDEN}", text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _text(self, record: logging.LogRecord, message: str, fields: Mapping[str, object], trace: str) -> str:
        """Return one line; a traceback follows it, indented so that no line of it looks like an event."""
        at = self.formatTime(record, self.datefmt)
        words = [f"{at} {record.levelname} {record.name}: {_one_line(message)}"]
        for name, value in fields.items():
            text = _one_line(f"{value:g}" if isinstance(value, float) else str(value))
            quoted = text if _PLAIN.fullmatch(text) else '"' + text.replace('"', "'") + '"'
            words.append(f"{name}={quoted}")
        return "\n".join([" ".join(words), *(f"    {_one_line(line)}" for line in trace.splitlines())])

    def _json(self, record: logging.LogRecord, message: str, fields: Mapping[str, object], trace: str) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname, "logger": record.name, "message": message, **fields}
        if trace:
            line["traceback"] = trace
        # Plane sends half surrogate pairs, which UTF-8 cannot hold: they become `?`.
        encodable = {
            name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for name, value in line.items()
        }
        return json.encode(encodable).decode()


def _one_line(text: str) -> str:
    """Return the text with control characters escaped, so that no event can forge another one."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class RepeatFilter(logging.Filter):
    """Lets the same warning or error pass once in `silence` seconds; the next one says how many there were.

    Two are the same when they are about the same things and only numbers differ.
    """

    def __init__(self, silence: float = SILENCE_SECONDS) -> None:
        super().__init__()
        self._silence = silence
        self._seen: LRUCache[tuple[object, ...], tuple[float, int]] = LRUCache(MAX_REMEMBERED)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print an event. Sets `record.repeated` where others were left out before it."""
        if record.levelno < logging.WARNING or record.name in NEVER_SILENCED:
            return True
        key = _identity(record)
        since, count = self._seen.get(key, (None, 0))
        if since is not None and record.created - since < self._silence:
            self._seen[key] = (since, count + 1)
            return False
        if count:
            record.repeated = count
        self._seen[key] = (record.created, 0)
        return True


def _identity(record: logging.LogRecord) -> tuple[object, ...]:
    """Return what two events have in common that say the same: all but their numbers."""
    arguments = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    words = tuple(
        # The text of an error holds seconds to wait and counts. In a name, digits are part of the name.
        re.sub(r"\d+", "#", str(value)) if isinstance(value, Exception) else str(value)
        for value in arguments
        if not isinstance(value, int | float)
    )
    error = record.exc_info[1] if record.exc_info else None
    return (record.name, record.levelno, record.msg, words, type(error), str(error))


def set_up(level: str, secrets: Iterable[str], stream: TextIO | None = None, form: Form = "text") -> None:
    """Send all logging at `level` and above to `stream` (default: standard error), with secrets hidden."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(RedactingFormatter(secrets, form))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(secret: str) -> None:
    """Hide a secret that became known after `set_up`: a key that was read again from its file."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.add([secret])
