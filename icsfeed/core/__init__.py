"""The pure core: no await, no clock, no files, no network, no environment."""
