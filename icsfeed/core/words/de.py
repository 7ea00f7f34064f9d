"""German."""

WORDS = {
    "no title": "(ohne Titel)",
    "start suffix": "(Beginn)",
    "busy": "Beschäftigt",
    "assignees": "Zuständig",
    "labels": "Labels",
    "cycle": "Zyklus",
    "module": "Modul",
    "start": "Beginn",
    "project": "Projekt",
    "progress": "Fortschritt",
    "done of": "{done} von {total} erledigt",
    "urgent": "Dringend",
    "high": "Hoch",
    "medium": "Mittel",
    "low": "Niedrig",
    "none": "Keine Priorität",
    "stale": "⚠ Nicht aktualisiert seit {date}",
    "stale why": "Der Server mit den Aufgaben ließ sich seitdem nicht lesen. "
    "Was dieser Kalender zeigt, ist vielleicht überholt.",
    "overdue": "{n} überfällig",
    "revoked": "Dieser Kalender-Link wurde widerrufen",
    "revoked why": "Bitte die Betreiber dieses Servers um einen neuen Link und entferne diesen Kalender.",
    "issues of": "Aufgaben: {name}",
    "unassigned": "Aufgaben ohne Zuständige",
}
