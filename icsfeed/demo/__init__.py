"""A small read-only Plane: the part of Plane's public REST API that icsfeed reads, with a sample workspace.

`api.create_plane(data, clock)` is the server, `data.DemoData` what it serves, `sample.sample(today)` a
believable workspace. Routes and a handler in its place can be passed in. The model is Plane v1.3.1.
"""
