"""Logging: one line an event, as text or JSON, never a secret in it, and no failure a thousand times.

What an event is about goes beside its message: `log.info("words", extra=about(feed="anna"))`.
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

_TOKEN = re.compile(r"icsf_[A-Za-z2-7]{8,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal or ends a line, turns the direction of what follows, or cannot be written."""
_PLAIN = re.compile(r"[^\s\"=]+")
HIDDEN = "***"
SHORTEST = 8
"""Shorter values (`file`, `memory`) are words that may stand in any line."""
QUIET = ("httpx", "httpcore", "uvicorn")
"""Loggers that print whole URLs, our links among them, or what nobody needs to know."""
SILENCE = 600.0
"""Seconds for which the same warning or error is only counted."""
REMEMBERED = 500
ALWAYS = ("icsfeed.config",)


def about(**fields: object) -> dict[str, Any]:
    """For `extra=`: what an event is about, printed as `name=value`, or as members of the JSON."""
    return {"about": fields}


class RedactingFormatter(logging.Formatter):
    """A formatter that hides tokens of links and the given secrets, in messages and tracebacks."""

    def __init__(self, secrets: Iterable[str] = (), form: Form = "text") -> None:
        super().__init__("%(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._secrets: tuple[str, ...] = ()
        self.add(secrets)
        self._form = form

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these, too, from now on."""
        every = {*self._secrets, *(secret for secret in secrets if len(secret) >= SHORTEST)}
        self._secrets = tuple(sorted(every, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        message = self.hide(record.getMessage())
        fields = {name: self._clean(value) for name, value in getattr(record, "about", {}).items()}
        repeated: int = getattr(record, "repeated", 0)
        if repeated:
            fields["repeated"] = repeated
        trace = self.hide(self.formatException(record.exc_info)) if record.exc_info else ""
        write = self._json if self._form == "json" else self._text
        return write(record, message, fields, trace)

    def hide(self, text: str) -> str:
        """The text with secrets hidden."""
        text = _TOKEN.sub(f"icsf_{HIDDEN}", text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _clean(self, value: object) -> object:
        return value if isinstance(value, int | float) else self.hide(str(value))

    def _text(self, record: logging.LogRecord, message: str, fields: Mapping[str, object], trace: str) -> str:
        """One line; of a fault of ours its traceback follows, indented so that it cannot pass for a line."""
        at = self.formatTime(record, self.datefmt)
        words = [f"{at} {record.levelname} {record.name}: {_one_line(message)}"]
        words += [f"{name}={_quoted(value)}" for name, value in fields.items()]
        lines = [" ".join(words), *(f"    {_one_line(line)}" for line in trace.splitlines())]
        return "\n".join(lines)

    def _json(self, record: logging.LogRecord, message: str, fields: Mapping[str, object], trace: str) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname, "logger": record.name, "message": message, **fields}
        return json.encode(_encodable({**line, "traceback": trace} if trace else line)).decode()


def _encodable(line: Mapping[str, object]) -> Mapping[str, object]:
    """The members of a line; half surrogate pairs, which Plane may send and UTF-8 cannot hold, as `?`."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in line.items()
    }


def _one_line(text: str) -> str:
    """The text with control characters and line breaks escaped: no event can forge another."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _quoted(value: object) -> str:
    text = _one_line(f"{value:g}" if isinstance(value, float) else str(value))
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', "'") + '"'


class RepeatFilter(logging.Filter):
    """Lets the same warning or error pass once in a while; the next one says how many it stands for.

    Two are the same when they are about the same things, and only numbers differ. What is told to a
    person who waits for it, about a configuration, is never held back.
    """

    def __init__(self, silence: float = SILENCE) -> None:
        super().__init__()
        self._silence = silence
        self._seen: LRUCache[tuple[object, ...], tuple[float, int]] = LRUCache(REMEMBERED)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name in ALWAYS:
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
    given = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    words = tuple(_words(value) for value in given if not isinstance(value, int | float))
    error = record.exc_info[1] if record.exc_info else None
    return (record.name, record.levelno, record.msg, words, type(error), str(error))


def _words(value: object) -> str:
    """Of an error the words without its numbers: seconds to wait, counts. A name with digits is a name."""
    return re.sub(r"\d+", "#", str(value)) if isinstance(value, Exception) else str(value)


def set_up(level: str, secrets: Iterable[str], stream: TextIO | None = None, form: Form = "text") -> None:
    """Send all logging to `stream` (standard error), at `level` and above, with secrets hidden."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(RedactingFormatter(secrets, form))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(secret: str) -> None:
    """Hide a secret that came to be known after `set_up`, as a key that was read again."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.add([secret])
