"""Where the core and the adapters meet: freshness, feeds, and the web."""
