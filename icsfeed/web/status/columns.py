"""The columns of the tables on the status page, their filters, and what is searched."""

from icsfeed.own_links.listing import ListedLink, ListedPerson
from icsfeed.web.status.report import FeedReport
from icsfeed.web.status.table import Column, Table

FEEDS: Table[FeedReport] = Table(
    columns=(
        Column("feed", lambda feed: (feed.title or feed.name).casefold()),
        Column("workspace", lambda feed: feed.workspace),
        Column("items", lambda feed: feed.items, largest_first=True),
        Column("changed", lambda feed: feed.changed, largest_first=True),
        Column("size", lambda feed: feed.size, largest_first=True),
        Column("readers", lambda feed: len(feed.readers), largest_first=True),
        Column("last read", lambda feed: feed.readers[0].at if feed.readers else None, largest_first=True),
        Column("links", lambda feed: len(feed.links) + feed.own_links, largest_first=True),
        Column("problem", lambda feed: feed.problem or ("" if feed.is_large else None)),
    ),
    filters={
        "problems": lambda feed: feed.problem is not None or feed.is_large,
        "unread": lambda feed: not feed.readers,
        "inactive": lambda feed: not feed.active,
    },
    text=lambda feed: " ".join(
        (feed.name, feed.title or "", feed.workspace, *(link.subscriber for link in feed.links))
    ),
)

OWN_LINKS: Table[ListedLink] = Table(
    columns=(
        Column("person", lambda link: link.person),
        Column("name", lambda link: link.name.casefold()),
        Column("feed", lambda link: link.feed or ""),
        Column("made", lambda link: link.made, largest_first=True),
        Column("last read", lambda link: link.last_read.at if link.last_read else None, largest_first=True),
        Column("state", lambda link: link.state),
    ),
    filters={
        "used": lambda link: link.state == "used",
        "unread": lambda link: link.last_read is None and link.state == "used",
        "revoked": lambda link: link.state == "revoked",
        "suspended": lambda link: link.state == "suspended",
    },
    text=lambda link: " ".join((link.id, link.person, link.name, link.title, link.feed or "")),
)
PEOPLE: Table[ListedPerson] = Table(
    columns=(
        Column("person", lambda person: person.person),
        Column("links", lambda person: person.links, largest_first=True),
        Column("revoked links", lambda person: person.revoked, largest_first=True),
        Column(
            "last read", lambda person: person.last_read.at if person.last_read else None, largest_first=True
        ),
    ),
    filters={"unread": lambda person: person.last_read is None},
    text=lambda person: person.person,
)
