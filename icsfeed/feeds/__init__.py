"""From snapshots to calendars: selection, mapping, rendering, links."""
