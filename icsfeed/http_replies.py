"""What the answers of other people's servers say, whatever they are servers of."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds from now (RFC 9110, 10.2.3); None where there is none that can be read.

    A date is compared with the answer's own Date, so that the two clocks need not agree. `headers` are
    looked up in small letters.
    """
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (_moment(value) - _moment(headers["date"])).total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def short(text: str) -> str:
    """Somebody else's words on one line of a message."""
    return " ".join(text.split())[:200]
