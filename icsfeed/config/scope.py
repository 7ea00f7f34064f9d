"""The part of a configuration that pushes to some targets need, so that other secrets may be missing.

A unit of systemd that pushes to one target is given the secrets of that target, and no others.
"""

from collections.abc import Collection, Mapping
from typing import Any

_NOT_FOR_PUSHES = ("admin_token", "admin_token_file", "auth_proxy")
_NOT_FOR_READING = ("webhook_secret", "webhook_secret_file")


def narrowed_to(data: Any, targets: Collection[str]) -> Any:
    """Plain data (what YAML gives) without the secrets that are not needed to push to these targets.

    All of it where a target is not there, not active or not as it should be: that is said of the whole.
    """
    every = _section(data, "push")
    push = {name: _section(every, name) for name in targets}
    if not push or not all(own and own.get("active") is not False for own in push.values()):
        return data
    if any(_adopts(own, other) for own in push.values() for other in every.values()):
        return data
    feeds, workspaces = _section(data, "feeds"), _section(data, "workspaces")
    named = [_section(feeds, target.get("feed")).get("workspace") for target in push.values()]
    if not all(isinstance(workspace, str | None) for workspace in named):
        return data
    used = set(named)
    if used <= workspaces.keys():  # an automatic feed may be of any workspace
        workspaces = {name: workspaces[name] for name in workspaces if name in used}
        feeds = {
            name: feed for name, feed in feeds.items() if _section(feeds, name).get("workspace") in [*used]
        }
    rest = {key: value for key, value in data.items() if key not in _NOT_FOR_PUSHES}
    read = {name: _without(own, _NOT_FOR_READING) for name, own in workspaces.items()}
    return {**rest, "push": push, "feeds": feeds, "workspaces": read}


def _section(data: Any, key: object) -> Mapping[Any, Any]:
    found = data.get(key) if isinstance(data, Mapping) and isinstance(key, str) else None
    return found if isinstance(found, Mapping) else {}


def _adopts(own: Mapping[Any, Any], other: Any) -> bool:
    """Whether a target takes over what another one's feed writes: a mistake that only both show."""
    adopt, feed = own.get("adopt"), other.get("feed") if isinstance(other, Mapping) else None
    return isinstance(feed, str) and (adopt == feed or (isinstance(adopt, list) and feed in adopt))


def _without(data: Any, keys: Collection[str]) -> Any:
    return {key: data[key] for key in data if key not in keys} if isinstance(data, Mapping) else data
