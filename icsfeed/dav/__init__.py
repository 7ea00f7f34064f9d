"""WebDAV and CalDAV as messages, for the client of pushes and the server alike."""
