"""Tests in a real Chromium: pytest tests/browser, with the dependency group `browser`."""
