"""The part of a configuration that pushes to some targets need, so that other secrets may be missing.

A systemd unit that pushes to one target is given the secrets of that target, and no others.
"""

from collections.abc import Collection, Mapping
from typing import Any

_NOT_FOR_PUSHES = ("admin_token", "admin_token_file", "auth_proxy", "profile_signing")
_NOT_FOR_READING = ("webhook_secret", "webhook_secret_file")


def narrowed_to(data: Any, targets: Collection[str]) -> Any:
    """Return plain data (what YAML gives) without the secrets that pushes to these targets do not need.

    All of it where a target is missing, not active or malformed: the problem is reported of the whole.
    """
    all_targets = _section(data, "push")
    push = {name: _section(all_targets, name) for name in targets}
    if not push or not all(target and target.get("active") is not False for target in push.values()):
        return data
    # That a target adopts what another one's feed writes is a mistake that only both of them show.
    feeds_pushed = [_section(all_targets, name).get("feed") for name in all_targets]
    pushed = [feed for feed in feeds_pushed if isinstance(feed, str)]
    for adopt in (target.get("adopt") for target in push.values()):
        if any(feed in pushed for feed in (adopt if isinstance(adopt, list) else [adopt])):
            return data
    feeds, workspaces = _section(data, "feeds"), _section(data, "workspaces")
    named = [_section(feeds, target.get("feed")).get("workspace") for target in push.values()]
    if not all(isinstance(workspace, str | None) for workspace in named):
        return data
    used = set(named)
    if used <= workspaces.keys():  # An automatic feed names none: it may be of any workspace.
        workspaces = {name: workspaces[name] for name in workspaces if name in used}
        feeds = {
            name: feed for name, feed in feeds.items() if _section(feeds, name).get("workspace") in [*used]
        }
    read = {
        name: {key: workspace[key] for key in workspace if key not in _NOT_FOR_READING}
        if isinstance(workspace, Mapping)
        else workspace
        for name, workspace in workspaces.items()
    }
    rest = {key: value for key, value in data.items() if key not in _NOT_FOR_PUSHES}
    return {**rest, "push": push, "feeds": feeds, "workspaces": read}


def _section(data: Any, key: object) -> Mapping[Any, Any]:
    """Return the mapping under a key; an empty one where there is none, or something else."""
    section = data.get(key) if isinstance(data, Mapping) and isinstance(key, str) else None
    return section if isinstance(section, Mapping) else {}
