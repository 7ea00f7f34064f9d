"""The checks that no single value can make: that names refer to something, and what can be combined.

One row for each check. What each value by itself must be is declared in config/schema.py.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from icsfeed.config.addresses import plane_address
from icsfeed.config.schema import SCOPES, Auto, Config, Feed, PushTarget, Secret, WorkspaceConfig
from icsfeed.errors import did_you_mean

MIN_SECRET_LENGTH, MIN_TOKEN_LENGTH = 32, 16
MAX_PUBLIC_URL_LENGTH = 90

Path: TypeAlias = tuple[str | int, ...]
"""A place in the configuration: `("feeds", "urgent", "where", "priority", 1)`."""
Row: TypeAlias = tuple[object, str, str]
"""Whether something is wrong, the keys that it concerns with spaces between them, and the message."""

_KEYS = "api_key api_key_file token token_file"
_ODD = "holds a space or an accent, as no key of Plane does: copy it again"
_LOGIN = "username password password_file token token_file"
_TOO_SHORT = "needs {} characters or more; try: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class Violation(NamedTuple):
    """A problem at a path. It is reported only when nothing is wrong with the values in `needs`."""

    path: Path
    message: str
    needs: tuple[Path, ...] = ()


def checks(config: Config, zones: Collection[str] | None) -> Iterator[Violation]:
    """Yield what is wrong with a configuration as a whole. `zones`: all time zones; None: not checked."""
    yield from _violations((), _server_rows(config, zones))
    for name, workspace in config.workspaces.items():
        yield from _violations(("workspaces", name), _workspace_rows(workspace))
    for name, feed in config.feeds.items():
        yield from _violations(("feeds", name), (*_content_rows(feed), *_access_rows(name, feed, config)))
    for name, target in config.push.items():
        yield from _violations(("push", name), _target_rows(target, config))


def _violations(at: Path, rows: Iterable[Row]) -> Iterator[Violation]:
    # The first key of a row is where the problem is shown; without one it is the mapping itself. All of
    # its keys must be usable: else the row may be wrong only because a default replaces a bad value.
    for wrong, keys, message in rows:
        if wrong:
            first = keys.split(" ")[0]
            yield Violation((*at, first) if first else at, message, tuple((*at, key) for key in keys.split()))


def _server_rows(config: Config, zones: Collection[str] | None) -> Iterable[Row]:
    hint = did_you_mean(config.timezone, zones or ()) or "; write it as in Europe/Berlin"
    unknown_zone = zones is not None and config.timezone not in zones
    has_links = config.auto != Auto() or not all(feed.public for feed in config.feeds.values())
    # The UIDs of feeds that show only "Busy" are keyed by the secret: else they would say which issue it is.
    has_busy = any(feed.details == "busy" for feed in config.feeds.values())
    unsigned = (has_links or has_busy) and not (config.secret or config.secret_file)
    short_secret = config.secret and len(config.secret) < MIN_SECRET_LENGTH
    short_token = config.admin_token and len(config.admin_token) < MIN_TOKEN_LENGTH
    proxy = config.auth_proxy
    short_proxy_secret = proxy and proxy.secret and len(proxy.secret) < MIN_SECRET_LENGTH
    # The address may contain a password: the message repeats nothing of it.
    store = config.store.reveal()
    near = did_you_mean(store[:10], ("file", "memory"))
    usable_store = re.fullmatch(r"file|memory|((redis|valkey)s?(\+sentinel)?|unix)://\S+", store)
    return (
        (unknown_zone, "timezone", f"is not a time zone{hint}"),
        (unsigned, "secret secret_file", f"is missing: {_TOO_SHORT.format(MIN_SECRET_LENGTH)}"),
        (short_secret, "secret", _TOO_SHORT.format(MIN_SECRET_LENGTH)),
        (short_token, "admin_token", _TOO_SHORT.format(MIN_TOKEN_LENGTH)),
        (
            len(config.public_url or "") > MAX_PUBLIC_URL_LENGTH,
            "public_url",
            f"is longer than {MAX_PUBLIC_URL_LENGTH} characters: calendar apps cut long links",
        ),
        ("*" in config.cors and len(config.cors) > 1, "cors", "may hold * only alone: it allows every page"),
        (short_proxy_secret, "auth_proxy", f"its secret {_TOO_SHORT.format(MIN_SECRET_LENGTH)}"),
        (proxy and not proxy.networks, "auth_proxy", "its from is empty: list the addresses of the proxy"),
        ("*" in config.embed.frame_ancestors, "embed", "its frame_ancestors must be exact origins, not *"),
        (not usable_store, "store", f"must be file, memory, or an address such as redis://host:6379/0{near}"),
    )


def _workspace_rows(workspace: WorkspaceConfig) -> Iterable[Row]:
    keys, tokens = (workspace.api_key, workspace.api_key_file), (workspace.token, workspace.token_file)
    address = plane_address(workspace.url)
    is_another = address.is_in_path and workspace.slug not in (None, address.slug)
    create = "create one in Plane, under Profile settings, Personal access tokens"
    return (
        (not any((*keys, *tokens)), _KEYS, f"is missing: {create}"),
        (any(keys) and any(tokens), f"token {_KEYS}", "cannot be combined with api_key: keep one of them"),
        (_is_odd(workspace.api_key), "api_key", _ODD),
        (_is_odd(workspace.token), "token", f"{_ODD}, without the word Bearer"),
        (
            is_another,
            "slug url",
            "contradicts url, which names another workspace: keep one of them",
        ),
    )


def _is_odd(key: Secret | None) -> bool:
    return key is not None and (not key.reveal().isascii() or " " in key.reveal())


def _content_rows(feed: Feed) -> Iterator[Row]:
    """Yield the rows about what a feed holds. It has at least one scope; people and projects combine."""
    given = {key for key in SCOPES if getattr(feed, key)}
    with_everything = [(key, "everything") for key in SCOPES[:-1]]
    yield not given, f" {' '.join(SCOPES)}", f"must say what it holds: {', '.join(SCOPES)}"
    for one, other in [("project", "projects"), ("assignee", "unassigned"), *with_everything]:
        both = {one, other} <= given
        yield both, f"{other} {one}", f"cannot be combined with {one}: keep one of them"
    tasks = feed.component == "vtodo"
    not_issues = tasks and {*feed.include} - {"issues"}
    revealing = feed.overdue_digest and feed.details == "busy"
    digest = "cannot be combined with details: busy, which hides what is done"
    wide = sorted({*feed.include} & {"releases", "initiatives"})
    yield not feed.include, "include", "is empty: list issues, cycles or modules"
    names = " and ".join(wide)
    text = f"contains {names}, which belong to the whole workspace: set everything: true, or remove them"
    yield wide and not feed.everything, f"include {' '.join(SCOPES)}", text
    yield not_issues, "include component", "must be issues: component is vtodo"
    yield revealing, "overdue_digest details", digest
    yield feed.undated and not tasks, "undated component", "needs component: vtodo; an event must have a day"


def _access_rows(name: str, feed: Feed, config: Config) -> Iterable[Row]:
    # Names are parts of links and of exported files: some clients and file systems compare without case.
    twin = next(other for other in config.feeds if other.lower() == name.lower())
    ambiguous = feed.workspace is None and len(config.workspaces) > 1
    unknown = feed.workspace and config.workspaces and feed.workspace not in config.workspaces
    hint = _hint(feed.workspace or "", config.workspaces)
    workspace = config.workspaces.get(feed.workspace or next(iter(config.workspaces), ""))
    wide = sorted({*feed.include} & {"releases", "initiatives"})
    limited = bool(wide and workspace and workspace.projects)
    beyond = f"holds {' and '.join(wide)}, but its workspace is limited to `projects`: remove them"
    both = {*feed.revoked} & {*feed.subscribers}
    return (
        (twin != name, "", f"its name differs from {twin} only in upper and lower case: change one"),
        (ambiguous, "workspace", f"is missing: name one of {', '.join(config.workspaces)}"),
        (unknown, "workspace", f"is not the name of a workspace{hint}"),
        (limited, "include workspace", beyond),
        (feed.public and feed.subscribers, "subscribers public", "mean nothing in a public feed: keep one"),
        (both, "revoked subscribers", "names someone who still is a subscriber: keep them in one list"),
    )


def _target_rows(target: PushTarget, config: Config) -> Iterable[Row]:
    automatic = ("project-",) * config.auto.projects + ("assignee-",) * config.auto.assignees
    unknown = target.feed not in config.feeds and not target.feed.startswith(automatic)
    pushed = {other.feed for other in config.push.values()}
    adopts_pushed = isinstance(target.adopt, tuple) and pushed.intersection(target.adopt)
    user, password = target.username, target.password or target.password_file
    token, is_local = target.token or target.token_file, _is_loopback(target.url)
    is_open = target.url.startswith("http:") and not is_local and not target.allow_insecure
    return (
        (unknown, "feed", f"is not the name of a feed{_hint(target.feed, config.feeds)}"),
        (adopts_pushed, "adopt", "names a feed that is pushed itself: name former feeds only"),
        (token and (user or password), f"token {_LOGIN}", "cannot be combined with a user name: keep one"),
        (user and not password, f"password {_LOGIN}", "is missing: username needs it (or password_file)"),
        (password and not user, f"username {_LOGIN}", "is missing: the password needs it"),
        (not (user or password or token or is_local), f" {_LOGIN}", "needs username and password, or token"),
        (is_open, "url allow_insecure", "shows the password: use https, or allow_insecure: true"),
    )


def _hint(name: str, known: Collection[str]) -> str:
    return did_you_mean(name, known) or f"; there is: {', '.join(known) or 'none'}"


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False
