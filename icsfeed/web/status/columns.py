"""The columns of the tables on the status page, their filters, and what is searched."""

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
        Column("links", lambda feed: len(feed.links), largest_first=True),
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
