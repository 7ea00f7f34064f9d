"""Logging: one line an event, and never a secret in it."""

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from msgspec import Struct

from icsfeed.core.config import Config, Secret

_TOKEN = re.compile(r"icsf_[A-Za-z2-7]{8,}")
HIDDEN = "***"
SHORTEST = 8
"""Shorter values (`file`, `memory`) are words that may stand in any line."""
QUIET = ("httpx", "httpcore", "uvicorn")
"""Loggers that print whole URLs, our links among them, or what nobody needs to know."""


class Redacting(logging.Formatter):
    """A formatter that hides tokens of links and the given secrets, in messages and tracebacks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._secrets = tuple(
            sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)
        )

    def format(self, record: logging.LogRecord) -> str:
        line = _TOKEN.sub(f"icsf_{HIDDEN}", super().format(record))
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line


def secrets_of(config: Config) -> Iterable[str]:
    """Every secret of a configuration, wherever it stands in it."""
    return tuple(_secrets_in(config))


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)


def set_up(level: str, secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (standard error), at `level` and above, with secrets hidden."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Redacting(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
