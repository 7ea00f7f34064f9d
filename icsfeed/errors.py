"""All errors that icsfeed raises on purpose.

    IcsfeedError
    ├── ConfigError            the configuration cannot be used; carries every problem
    │   └── BadSetting         one environment variable, or one file, cannot be used
    ├── FeedError              a feed cannot be rendered
    │   ├── UnknownFeed        there is no feed of this name
    │   ├── NameNotFound       it names a project or person that the workspace does not have
    │   ├── AmbiguousName      it names a person, and several match
    │   ├── UnusableSearch     Plane does not accept its search, or has none
    │   └── NoCopy             Plane has not been read yet, and cannot be read now
    ├── ExportError            the folder of an export cannot be used
    │   └── ExportBusy         another export to it is running
    ├── LinkRefused            a change of a person's own link cannot be made; says why
    ├── BadBackup              a file is no backup of links
    ├── StoreFailed            a change was not made, since the store failed
    ├── InvalidValue           a host name, a web address, a colour cannot be used; says why
    ├── BadParameter           a query parameter has a value that is not allowed
    ├── PlaneError             a request to Plane failed
    │   ├── KeyRefused         the API key is missing, unknown, expired or disabled
    │   ├── NoAccess           the key is valid but lacks access to this workspace or project
    │   ├── NotFound           there is nothing at this address
    │   │   └── NoSuchPath     this Plane does not know the path at all
    │   ├── Throttled          too many requests; says when to retry
    │   ├── Unreachable        no answer: refused, timed out, TLS, or a gateway without a Plane (502 to 504)
    │   │   └── ServerError    Plane answers, and has failed (500)
    │   ├── NotPlane           something answers there that is not Plane's API
    │   └── BadAnswer          Plane answers, and the answer cannot be used
    └── PushError              a calendar on a CalDAV server could not be written to
        ├── PushBusy           another run writes to it
        ├── PushStopped        the run was stopped
        ├── LoginRefused       the user name, password or token is not accepted
        ├── NoPermission       the account may not write there
        ├── NoCollection       there is no such calendar, or it is not one
        ├── NotTrusted         its TLS certificate is not accepted
        ├── InsufficientStorage  the account is full
        ├── NoServer           no answer, or only failures, after several attempts
        ├── NotCalDav          its answers cannot be understood; nothing was written
        └── ObjectError        one object was not written
            ├── Changed        it changed since it was listed (412): to be read and decided again
            ├── UidTaken       the server has this UID elsewhere
            ├── Rejected       the server does not accept it
            └── Locked         somebody else has locked it, after several attempts

The text of an error is for a person and never holds a key, a token or a password. What a program needs is
in the attributes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple


class Problem(NamedTuple):
    """One problem of the configuration: its path (`feeds.urgent.window`), and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean NAME?` with the most similar known name; empty where none is similar."""
    similar = _most_similar(name.casefold(), tuple(known))
    return f"; did you mean {similar}?" if similar else ""


@lru_cache(256)  # 120 ms for 5,000 names, and a feed whose person is gone asks at each poll
def _most_similar(name: str, known: tuple[str, ...]) -> str | None:
    names = {spelled.casefold(): spelled for spelled in known}
    similar = get_close_matches(name, names, n=1)
    return names[similar[0]] if similar else None


class IcsfeedError(Exception):
    """The root of all errors that icsfeed raises on purpose."""

    @property
    def kind(self) -> str:
        """The kind of error in a few words (`key refused`), without the names and addresses of the text."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", type(self).__name__).lower()


class ConfigError(IcsfeedError):
    """The configuration cannot be used. `problems` are all that were found, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{source}: {count} problem{'s' if count != 1 else ''}\n{lines}")


class BadSetting(ConfigError):
    """An environment variable, or a file that a key names, cannot be used. The text is one line."""

    def __init__(self, name: str, message: str) -> None:
        problem = Problem(name, message)
        super().__init__("environment", [problem])
        self.args = (str(problem),)


class FeedError(IcsfeedError):
    """A feed cannot be rendered. `feed` is its name, `reason` the text without the name."""

    def __init__(self, feed: str, message: str) -> None:
        self.feed, self.reason = feed, message
        super().__init__(f"feed {feed!r}: {message}")


class UnknownFeed(FeedError):
    """No feed has this name, neither in the configuration nor among the automatic ones (`known`)."""

    def __init__(self, feed: str, known: Iterable[str] = ()) -> None:
        super().__init__(feed, f"there is no such feed{did_you_mean(feed, known)}")


class NameNotFound(FeedError):
    """A feed names something that its workspace does not have, or that the key cannot see.

    `known` are the names in the workspace, `others` names to suggest as well.
    """

    def __init__(
        self, feed: str, field: str, value: str, known: Sequence[str], others: Iterable[str] = ()
    ) -> None:
        self.field, self.value, self.known = field, value, tuple(known)
        listed = f"; there is: {', '.join(self.known)}" if self.known else ""
        hint = did_you_mean(value, (*self.known, *others)) or listed
        super().__init__(feed, f"no {field} {value!r} in the workspace{hint}")


class AmbiguousName(FeedError):
    """A feed names a person by a name that several people have. `candidates` are those people."""

    def __init__(self, feed: str, field: str, value: str, candidates: Sequence[str]) -> None:
        self.field, self.value, self.candidates = field, value, tuple(candidates)
        listed = "; ".join(self.candidates)
        super().__init__(feed, f"{field} {value!r} fits several people, use an e-mail or id: {listed}")


class UnusableSearch(FeedError):
    """Plane does not accept a feed's `pql`, or has no search, and nothing was found with it before."""

    def __init__(self, feed: str, reason: str) -> None:
        super().__init__(feed, f"pql: {reason}")


class NoCopy(FeedError):
    """There is no copy of what the feed shows, and Plane does not answer now.

    `retry_after` is in seconds; `waiting`: what is waited for, where that is known.
    """

    def __init__(self, feed: str, retry_after: int, waiting: str | None = None) -> None:
        self.retry_after, self.waiting = retry_after, waiting
        reason = f"Plane has not been read yet{f' ({waiting})' if waiting else ''}"
        super().__init__(feed, f"{reason}; try again in {retry_after} s")


class LinkRefused(IcsfeedError):
    """A change of a person's own link cannot be made. `key` names the reason, `values` are in its text."""

    def __init__(self, key: str, message: str, values: Mapping[str, object]) -> None:
        self.key, self.values = key, values
        super().__init__(message)


class BadBackup(IcsfeedError):
    """A file is no backup of links. `place`: the line or the field that is wrong."""

    def __init__(self, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(f"{place} {problem}; nothing was imported")


class StoreFailed(IcsfeedError):
    """A change that must be stored could not be, and was not made. `reason`: what the store said."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"nothing was changed, since the store failed: {reason}")


class InvalidValue(IcsfeedError):
    """A value cannot be used. The text ends a sentence such as "must be a host name: "."""


class BadParameter(IcsfeedError):
    """A known query parameter has a value that is not allowed."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


class ExportError(IcsfeedError):
    """The folder cannot be exported to; nothing in it was changed."""


class ExportBusy(ExportError):
    """Another export to the folder is running."""


class PlaneError(IcsfeedError):
    """A request to Plane failed. `what` names what was requested, without secrets; `reason` says why."""

    def __init__(self, what: str, message: str) -> None:
        self.what, self.reason = what, message
        super().__init__(f"{what}: {message}")


class KeyRefused(PlaneError):
    """401, or 403 `Given API token is not valid`, which unknown, expired and disabled keys get alike."""


class NoAccess(PlaneError):
    """403 for a valid key: Plane answers alike for a wrong workspace slug and a missing membership."""


class NotFound(PlaneError):
    """404: nothing is at this address."""


class NoSuchPath(NotFound):
    """404 `Page not found.`: this Plane does not know the path at all (another version)."""


class Throttled(PlaneError):
    """429. `retry_after` is in seconds, as Plane says."""

    def __init__(self, what: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(what, f"Plane allows no more requests for {retry_after:.0f} s")


class Unreachable(PlaneError):
    """No connection, or a gateway that has none. `retry_after` (seconds) is set where the server gave it."""

    def __init__(self, what: str, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(what, message)


class ServerError(Unreachable):
    """5xx from Plane itself: it was reached, and its own log says why it failed."""


class NotPlane(PlaneError):
    """The answer is not that of the API: HTML, a login page, a redirect elsewhere.

    `status` is set where it was an error of HTTP.
    """

    def __init__(self, what: str, message: str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(what, message)


class BadAnswer(PlaneError):
    """The answer of the API cannot be used: cut off, a wrong shape, or pages that shift between reads.

    `status` is set where it was an error of HTTP (400, 405 ...).
    """

    def __init__(self, what: str, message: str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(what, message)


class PushError(IcsfeedError):
    """A calendar on a CalDAV server could not be written to. `what` names what was tried."""

    def __init__(self, what: str, message: str) -> None:
        self.what, self.reason = what, message
        super().__init__(f"{what}: {message}")


class PushBusy(PushError):
    """Another run writes to the same target."""


class PushStopped(PushError):
    """The run was stopped by a person or by the end of the process."""


class LoginRefused(PushError):
    """401: the user name, password or token is not accepted."""


class NoPermission(PushError):
    """403 without a precondition of CalDAV (RFC 4791, 1.3), or with need-privileges (RFC 3744)."""

    kind = "no right"  # as `/api/v1/health` has always said


class NoCollection(PushError):
    """The collection does not exist (`gone`), has moved (a redirect), or is not a calendar of this kind."""

    def __init__(self, what: str, message: str, *, gone: bool = False) -> None:
        self.gone = gone
        super().__init__(what, message)


class NotTrusted(PushError):
    """TLS fails: the certificate is not accepted, or the server does not speak TLS."""


class InsufficientStorage(PushError):
    """507: the account is full."""

    kind = "no room"  # as `/api/v1/health` has always said


class NoServer(PushError):
    """Refused, timed out, reset, 429, 502 to 504, at every attempt."""


class NotCalDav(PushError):
    """An answer cannot be used: an incomplete listing, broken XML, too large, or not CalDAV at all."""


class ObjectError(PushError):
    """One object was not written; the others may be."""


class Changed(ObjectError):
    """412 without another reason: the object changed since it was listed."""


class UidTaken(ObjectError):
    """The server has the UID at another address, perhaps in another calendar or in its trash bin."""


class Rejected(ObjectError):
    """400, 413, 415 and the like, or 500 at every attempt: the server does not accept this object.

    `status`: what it answered; 0 where it was not asked.
    """

    def __init__(self, what: str, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(what, message)


class Locked(ObjectError):
    """423 at every attempt: somebody else has locked it."""
