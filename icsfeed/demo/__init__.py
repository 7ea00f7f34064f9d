"""A small read-only Plane for `icsfeed demo`: the part of Plane's REST API that icsfeed reads, and a sample.

`api.create_plane(data, clock)` creates the server of `data.DemoData`, which `sample.sample(today)` fills. It
behaves as Plane v1.3.1, or as another of `editions.EDITIONS`; the tests' Plane (tests/plane) is built on it.
"""
