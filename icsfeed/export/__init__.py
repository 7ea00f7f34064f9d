"""Feeds written as files."""
