"""The server: building the feeds of a configuration, reloading it, sockets, connection limits, systemd."""
