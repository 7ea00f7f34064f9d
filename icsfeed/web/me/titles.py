"""The titles of a person's calendars, which /me lists without reading their issues."""

from collections import Counter
from collections.abc import Iterable, Mapping

from icsfeed.errors import FeedError
from icsfeed.feeds.calendar import title_of
from icsfeed.feeds.service import FeedService
from icsfeed.model import View


async def titles_of(service: FeedService, names: Iterable[str]) -> Mapping[str, str]:
    """Return the titles of these feeds by name. Where two have the same title, the feed's name is added."""
    rosters = await service.rosters()
    titles = {name: await _title(service, rosters, name) for name in names}
    count = Counter(titles.values())
    return {name: title if count[title] == 1 else f"{title} ({name})" for name, title in titles.items()}


async def _title(service: FeedService, rosters: Mapping[str, View], name: str) -> str:
    """Return a feed's title; its name where that fails."""
    try:
        feed = await service.feed(name)
        workspace = service.workspace_of(feed)
        title = service.config.workspaces[workspace].title or workspace
        language = feed.language or service.config.language
        return title_of(name, feed, language, rosters[workspace], title)
    except (FeedError, KeyError):
        return name
