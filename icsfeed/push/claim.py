"""Whose an object in a calendar is: the mark that a push leaves, and which other marks it may take over."""

from typing import Literal, TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Config
from icsfeed.feeds.links import installation
from icsfeed.push.object import ParsedObject, is_ours

Adopt: TypeAlias = tuple[str, ...] | Literal[False, True]


class Claim(Struct, frozen=True):
    """Which objects belong to one target's feed.

    `mark` is what it writes: `feed@installation`, because two installations may each have a feed of that
    name. `adopt`: True takes over objects without a mark; a tuple those of these former feeds, which it
    names as `feed` (of this installation, or of a version that marked objects with the feed only) or as
    a whole mark.
    """

    mark: str
    adopt: Adopt = False

    @property
    def feed(self) -> str:
        """The feed's name."""
        return feed_of(self.mark)

    def owns(self, stored: ParsedObject | None) -> bool:
        """Whether an object may be replaced and removed."""
        return is_ours(stored, self.mark)

    def is_earlier(self, stored: ParsedObject) -> bool:
        """Whether it has the mark that versions without an installation in it wrote for this feed."""
        return stored.owner == self.feed

    def may_take(self, stored: ParsedObject | None) -> bool:
        """Whether an object that is not ours may become so, where the feed holds its UID."""
        if stored is None or not stored.uid or self.owns(stored):
            return False
        if not stored.owner:
            return self.adopt is True
        if self.is_earlier(stored):
            return True
        former = self.adopt if isinstance(self.adopt, tuple) else ()
        feed, _, theirs = stored.owner.partition("@")
        return stored.owner in former or (feed in former and theirs in ("", self.mark.partition("@")[2]))

    def why_not(self, stored: ParsedObject) -> str:
        """Why an object with a wanted UID is left alone, and what would take it over."""
        if not stored.owner:
            return "another program has written this UID here; `adopt: true` takes it over"
        feed, _, theirs = stored.owner.partition("@")
        if theirs in ("", self.mark.partition("@")[2]):
            former = f"if this feed had that name before, `adopt: [{feed}]` takes it over"
            return f"the feed {feed!r} has written this UID here; {former}"
        former = f"if that is gone, or this one had another `secret`, `adopt: [{stored.owner}]` takes it over"
        return f"the feed {feed!r} of another installation has written this UID here; {former}"


def feed_of(mark: str) -> str:
    """The name of the feed in a mark: feeds have no @ in their names."""
    return mark.partition("@")[0]


def mark_of(feed: str, config: Config) -> str:
    """What a feed of this installation marks its objects with; equal on replicas and after restarts."""
    if config.secret is not None:
        return f"{feed}@{installation(config.secret.reveal())}"
    # Only public feeds may do without a secret. Those of one Plane have the same UIDs anyway.
    name = config.workspace_of(config.feeds[feed])
    own = config.workspaces[name]
    return f"{feed}@{installation(f'{own.url}/{own.slug or name}')}"
