"""The Plane of the tests: the demo's read-only Plane with all that icsfeed never asks of it.

`api.create_plane(data)` is the server, `data.PlaneData` what it serves and how that changes,
`sample.sample(today)` the demo's workspace, `recorded.load_recorded(folder)` the workspace of the recorded
answers. `faults.Faults` makes it fail on demand and records the requests, `versions` are older releases,
`editions.Variant` another Commercial than the documented one, `deliveries.Webhook` sends webhooks v2.
The model is Plane v1.3.1, as recorded in tests/data/plane; for Commercial, Plane's documents of August 2026.
"""
