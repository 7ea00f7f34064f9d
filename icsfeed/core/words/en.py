"""English."""

WORDS = {
    "no title": "(no title)",
    "start suffix": "(start)",
    "busy": "Busy",
    "assignees": "Assignees",
    "labels": "Labels",
    "cycle": "Cycle",
    "module": "Module",
    "start": "Start",
    "project": "Project",
    "progress": "Progress",
    "done of": "{done} of {total} done",
    "urgent": "Urgent",
    "high": "High",
    "medium": "Medium",
    "low": "Low",
    "none": "No priority",
    "stale": "⚠ Not updated since {date}",
    "stale why": "The project management server could not be read since then. "
    "What this calendar shows may be out of date.",
    "overdue": "{n} overdue",
    "revoked": "This calendar link was revoked",
    "revoked why": "Ask the people who run this server for a new link, and remove this calendar.",
    "issues of": "{name}'s issues",
    "unassigned": "Unassigned issues",
}
