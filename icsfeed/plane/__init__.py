"""Plane's REST API and webhooks (v0.22 to v1.3.1), read."""
