"""The feeds as calendars of a read-only CalDAV account (docs/dav.md)."""
