"""Feeds as calendars and news over HTTP."""
