"""Feeds written into calendars on CalDAV servers."""
