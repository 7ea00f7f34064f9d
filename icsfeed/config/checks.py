"""What no single type of the configuration can say: that names refer to something, and what goes together.

One row for each check. What each value by itself must be is declared in config/schema.py.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from icsfeed.config.schema import SCOPES, Auto, Config, Feed, PushTarget, WorkspaceConfig
from icsfeed.errors import did_you_mean

Path: TypeAlias = tuple[str | int, ...]
"""Where in the configuration: `("feeds", "urgent", "where", "priority", 1)`."""
Row: TypeAlias = tuple[object, str, str]
"""Whether something is wrong, the keys that it concerns with spaces between them, and what to say."""

_LOGIN = "username password password_file token token_file"
_LONG = "needs {} characters or more; try: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class Violation(NamedTuple):
    """A problem at a path. It is worth saying only when nothing is wrong with the values in `needs`."""

    path: Path
    message: str
    needs: tuple[Path, ...] = ()


def checks(config: Config, zones: Collection[str] | None) -> Iterator[Violation]:
    """What is wrong with a configuration as a whole. `zones`: the time zones there are; None: not checked."""
    yield from _rows((), _server(config, zones))
    for name, workspace in config.workspaces.items():
        yield from _rows(("workspaces", name), _workspace(workspace))
    for name, feed in config.feeds.items():
        yield from _rows(("feeds", name), (*_scope(feed), *_shape(feed), *_access(name, feed, config)))
    for name, target in config.push.items():
        yield from _rows(("push", name), _target(target, config))


def _rows(at: Path, rows: Iterable[Row]) -> Iterator[Violation]:
    """The rows that are wrong. Of their keys the first says where (none: here); all must be sound."""
    for wrong, keys, message in rows:
        if wrong:
            first = keys.split(" ")[0]
            yield Violation((*at, first) if first else at, message, tuple((*at, key) for key in keys.split()))


def _server(config: Config, zones: Collection[str] | None) -> Iterable[Row]:
    hint = did_you_mean(config.timezone, zones or ()) or "; write it as in Europe/Berlin"
    unknown = zones is not None and config.timezone not in zones
    linked = config.auto != Auto() or not all(feed.public for feed in config.feeds.values())
    busy = any(feed.details == "busy" for feed in config.feeds.values())  # its UIDs are keyed by the secret
    unsigned = (linked or busy) and not (config.secret or config.secret_file)
    signs, url = config.auth_proxy, config.public_url or ""
    crowded = "*" in config.cors and len(config.cors) > 1
    stored = re.fullmatch(r"file|memory|(rediss?|valkeys?)://\S+", config.store.reveal())
    near = did_you_mean(config.store.reveal()[:10], ("file", "memory"))
    return (
        (unknown, "timezone", f"is not a time zone{hint}"),
        (unsigned, "secret secret_file", f"is missing: {_LONG.format(32)}"),
        (config.secret and len(config.secret) < 32, "secret", _LONG.format(32)),
        (config.admin_token and len(config.admin_token) < 16, "admin_token", _LONG.format(16)),
        (len(url) > 90, "public_url", "is longer than 90 characters: calendar apps cut long links"),
        (crowded, "cors", "may hold * only alone: it already means every page"),
        (signs and signs.secret and len(signs.secret) < 32, "auth_proxy", f"its secret {_LONG.format(32)}"),
        (signs and not signs.networks, "auth_proxy", "its from is empty: name the proxy's addresses"),
        ("*" in config.embed.frame_ancestors, "embed", "its frame_ancestors must be exact origins, not *"),
        (not stored, "store", f"must be file, memory, or an address such as redis://host:6379/0{near}"),
    )


def _workspace(workspace: WorkspaceConfig) -> Iterable[Row]:
    key = workspace.api_key.reveal() if workspace.api_key else ""
    missing, odd = not (key or workspace.api_key_file), not key.isascii() or " " in key
    return (
        (missing, "api_key api_key_file", "is missing: make one in Plane's settings"),
        (odd, "api_key", "holds a space or an accent, as no key of Plane's does: copy it again"),
    )


def _scope(feed: Feed) -> Iterator[Row]:
    """At least one scope; everything stands alone; people and projects combine, one kind of each."""
    given = [key for key in SCOPES if getattr(feed, key)]
    alone = [(key, "everything") for key in SCOPES[:-1]]
    yield not given, f" {' '.join(SCOPES)}", f"must say what it holds: {', '.join(SCOPES)}"
    for one, other in [("project", "projects"), ("assignee", "unassigned"), *alone]:
        yield {one, other} <= {*given}, f"{other} {one}", f"cannot stand beside {one}: keep one of them"


def _shape(feed: Feed) -> Iterable[Row]:
    tasks = feed.component == "vtodo"
    return (
        (not feed.include, "include", "is empty: list issues, cycles or modules"),
        (tasks and {*feed.include} - {"issues"}, "include component", "must be issues: component is vtodo"),
        (
            feed.overdue_digest and feed.details == "busy",
            "overdue_digest details",
            "cannot stand beside details: busy, which does not tell what is done",
        ),
        (feed.undated and not tasks, "undated component", "needs component: vtodo; an event must have a day"),
    )


def _access(name: str, feed: Feed, config: Config) -> Iterable[Row]:
    twin = next(other for other in config.feeds if other.lower() == name.lower())
    names, both = ", ".join(config.workspaces), {*feed.revoked} & {*feed.subscribers}
    unsaid = feed.workspace is None and len(config.workspaces) > 1
    lost = feed.workspace and config.workspaces and feed.workspace not in config.workspaces
    return (
        (twin != name, "", f"its name differs from {twin} only in upper and lower case: change one"),
        (unsaid, "workspace", f"is missing: name one of {names}"),
        (
            lost,
            "workspace",
            f"is not the name of a workspace{_hint(feed.workspace or '', config.workspaces)}",
        ),
        (feed.public and feed.subscribers, "subscribers public", "mean nothing in a public feed: keep one"),
        (both, "revoked subscribers", "names someone who still is a subscriber: keep them in one list"),
    )


def _target(target: PushTarget, config: Config) -> Iterable[Row]:
    made = ("project-",) * config.auto.projects + ("assignee-",) * config.auto.assignees
    lost = target.feed not in config.feeds and not target.feed.startswith(made)
    user, password = target.username, target.password or target.password_file
    token, here = target.token or target.token_file, _is_loopback(target.url)
    pushed = {other.feed for other in config.push.values()}
    former = isinstance(target.adopt, tuple) and pushed.intersection(target.adopt)
    in_clear = target.url.startswith("http:") and not here and not target.allow_insecure
    return (
        (lost, "feed", f"is not the name of a feed{_hint(target.feed, config.feeds)}"),
        (former, "adopt", "names a feed that is pushed itself: name former feeds only"),
        (token and (user or password), f"token {_LOGIN}", "cannot stand beside a user name: keep one"),
        (user and not password, f"password {_LOGIN}", "is missing: username needs it (or password_file)"),
        (password and not user, f"username {_LOGIN}", "is missing: the password needs it"),
        (not (user or password or token or here), f" {_LOGIN}", "needs username and password, or token"),
        (in_clear, "url allow_insecure", "shows the password: use https, or allow_insecure: true"),
    )


def _hint(name: str, known: Collection[str]) -> str:
    return did_you_mean(name, known) or f"; there is: {', '.join(known) or 'none'}"


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False
