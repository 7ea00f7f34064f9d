"""Where snapshots are stored: files, memory or Redis."""
