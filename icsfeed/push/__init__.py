"""Push feeds into calendars on CalDAV servers."""
