"""The tables of the sample workspace: people, projects, issues. Days count from today."""

from msgspec import Struct

Days = tuple[int, int]


class SamplePerson(Struct, frozen=True):
    """A member. `name`: the display name, by which the tables below refer to it."""

    name: str
    first: str
    last: str
    role: int = 15


class SampleTask(Struct, frozen=True):
    """An issue. `due`, `start`: days from today; `parent`: the name of one; `@name` in `text`: a mention."""

    name: str
    state: str = "Todo"
    due: int | None = None
    start: int | None = None
    priority: str = "none"
    assignees: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    text: str = "<p></p>"
    parent: str | None = None
    cycle: str | None = None
    module: str | None = None


class SampleProject(Struct, frozen=True):
    """A project. Cycles and modules: name -> first and last day, or None for one without dates."""

    key: str
    name: str
    description: str
    people: tuple[str, ...]
    tasks: tuple[SampleTask, ...]
    labels: tuple[str, ...] = ()
    cycles: dict[str, Days | None] = {}
    modules: dict[str, Days | None] = {}
    timezone: str = "Europe/Berlin"


class SampleMilestone(Struct, frozen=True):
    """A milestone. `day`: days from today; `tasks`: the names of its issues."""

    title: str
    day: int | None = None
    tasks: tuple[str, ...] = ()


class SampleRelease(Struct, frozen=True):
    """A release. `target`, `released`: days from today."""

    name: str
    status: str
    tag: str | None = None
    target: int | None = None
    released: int | None = None


PEOPLE = (
    SamplePerson("anna", "Anna", "Schröder", 20),
    SamplePerson("ben", "Ben", "Okafor"),
    SamplePerson("clara", "Clara", "Müller-Lüdenscheid"),
    SamplePerson("dan", "Dan", "O'Brien, Jr."),
    SamplePerson("eva", "Eva", "Novák 🌿", 5),
)

HEATING = """\
<h2>Why</h2><p>The boiler in <strong>house 7</strong> fails twice a month &amp; the parts are no \
longer made.</p><ul class="list-disc"><li><p>Quotes: at least three</p></li><li><p>Funding: apply <em>\
before</em> the order</p><ul><li><p>form 12, page 3</p></li></ul></li></ul><ul data-type="taskList"><li \
data-checked="true" data-type="taskItem"><label><input type="checkbox" checked="checked"><span></span>\
</label><div><p>Measure the cellar</p></div></li><li data-checked="false" data-type="taskItem"><label><input \
type="checkbox"><span></span></label><div><p>Ask the tenants about dates</p></div></li></ul><p>@clara please \
check the <a target="_blank" href="https://example.com/funding?year=2027&amp;kind=heat">\
funding rules</a>.</p>"""

INSPECTION = """\
<p>The lift of house 3 must be inspected <strong>every two years</strong>.</p><ol><li><p>Call the inspector\
</p></li><li><p>Put up the notice</p></li><li><p>Keep the protocol</p></li></ol><blockquote><p>No protocol, \
no lift.</p></blockquote><pre><code>cabinet C:\\Next, key #4</code></pre>"""

BOILER = "Replace the heating in house 7"
LEGAL = "Legal, contracts"

PROPERTY = (
    SampleTask("Renew the insurance of house 7", "Todo", -4, None, "urgent", ("anna",), (LEGAL,),
               "<p>The old policy <strong>has ended</strong>. @anna sign &amp; send it back.</p>",
               cycle="Sprint 12"),
    SampleTask(BOILER, "In Progress", 18, -10, "high", ("clara", "ben"), ("Heating", "Budget"), HEATING,
               cycle="Sprint 12", module="Heating renewal"),
    SampleTask("Collect three quotes", "Done", -6, -12, "high", ("ben",), ("Heating",),
               parent=BOILER, cycle="Sprint 11", module="Heating renewal"),
    SampleTask("Apply for the funding", "In Progress", 3, -2, "high", ("clara",), ("Heating", "Budget"),
               parent=BOILER, cycle="Sprint 12", module="Heating renewal"),
    SampleTask("Order boiler & pump", "Todo", 9, None, "medium", ("ben",), ("Heating",),
               parent=BOILER, cycle="Sprint 13", module="Heating renewal"),
    SampleTask("Fitting: tenants without warm water", "Backlog", 18, 16, "medium", ("ben", "dan"),
               ("Heating", "Tenants"), parent=BOILER, module="Heating renewal"),
    SampleTask("Lift inspection, house 3", "Todo", 1, None, "high", ("dan",), ("Safety",), INSPECTION,
               cycle="Sprint 12"),
    SampleTask("Rent increase letters", "In Review", 5, 2, "medium", ("anna", "clara"), (LEGAL, "Tenants"),
               "<p>Only where the index says so; @dan has the list.</p>", cycle="Sprint 12"),
    SampleTask("Winter service: sign the contract", "Todo", 12, None, "medium", ("dan",), (LEGAL,),
               cycle="Sprint 13"),
    SampleTask("Fell the old chestnut 🌰", "Backlog", 33, 31, "low", ("eva",), ("Grünflächen",),
               "<p>Not between March and September: birds.</p>"),
    SampleTask("Repaint the staircase; house 5", "Todo", 25, 20, "low", ("dan",), (), cycle="Sprint 13"),
    SampleTask("Key handover, flat 12", "Todo", 0, None, "medium", ("ben",), ("Tenants",), cycle="Sprint 12"),
    SampleTask("Flat viewing with the agent", "Todo", 0, None, "none", ("anna",), ("Tenants",),
               cycle="Sprint 12"),
    SampleTask("Utility bills: prüfen & verschicken", "In Progress", 7, -7, "high", ("clara",),
               ("Budget", "Tenants"), cycle="Sprint 12"),
    SampleTask("Chimney sweep", "Done", -15, None, "low", ("dan",), ("Safety",), cycle="Sprint 11"),
    SampleTask("New mailboxes", "Cancelled", 10, None, "low", ("eva",), (),
               "<p>The old ones will do for another year.</p>"),
    SampleTask("Annual owners' meeting", "Todo", 45, None, "high", ("anna",), (LEGAL, "Budget"),
               '<p>Agenda: <a href="https://example.com/agenda">draft</a></p>'),
    SampleTask("Budget for next year", "Backlog", 60, 40, "medium", ("anna", "clara"), ("Budget",)),
    SampleTask("Smoke detectors: yearly check", "Todo", 75, 70, "medium", ("dan",), ("Safety",),
               module="Safety round"),
    SampleTask("Emergency lights", "Todo", 78, None, "low", ("dan",), ("Safety",), module="Safety round"),
    SampleTask("Think about solar panels ☀️", "Backlog", None, None, "none", (), ("Budget",),
               "<p>No date yet. @ben has numbers.</p>"),
    SampleTask("Find a second caretaker", "Backlog", None, 14, "low", ("anna",)),
)  # fmt: skip

OPERATIONS = (
    SampleTask("Renew the TLS certificates", "Todo", 2, None, "urgent", ("ben",), ("server",)),
    SampleTask("Restore test of the backups", "Todo", 6, None, "high", ("ben", "dan"), ("server",),
               "<p>Pick a random day, restore, compare:</p><pre><code>diff -r /restore /data</code></pre>"),
    SampleTask("Database upgrade to 18", "In Progress", 11, 8, "high", ("ben",), ("server",)),
    SampleTask("Remove the accounts of those who left", "Todo", -1, None, "medium", ("dan",), ("people",)),
    SampleTask("Order laptops", "Done", -9, None, "low", ("dan",), ("people",)),
    SampleTask("Onboarding of Eva", "In Progress", 4, 0, "medium", ("anna", "dan"), ("people",)),
    SampleTask("Move the printers", "Cancelled", -20, None, "none", ("dan",)),
    SampleTask("Write down the phone tree", "Backlog", None, None, "low", ("anna",)),
    SampleTask("Firewall review", "Backlog", 30, 28, "medium", (), ("server",)),
    SampleTask("Licences: which do we need?", "Todo", 52, None, "low", ("clara",)),
)  # fmt: skip

WEBSITE = (
    SampleTask("Imprint and privacy page", "Done", -30, None, "high", ("clara",)),
    SampleTask("Photos of all houses", "In Progress", 8, -3, "medium", ("eva",), ("content",)),
    SampleTask("Contact form: spam", "Todo", 3, None, "high", ("ben",), ("bug",)),
    SampleTask("Umlauts in file names (ä, ö, ü) break downloads", "Todo", 13, None, "medium", ("ben",),
               ("bug",)),
    SampleTask("Translate to English", "Backlog", 40, 21, "low", ("clara", "eva"), ("content",)),
    SampleTask("Accessibility check", "Todo", 27, None, "medium", (), ("content", "bug")),
    SampleTask("Newsletter no. 4", "Todo", 15, 10, "none", ("clara",), ("content",)),
    SampleTask("Dark mode 🌙", "Backlog", None, None, "none", ("ben",)),
    SampleTask("Switch to the new host", "Cancelled", 20, None, "low", ("ben",)),
)  # fmt: skip

PROJECTS = (
    SampleProject(
        "PROP",
        "Property management",
        "Houses, tenants, contracts",
        ("anna", "ben", "clara", "dan", "eva"),
        PROPERTY,
        (LEGAL, "Heating", "Tenants", "Budget", "Safety", "Grünflächen"),
        {"Sprint 11": (-21, -8), "Sprint 12": (-7, 6), "Sprint 13": (7, 20), "Some day": None},
        {"Heating renewal": (-14, 30), "Safety round": (65, 80), "Ideas": None},
    ),
    SampleProject(
        "OPS",
        "Operations",
        "What keeps us running",
        ("anna", "ben", "dan", "clara"),
        OPERATIONS,
        ("server", "people"),
    ),
    SampleProject(
        "WEB",
        "Website",
        "",
        ("anna", "ben", "clara", "eva"),
        WEBSITE,
        ("bug", "content"),
        timezone="UTC",
    ),
)

EPICS = (BOILER, "Translate to English")
MILESTONES = {
    "PROP": (
        SampleMilestone(
            "Warm before the frost", 19, (BOILER, "Collect three quotes", "Apply for the funding")
        ),
        SampleMilestone("Books closed", 61, ("Budget for next year", "Utility bills: prüfen & verschicken")),
        SampleMilestone("Everybody knows where the stopcock is"),
    ),
    "OPS": (SampleMilestone("Nobody fears the restore", 13, ("Restore test of the backups",)),),
}
INITIATIVES: dict[str, tuple[str, Days | None]] = {
    "No cold flat this winter": ("ACTIVE", (-30, 75)),
    "Paperless, except for the plumber": ("PLANNED", (20, 200)),
    "A roof garden on every roof": ("DRAFT", None),
}
RELEASES = (
    SampleRelease("Website 2.0", "released", "v2.0", -14, -12),
    SampleRelease("Tenant portal", "unreleased", "2.1-beta", 34),
    SampleRelease("Fax gateway", "cancelled", None, 5),
)
