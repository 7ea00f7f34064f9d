"""The server as a process: configuration reload, sockets, signals, logs."""
