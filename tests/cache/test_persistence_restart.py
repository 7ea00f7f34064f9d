"""What was read of Plane outlives the process: the same bytes afterwards, and nothing of what is damaged."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from app_world import TODAY, Clock, event
from litestar.stores.file import FileStore
from msgspec.structs import replace
from plane.data import PlaneData
from plane.faults import Faults, delayed, raising, server_error
from plane.sample import sample
from test_refresh_incremental import (
    NAMES_REST,
    Server,
    create,
    edit,
    facts,
    issue_id,
    open_period,
    project_id,
    server,
    watching,
)

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cache.records import ProjectRecord, ReadTimes, RosterRecord, from_record, to_record
from icsfeed.config.schema import Auto, Config, Duration, Feed, Filter
from icsfeed.demo.sample import sample_id
from icsfeed.errors import NoCopy
from icsfeed.feeds.links import derive
from icsfeed.feeds.rendered import Rendered
from icsfeed.store.store import Store, encode, open_store

pytestmark = pytest.mark.anyio

ALL = {
    "all": Feed(everything=True, include=("issues", "cycles", "modules"), details="full"),
    "prop": Feed(project="PROP"),
}
CONFIG = replace(watching(ALL), cache=replace(NAMES_REST, deadline=Duration(1)))


def down() -> Faults:
    """A Plane that nobody reaches."""
    faults = Faults()
    faults.add("", raising(httpx.ConnectError("nobody there")), times=None)
    return faults


def files(folder: Path) -> Store:
    return open_store("file", {"STATE_DIRECTORY": str(folder)})


async def rendered(found: Server) -> dict[str, Rendered]:
    return {name: await found.service.rendered(name) for name in found.service.config.feeds}


class Machine:
    """A folder, a Plane and a clock that outlive the servers on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.data = sample(TODAY, clock=self.clock)

    async def run(
        self, config: Config = CONFIG, *, faults: Faults | None = None, seconds: float = 0
    ) -> dict[str, Rendered]:
        """What a server serves that is started after so many seconds, and stopped again."""
        self.clock.move(seconds)
        async with server(config, self.data, self.clock, store=files(self.folder), faults=faults) as found:
            return await rendered(found)

    async def is_right(self, config: Config = CONFIG) -> None:
        self.clock.move(400)
        async with server(config, self.data, self.clock, store=files(self.folder)) as found:
            await found.bodies()
            await found.is_right()

    def files(self, kind: str) -> list[Path]:
        """The files of the records of one kind: roster, project, reads or history."""
        projects = list(self.data.projects)
        keys = {
            "roster": ["demo/roster"],
            "project": [f"demo/project/{id_}" for id_ in projects],
            "reads": [f"demo/reads/{id_}" for id_ in projects],
            "history": [f"history/{feed}" for feed in ALL],
        }[kind]
        shelf = FileStore(self.folder / "snapshots")
        found = [Path(shelf._path_from_key(key)) for key in keys]
        assert all(path.is_file() for path in found)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_a_restart_serves_the_same_bytes_without_asking_plane(machine: Machine) -> None:
    before = await machine.run()
    for seconds in (1, 3600):
        faults = down()
        after = await machine.run(faults=faults, seconds=seconds)
        assert after == before
    faults = down()
    async with server(
        CONFIG, machine.data, machine.clock, store=files(machine.folder), faults=faults
    ) as found:
        assert faults.count() == 0, "starting asks nothing"
        assert await rendered(found) == before


async def test_a_fresh_copy_asks_plane_nothing_after_a_restart(machine: Machine) -> None:
    before = await machine.run()
    faults = Faults()
    assert await machine.run(faults=faults, seconds=20) == before
    assert faults.count() == 0


async def test_the_first_refresh_after_a_restart_is_a_small_one(machine: Machine) -> None:
    before = await machine.run()
    faults = Faults()
    assert await machine.run(faults=faults, seconds=61) == before
    assert [faults.count("order_by=-updated_at"), faults.count()] == [3, 3]


async def test_the_full_read_is_counted_over_restarts(machine: Machine) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, full=Duration(1000)))
    await machine.run(config)
    await machine.run(config, seconds=1100)
    faults = Faults()
    await machine.run(config, faults=faults, seconds=100)
    assert faults.count("order_by=created_at") == 0, "it was read whole 100 s ago"


def renamed(data: PlaneData) -> None:
    for row in data.projects[project_id("PROP")].states.values():
        data.edit(row, name=f"{row['name']}!")


def joined(data: PlaneData) -> None:
    project, period = open_period(data, "module")
    data.add_to(period, [next(id_ for id_ in project.issues if id_ not in project.links.get(period, {}))])


def person(data: PlaneData) -> None:
    user = data.users[sample_id("user", "anna")]
    data.users[user.id] = replace(user, display_name="Annika")


def project(data: PlaneData) -> None:
    data.edit(data.projects[project_id("PROP")].row, name="Another name")


CHANGES = [
    pytest.param(lambda data: edit(data, 3), id="edit"),
    pytest.param(create, id="create"),
    pytest.param(lambda data: data.delete_issue(issue_id(3)), id="delete"),
    pytest.param(renamed, id="state renamed"),
    pytest.param(joined, id="joined a module"),
    pytest.param(person, id="person renamed"),
    pytest.param(project, id="project renamed"),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_seen_changing_is_the_same_after_a_restart(
    machine: Machine, change: Callable[[PlaneData], object]
) -> None:
    """Whatever part was read again, and by whichever refresh: all are read at other times."""
    cache = replace(CONFIG.cache, projects=Duration(70), members=Duration(80), states=Duration(90))
    config = replace(CONFIG, cache=replace(cache, modules=Duration(100)))
    async with server(config, machine.data, machine.clock, store=files(machine.folder)) as found:
        first = await rendered(found)
        machine.clock.move(50)
        change(machine.data)
        for _ in range(12):
            machine.clock.move(5)
            last = await rendered(found)
    assert last["all"].body != first["all"].body
    assert last["all"].last_modified > first["all"].last_modified
    assert await machine.run(config, faults=down(), seconds=2) == last
    assert await machine.run(config, faults=down(), seconds=5000) == last


async def test_a_deletion_moves_last_modified_for_good(machine: Machine) -> None:
    before = await machine.run()
    machine.data.delete_issue(issue_id(1, "PROP"))
    after = await machine.run(seconds=61)
    assert after["prop"].last_modified > before["prop"].last_modified
    assert event(after["prop"].body, "PROP", 1) is None
    assert await machine.run(faults=down(), seconds=100) == after


async def test_a_changed_configuration_touches_components_for_good(machine: Machine) -> None:
    before = await machine.run()
    feeds = {**ALL, "prop": replace(ALL["prop"], title="Another", alarm=(Duration(-3600),))}
    config = replace(CONFIG, feeds=feeds)
    after = await machine.run(config, seconds=10)
    assert after["prop"].last_modified > before["prop"].last_modified
    assert after["all"] == before["all"]
    assert await machine.run(config, faults=down(), seconds=1000) == after


async def test_revisions_never_go_back_over_restarts(machine: Machine) -> None:
    seen: dict[str, tuple[object, ...]] = {}
    changes: list[Callable[[PlaneData], object]] = [renamed, joined, person, project, create]
    config = replace(CONFIG, cache=replace(CONFIG.cache, states=Duration(100), members=Duration(100)))
    for change in (*changes, *changes[:1]):
        change(machine.data)
        body = (await machine.run(config, seconds=101))["all"].body
        for number in range(1, 10):
            shown = event(body, "PROP", number)
            if shown is not None:
                revision = (shown["last-modified"].dt, int(shown.get("sequence", 0)))
                assert seen.get(str(number), revision) <= revision
                seen[str(number)] = revision


async def test_a_configuration_that_tells_cycles_since_then_serves_what_was_kept(machine: Machine) -> None:
    plain = replace(CONFIG, auto=type(CONFIG.auto)(), feeds={"prop": Feed(project="PROP", details="title")})
    await machine.run(plain)
    full = replace(plain, feeds=ALL)
    found = await machine.run(replace(full, feeds={"prop": ALL["prop"]}), faults=down(), seconds=400)
    assert event(found["prop"].body, "PROP", 1) is not None
    await machine.is_right(full)
    await machine.is_right(plain)


async def test_a_new_cycle_that_cannot_be_read_after_a_restart_leaves_the_copy(machine: Machine) -> None:
    before = await machine.run()
    open_, period = open_period(machine.data, "cycle")
    other = {**open_.cycles[period], "id": "11111111-2222-4333-8444-555555555555", "name": "New cycle"}
    open_.cycles[other["id"]] = other
    faults = Faults()
    faults.add(other["id"], server_error(), times=None)
    config = replace(CONFIG, cache=replace(CONFIG.cache, cycles=Duration(60)))
    assert await machine.run(config, faults=faults, seconds=61) == before


async def test_what_could_be_read_of_a_project_is_kept_though_its_labels_failed(machine: Machine) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, labels=Duration(60)))
    await machine.run(config)
    edit(machine.data, 3)
    faults = Faults()
    faults.add("/labels/", server_error(), times=None)
    after = await machine.run(config, faults=faults, seconds=61)
    assert b"Edited 3" in after["all"].body
    assert await machine.run(config, faults=down(), seconds=61) == after


DAMAGES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("empty", lambda _: b""),
    ("garbage", lambda _: b"\x00garbage" * 50),
    ("cut off", lambda raw: raw[: len(raw) // 2]),
    ("one bit", lambda raw: raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]),
    ("text", lambda _: b"feeds: {}\n"),
]


@pytest.mark.parametrize("word", ["roster", "project", "reads", "history"])
@pytest.mark.parametrize("damage", [pytest.param(damage, id=name) for name, damage in DAMAGES])
async def test_a_damaged_file_is_read_again(
    machine: Machine, word: str, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    before = await machine.run()
    edit(machine.data, 4)
    for path in machine.files(word):
        path.write_bytes(damage(path.read_bytes()))
    assert (await machine.run(seconds=61))["all"] != before["all"]
    assert "is damaged; set aside" in caplog.text
    await machine.is_right()


@pytest.mark.parametrize("word", ["roster", "project", "reads", "history"])
async def test_a_missing_file_is_read_again(machine: Machine, word: str) -> None:
    before = await machine.run()
    edit(machine.data, 4)
    for path in machine.files(word):
        path.unlink()
    assert (await machine.run(seconds=61))["all"] != before["all"]
    await machine.is_right()


@pytest.mark.parametrize("word", ["roster", "project", "reads", "history"])
@pytest.mark.parametrize("value", [b"", b"\x80", b"{}", b"{", b'{"kept":1}', b"\x91\x01", b"{\xff"])
async def test_a_record_of_another_shape_is_read_again(machine: Machine, word: str, value: bytes) -> None:
    await machine.run()
    keys = {"roster": "demo/roster", "history": "history/all"}
    key = keys.get(word, f"demo/{word}/{project_id('PROP')}")
    store = files(machine.folder)
    await store.put(key, value)
    await store.close()
    await machine.run(seconds=61)
    await machine.is_right()


async def test_a_project_of_another_shape_that_its_reads_name_is_read_again(machine: Machine) -> None:
    """As an older version would have left the two: they belong together."""
    await machine.run()
    store = files(machine.folder)
    value = encode(RosterRecord((), machine.clock.now, {}, machine.clock.now, frozenset(), "", ""))
    await store.put(f"demo/project/{project_id('PROP')}", value)
    reads = ReadTimes(sha256(value).hexdigest(), {"issues": machine.clock.now}, machine.clock.now)
    await store.put_record(f"demo/reads/{project_id('PROP')}", reads)
    await store.close()
    await machine.run(seconds=61)
    await machine.is_right()


async def store_fewer_fields(machine: Machine) -> None:
    """Let what is stored be from a version that did not read types and creators."""
    store = files(machine.folder)
    for project in machine.data.projects:
        path, reads = f"demo/project/{project}", f"demo/reads/{project}"
        record, times = await store.get_record(path, ProjectRecord), await store.get_record(reads, ReadTimes)
        assert record is not None
        assert times is not None
        snapshot, issues = from_record(record)
        fewer = {id_: replace(each, type=None, creator=None) for id_, each in issues.items.items()}
        older = to_record(replace(snapshot, issues=fewer), replace(issues, items=fewer, fields=""))
        await store.put(path, encode(older))
        await store.put_record(reads, replace(times, kept=sha256(encode(older)).hexdigest()))
    await store.close()


async def test_what_a_version_that_read_fewer_fields_has_stored_is_read_whole_and_not_revised(
    machine: Machine,
) -> None:
    before = await machine.run()
    await store_fewer_fields(machine)
    async with server(CONFIG, machine.data, machine.clock, store=files(machine.folder)) as found:
        assert await rendered(found) == before
        assert found.faults.count("order_by=created_at") == len(machine.data.projects), "once each"
        assert not any("order_by=created_at" in line for line in await found.asked(61))
        assert await rendered(found) == before, "and nothing is revised for what icsfeed reads more of"


async def test_a_feed_is_never_filtered_by_fields_that_an_older_version_did_not_read(
    machine: Machine,
) -> None:
    await machine.run()
    await store_fewer_fields(machine)
    ours = Feed(workspace="demo", everything=True, where=Filter(created_by=("anna",)))
    config = replace(CONFIG, feeds={"ours": ours})
    async with server(config, machine.data, machine.clock, store=files(machine.folder)) as found:
        background = BackgroundRefresh(found.service.workspaces["demo"], config.cache, machine.clock.timer)
        background.start()
        assert b"BEGIN:VEVENT" in (await found.bodies())["ours"]
        await background.stop()


async def test_a_crash_between_a_project_and_its_reads_loses_neither_copy(machine: Machine) -> None:
    before = await machine.run()
    reads = {path: path.read_bytes() for path in machine.files("reads")}
    edit(machine.data, 4)
    after = await machine.run(seconds=61)
    assert after["all"] != before["all"]
    for path, raw in reads.items():
        path.write_bytes(raw)
    assert await machine.run(faults=down(), seconds=61) == after
    await machine.is_right()


async def test_records_of_two_moments_make_no_mixture(machine: Machine) -> None:
    """Some files are older than the others: what is served is of one moment for each part."""
    before = await machine.run()
    kinds = ("roster", "project", "reads")
    old = {kind: {path: path.read_bytes() for path in machine.files(kind)} for kind in kinds}
    edit(machine.data, 4)
    machine.data.delete_issue(issue_id(5))
    after = await machine.run(seconds=61)
    for kind in kinds:
        for path, raw in old[kind].items():
            path.write_bytes(raw)
        found = await machine.run(seconds=1, faults=down())
        for feed in ALL:
            assert facts(found[feed].body) in (facts(before[feed].body), facts(after[feed].body))
        await machine.is_right()


async def test_a_narrowed_configuration_lets_nothing_else_out_and_a_widened_one_all(machine: Machine) -> None:
    workspace = CONFIG.workspaces["demo"]
    config = replace(CONFIG, feeds={"all": ALL["all"]})
    narrow = replace(config, workspaces={"demo": replace(workspace, projects=("prop",))})
    both = (await machine.run(config))["all"].body
    only = (await machine.run(narrow, faults=down(), seconds=1))["all"].body
    assert event(both, "WEB", 1) is not None
    assert event(only, "WEB", 1) is None
    assert event(only, "PROP", 1) is not None
    await machine.run(narrow, seconds=61)
    assert event((await machine.run(config, seconds=1))["all"].body, "WEB", 1) is not None


async def test_nothing_kept_and_no_plane_is_an_error_and_no_empty_feed(machine: Machine) -> None:
    with pytest.raises(NoCopy):
        await machine.run(faults=down())
    await machine.run(seconds=400)
    for path in machine.files("project"):
        path.unlink()
    with pytest.raises(NoCopy):
        await machine.run(faults=down(), seconds=1)


async def test_what_a_reader_has_seen_is_kept_though_the_server_is_killed_before_its_refresh_ends(
    machine: Machine,
) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, states=Duration(60), deadline=Duration(1)))
    await machine.run()
    edit(machine.data, 3)
    machine.clock.move(61)
    faults = Faults()
    faults.add("/states/", delayed(3), times=None)
    async with server(config, machine.data, machine.clock, store=files(machine.folder), faults=faults) as one:
        seen = await rendered(one)
        assert b"Edited 3" in seen["all"].body
        # As if it was killed here: what is on the disk now is all that there is.
        assert await machine.run(config, faults=down(), seconds=61) == seen


AUTO = replace(CONFIG, auto=Auto(projects=True, assignees=True))


def _named_anna(machine: Machine, who: str) -> None:
    id_ = sample_id("user", who)
    machine.data.users[id_] = replace(machine.data.users[id_], display_name="anna")


async def _links(machine: Machine, names: tuple[str, ...]) -> tuple[str, str]:
    """Whose feed the first link derived from a name opens, and what the automatic feed of that name is of."""
    async with server(AUTO, machine.data, machine.clock, store=files(machine.folder)) as found:
        feeds = await found.service.auto_feeds()
        assert {*names} <= feeds.keys()
        secret = AUTO.secret
        assert secret is not None
        token = derive(secret.reveal(), "feed", "assignee-anna")
        name, grant = await found.service.access("decoration", token)
        return (name if grant else ""), feeds[names[0]].assignee or ""


async def test_names_and_links_of_automatic_feeds_outlive_the_process(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    anna = sample_id("user", "anna")
    assert await _links(machine, ("assignee-anna",)) == ("assignee-anna", anna)
    machine.clock.move(601)
    _named_anna(machine, "ben")
    machine.data.users[anna] = replace(machine.data.users[anna], display_name="Annika")
    assert await _links(machine, ("assignee-anna", "assignee-ben")) == ("assignee-anna", anna)


async def test_after_an_upgrade_a_name_is_of_whom_the_store_knows_by_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.run()  # without automatic feeds no names were given, as by the version before
    machine.clock.move(601)
    _named_anna(machine, "ben")
    names = ("assignee-anna", "assignee-ben")
    assert await _links(machine, names) == ("assignee-anna", sample_id("user", "anna"))
