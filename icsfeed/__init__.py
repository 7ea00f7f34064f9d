"""icsfeed publishes the dates of a Plane workspace as calendar feeds."""

__version__ = "0.2.0"
