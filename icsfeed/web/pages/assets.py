"""Our styles, scripts and icons: their names hold a digest, so that browsers may cache them for a year.

litestar's static files (2.25) ignore conditional requests.
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from icsfeed.ics.component import CSS3
from icsfeed.web.pages.parameters import TIMELINE_DAYS

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Assets:
    """The files of static/ in memory, and style sheets of colours and of days."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        for file in sorted(
            files("icsfeed.web.pages").joinpath("static").iterdir(), key=lambda file: file.name
        ):
            self._add(file.name, file.read_bytes())
        self._add("colors.css", color_classes(CSS3).encode())
        self._add("days.css", day_classes(TIMELINE_DAYS).encode())

    def path(self, name: str) -> str:
        """Return a file's path under the server's root."""
        return f"/static/{self._names[name]}"

    def body(self, name: str) -> bytes | None:
        """Return a file by its name with the digest; None: there is none, or an older version is meant."""
        return self._bodies.get(name)

    def _add(self, name: str, body: bytes) -> None:
        stem, _, kind = name.rpartition(".")
        # Editors leave other files in the folder.
        if kind in TYPES:
            self._names[name] = f"{stem}.{sha256(body).hexdigest()[:16]}.{kind}"
            self._bodies[self._names[name]] = body


def day_classes(days: int) -> str:
    """Return classes for where a bar of a timeline is: `x`, its first day, and `w`, how many it has."""
    return "".join(f".x{day}{{--x:{day}}}.w{day + 1}{{--w:{day + 1}}}\n" for day in range(days))


def color_classes(colors: Mapping[str, str]) -> str:
    """Return a class for each colour that a feed may give its events: our policy forbids inline styles."""
    return "".join(f".c-{name}{{--c:{value}}}\n" for name, value in colors.items())
