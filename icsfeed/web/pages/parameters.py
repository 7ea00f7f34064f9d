"""The parameters of pages, apart from those that filter a feed: which there are, and how they are read."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias, get_args

from icsfeed.errors import BadParameter

View: TypeAlias = Literal["month", "week", "agenda", "day", "timeline"]
Theme: TypeAlias = Literal["auto", "light", "dark"]
VIEWS: tuple[View, ...] = get_args(View)
THEMES: tuple[Theme, ...] = get_args(Theme)
FRAME_VIEWS: tuple[View, ...] = tuple(view for view in VIEWS if view != "day")
"""Those that a frame offers; a day is opened from a month."""
WEEK_STARTS: Mapping[str, int] = {"monday": 0, "saturday": 5, "sunday": 6}
"""The days on which weeks begin somewhere, as Python numbers them."""

TIMELINE_DAYS = 56
"""Days of a timeline: its style sheet has a class for each."""

EARLIEST, LATEST = date(1900, 1, 1), date(9000, 12, 31)
"""Days that pages show: whatever a page adds to them is still a valid date."""

EMBED_PARAMETERS = ("embed_view", "embed_lang", "embed_theme", "embed_week", "embed_height")
"""What the page of a feed is asked to make a frame's code of: `lang` and the others are its own."""
PAGE_PARAMETERS = frozenset(
    {
        *("view", "date", "skip", "lang", "theme", "week", "refresh", "feed", "link", "links", "sync"),
        *("q", "only", "sort", "show", "revoke", "revoked"),
        *EMBED_PARAMETERS,
    }
)
MAX_VALUE_LENGTH = 100
"""Characters of a value; no longer one means anything, and each link of a page would repeat it."""


def parse_view(text: str | None) -> View:
    """Return the view of this name, month by default. Raise BadParameter."""
    view = next((view for view in VIEWS if view == (text or "month").lower()), None)
    if view is None:
        raise BadParameter("view", f"must be one of {', '.join(VIEWS)}")
    return view


def parse_date(text: str | None, today: date) -> date:
    """Read a day such as `2026-12-31`, today by default. Raise BadParameter."""
    if not text:
        return today
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise BadParameter("date", "must be a date such as 2026-12-31") from None
    if not is_shown(day):
        raise BadParameter("date", f"must be from {EARLIEST.year} to {LATEST.year}")
    return day


def parse_skip(text: str | None) -> int:
    """Read a whole number, 0 by default. Raise BadParameter."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadParameter("skip", "must be a whole number")
    return int(text)


def is_shown(day: date) -> bool:
    """Return whether there is a page of this day."""
    return EARLIEST <= day <= LATEST
