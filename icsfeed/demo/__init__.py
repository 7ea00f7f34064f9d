"""A small Plane of our own: the part of Plane's public REST API that icsfeed reads, with a workspace to show.

`api.create_plane(data)` is the server, `data.PlaneData` what it serves, `sample.sample(today)` a believable
workspace, `recorded.load_recorded(folder)` the workspace of the recorded answers. `faults.Faults` makes it
fail on demand and remembers what it was asked. The model is Plane v1.3.1, as recorded in tests/data/plane.
"""
