"""Examine a feed as calendar apps would read it."""
