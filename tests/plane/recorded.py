"""The workspace `acme` of the recorded answers, loaded: the embedded Plane then answers as Plane did.

What the answers do not tell (time zones, what became of a key) was read from how they differ for each key.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from icsfeed.demo.data import ADMIN, GUEST, MEMBER, DemoKey, DemoMember, DemoProject, DemoUser, DemoWorkspace
from icsfeed.demo.rows import Row, base, link_row, stamp
from plane.data import PlaneData
from plane.rewriting import MOMENTS

RECORDED_AT = datetime(2026, 11, 21, 8, 27, 30, tzinfo=UTC)
ZONES = {"bob": "America/New_York", "carol": "Asia/Kolkata"}
KEYS = {
    "bob": "bob",
    "carol (guest)": "carol",
    "dave (workspace member, no project)": "dave",
    "eve other": "eve",
}
FILES = {
    "WEB": ("states-list", "labels-list", "work-items-list", "project-members"),
    "MOB": ("mob-states", "mob-labels", "mob-work-items", "mob-members"),
    "EMPTY": ("empty-states", "empty-labels", "empty-work-items", "empty-members"),
}
"""Of each project: its states, labels, issues and members."""


def recorded_clock() -> datetime:
    """The moment of the recording."""
    return RECORDED_AT


def load_recorded(folder: Path, clock: Callable[[], datetime] = recorded_clock) -> PlaneData:
    """The workspace as the recordings in `folder` (`*.json`, and `ids.json`) have it.

    Projects WEB, MOB, EMPTY, the archived ARC, PUB and SEC that alice has not joined; the keys of ids.json.
    Archived, draft and deleted issues are not there: no answer ever held them.
    """
    tape = _Tape(folder)
    data = PlaneData(clock=clock)
    for row in tape.body("workspace-members"):
        names = row["display_name"], row["first_name"], row["last_name"]
        data.users[row["id"]] = DemoUser(row["id"], row["email"], *names)
    data.zones = {tape.ids["users"][name]: zone for name, zone in ZONES.items()}
    data.keys = {key.token: key for key in _keys(tape.ids)}
    _add_workspaces(data, tape)
    for row in tape.rows("projects-list") + tape.rows("projects-list-as-bob"):
        project = data.projects.setdefault(row["id"], DemoProject("acme", _stored(row)))
        project.members = project.members or _members(tape, row["identifier"])
    web = data.projects[tape.ids["projects"]["WEB"]]
    _add_periods(web, tape)
    data.points = {point["id"]: point for point in _points(tape.rows("work-items-expand-all"))}
    data.last_numbers[web.row["id"]] = max(issue["seq"] for issue in tape.ids["issues_WEB"].values())
    for key, files in FILES.items():
        _fill(data.projects[tape.ids["projects"][key]], tape, files)
    return data


class _Tape:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, Any] = self._read("ids")

    def body(self, name: str) -> Any:
        return self._read(name)["body"]

    def rows(self, name: str) -> list[Row]:
        return self.body(name)["results"]  # type: ignore[no-any-return]

    def _read(self, name: str) -> Any:
        return msgspec.json.decode((self.folder / f"{name}.json").read_bytes())


def _keys(ids: dict[str, Any]) -> list[DemoKey]:
    """All but a few of the keys are alice's."""
    return [
        DemoKey(
            token,
            ids["users"][KEYS.get(name, "alice")],
            kind="service" if name.startswith("service") else "person",
            active=name != "inactive",
            expires=RECORDED_AT.replace(year=2025) if name == "expired" else None,
        )
        for name, token in ids["tokens"].items()
    ]


def _add_workspaces(data: PlaneData, tape: _Tape) -> None:
    space = tape.rows("work-items-expand-all")[0]["workspace"]
    members = [DemoMember(row["id"], row["role"]) for row in tape.body("workspace-members")]
    data.workspaces["acme"] = DemoWorkspace(space["id"], "acme", space["name"], members)
    eve = DemoUser(tape.ids["users"]["eve"], "eve@other.test", "eve")
    data.users[eve.id] = eve
    data.workspaces["other"] = DemoWorkspace(
        tape.ids["workspaces"]["other"], "other", "Other", [DemoMember(eve.id, ADMIN)]
    )


def _stored(row: Row) -> Row:
    """A listed project without what depends on who asks: the counts, the membership, the time zone."""
    seen = {"total_members", "total_cycles", "total_modules", "is_member", "member_role", "sort_order"}
    return {key: _in_utc(key, value) for key, value in row.items() if key not in seen}


def _in_utc(key: str, value: Any) -> Any:
    return stamp(datetime.fromisoformat(value)) if key in MOMENTS and value else value


def _members(tape: _Tape, key: str) -> list[DemoMember]:
    """Who is in a project: in ARC alice only, in SEC and PUB bob only."""
    users = tape.ids["users"]
    if key not in FILES:
        return [DemoMember(users["alice" if key == "ARC" else "bob"], ADMIN)]
    roles = {users["alice"]: ADMIN, users["carol"]: GUEST}
    return [
        DemoMember(
            row["id"],
            roles.get(row["id"], MEMBER),
            active=row["id"] != users["frank"],
            bot=row["id"] == users["bot"],
        )
        for row in tape.body(FILES[key][3])
    ]


def _fill(project: DemoProject, tape: _Tape, files: tuple[str, str, str, str]) -> None:
    project.states = {row["id"]: row for row in tape.rows(files[0])}
    project.labels = {row["id"]: row for row in tape.rows(files[1])}
    project.issues = {row["id"]: row for row in reversed(tape.rows(files[2]))}


def _add_periods(project: DemoProject, tape: _Tape) -> None:
    for kind, rows in (("cycle", project.cycles), ("module", project.modules)):
        for row in tape.rows(f"{kind}s-list") + tape.rows(f"archived-{kind}s"):
            rows[row["id"]] = {
                key: row[key] for key in row if "_issues" not in key and "_estimates" not in key
            }
        for path in tape.folder.glob(f"web-{kind}-issues-*.json"):
            recording = msgspec.json.decode(path.read_bytes())
            period = recording["request"]["path"].split("/")[-3]
            project.links[period] = {
                issue["id"]: link_row(
                    base(issue["id"], issue["created_at"], None), project.row, issue["id"], kind, period
                )
                for issue in recording["body"]["results"]
            }


def _points(issues: list[Row]) -> list[Row]:
    return [issue["estimate_point"] for issue in issues if issue["estimate_point"].get("id")]
