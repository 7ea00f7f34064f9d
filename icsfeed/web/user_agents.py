"""Which calendar app asks: its family, from the User-Agent that it sends."""

import re
from collections.abc import Sequence
from functools import lru_cache

FAMILIES: Sequence[tuple[str, str]] = (
    ("Google Calendar", r"google-calendar"),
    ("Outlook", r"outlook|microsoft office|microsoft\.exchange|exchangeservicesclient|owa/"),
    ("Thunderbird", r"thunderbird|lightning/"),
    ("ICSx5", r"icsx5|icsdroid"),
    ("DAVx5", r"davx5|davdroid"),
    ("Nextcloud", r"nextcloud|sabre"),
    ("Home Assistant", r"homeassistant|home assistant|home-assistant"),
    ("Apple Calendar", r"calendaragent|dataaccessd|accountsd|calendar/.*cfnetwork|\bios/|mac ?os.*calendar"),
    ("Fastmail", r"fastmail"),
    ("Proton Calendar", r"proton"),
    ("Yahoo Calendar", r"yahoocalendar|yahoo! ?slurp|ycal"),
    ("Evolution", r"evolution|gnome-calendar"),
    ("KOrganizer", r"korganizer|akonadi|kio/"),
    ("vdirsyncer", r"vdirsyncer|pimsync"),
    ("FullCalendar", r"fullcalendar"),
    ("icsfeed", r"^icsfeed/"),
    ("a crawler", r"bot\b|crawler|spider"),
    ("a script", r"^(?:curl|wget|python|httpx|go-http|okhttp|java|node|libwww|aiohttp)"),
    ("a browser", r"^mozilla/5\.0"),
)
"""Name and pattern, the more telling first: most apps also say that they are a browser."""

OTHER, UNNAMED = "another app", "an app without a name"
_FAMILIES = tuple((name, re.compile(pattern)) for name, pattern in FAMILIES)
_LONGEST = 300
"""Characters that are looked at: what names an app stands at the beginning."""


@lru_cache(maxsize=1_000)
def family(user_agent: str | None) -> str:
    """The app that sends this User-Agent, without its version: one of a few names."""
    text = (user_agent or "").strip()[:_LONGEST].lower()
    if not text:
        return UNNAMED
    return next((name for name, pattern in _FAMILIES if pattern.search(text)), OTHER)
