"""The HTTP server: feeds, pages, webhooks, status."""
