"""Everything that icsfeed raises on purpose.

    IcsfeedError
    ├── ConfigError            the configuration cannot be used; carries every problem
    │   └── BadSetting         one variable of the environment, or one file, cannot be used
    ├── FeedError              one feed cannot be made
    │   ├── UnknownFeed        there is no feed of this name
    │   ├── NameNotFound       it names a project or person that the workspace does not have
    │   ├── AmbiguousName      it names a person, and several fit
    │   └── NoCopy             Plane has not been read yet, and cannot be read now
    ├── ExportError            the folder of an export cannot be used
    │   └── ExportBusy         another export to it is running
    ├── Unfit                  a host name, a web address, a colour cannot be used; says why
    ├── BadParameter           a query parameter has a value that it cannot have
    ├── WebhookError           a delivery of a webhook cannot be read
    ├── PlaneError             Plane did not give what was asked
    │   ├── KeyRefused         the API key is missing, unknown, expired or disabled
    │   ├── NoAccess           the key is good; this workspace or project is not open to it
    │   ├── NotFound           there is nothing at this address
    │   ├── Throttled          too many requests; says when to come back
    │   ├── Unreachable        no answer: refused, timed out, TLS, or a gateway without a Plane (502 to 504)
    │   │   └── ServerError    Plane answers, and has failed (500)
    │   ├── NotPlane           something answers there, and it is not Plane's API
    │   └── BadAnswer          Plane answers, and the answer cannot be used
    └── PushError              a calendar on a CalDAV server could not be written to
        ├── PushBusy           another run writes to it
        ├── PushStopped        it was stopped in the middle
        ├── LoginRefused       the user name, password or token is not accepted
        ├── NoRight            the account may not write there
        ├── NoCollection       there is no such calendar, or it is not one
        ├── NotTrusted         its TLS certificate is not accepted
        ├── NoRoom             the account is full
        ├── NoServer           no answer, or none but failures, in spite of several attempts
        ├── NotCalDav          what it answers cannot be understood; nothing was written
        └── ObjectError        one object was not written
            ├── Changed        it is not what it was (412): to be read and decided again
            ├── UidTaken       the server has this UID elsewhere
            ├── Rejected       the server does not take it
            └── Locked         somebody else holds it, in spite of several attempts

The text of an error is for a person and never holds a key, a token or a password.
What a program needs is on the exception.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong with the configuration: where (`feeds.urgent.window`), and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` with the known name that is nearest, whatever its case; empty: none is near."""
    near = _nearest(name.casefold(), tuple(known))
    return f"; did you mean {near}?" if near else ""


@lru_cache(256)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    """120 ms for 5,000 names: a feed whose person is gone asks at each poll."""
    names = {one.casefold(): one for one in known}
    near = get_close_matches(name, names, n=1)
    return names[near[0]] if near else None


class IcsfeedError(Exception):
    """The root of all errors that icsfeed raises on purpose."""

    @property
    def kind(self) -> str:
        """What is wrong in a word or two (`key refused`), without the names and addresses of the text."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", type(self).__name__).lower()


class ConfigError(IcsfeedError):
    """The configuration cannot be used. `problems` holds all of them, in the file's order."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{source}: {count} problem{'s' if count != 1 else ''}\n{lines}")


class BadSetting(ConfigError):
    """A variable of the environment, or a file that a key names, cannot be used. The text is one line."""

    def __init__(self, name: str, message: str) -> None:
        problem = Problem(name, message)
        super().__init__("environment", [problem])
        self.args = (str(problem),)


class FeedError(IcsfeedError):
    """A feed cannot be made. `feed` is its name, `reason` the text without it."""

    def __init__(self, feed: str, message: str) -> None:
        self.feed, self.reason = feed, message
        super().__init__(f"feed {feed!r}: {message}")


class UnknownFeed(FeedError):
    """No feed has this name, neither in the configuration nor among the automatic ones.

    `known`: the names there are.
    """

    def __init__(self, feed: str, known: Iterable[str] = ()) -> None:
        super().__init__(feed, f"there is no such feed{did_you_mean(feed, known)}")


class NameNotFound(FeedError):
    """A feed names something that its workspace does not have (or that the key cannot see)."""

    def __init__(
        self, feed: str, field: str, value: str, known: Sequence[str], others: Iterable[str] = ()
    ) -> None:
        self.field, self.value, self.known = field, value, tuple(known)
        listed = f"; there is: {', '.join(self.known)}" if self.known else ""
        hint = did_you_mean(value, (*self.known, *others)) or listed
        super().__init__(feed, f"no {field} {value!r} in the workspace{hint}")


class AmbiguousName(FeedError):
    """A feed names a person by a name that several have. `candidates` are those people."""

    def __init__(self, feed: str, field: str, value: str, candidates: Sequence[str]) -> None:
        self.field, self.value, self.candidates = field, value, tuple(candidates)
        listed = "; ".join(self.candidates)
        super().__init__(feed, f"{field} {value!r} fits several people, use an e-mail or id: {listed}")


class NoCopy(FeedError):
    """There is no good copy of what the feed shows, and Plane does not answer now.

    `waiting`: what it waits for, where that is known.
    """

    def __init__(self, feed: str, retry_after: int, waiting: str | None = None) -> None:
        self.retry_after, self.waiting = retry_after, waiting
        reason = f"Plane has not been read yet{f' ({waiting})' if waiting else ''}"
        super().__init__(feed, f"{reason}; try again in {retry_after} s")


class Unfit(IcsfeedError):
    """A value that cannot be used. Its text ends a sentence such as "must be a host name: "."""


class BadParameter(IcsfeedError):
    """A query parameter that we know has a value that we cannot use."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


class WebhookError(IcsfeedError):
    """A delivery of Plane's webhook that cannot be read. The text never repeats what was sent.

    `field` is the path in its body (`data.project`; empty: all of it). `missing`: it is not there, or null.
    """

    def __init__(self, field: str, reason: str, *, missing: bool = False) -> None:
        self.field, self.reason, self.missing = field, reason, missing
        super().__init__(f"{field}: {reason}" if field else reason)


class ExportError(IcsfeedError):
    """Nothing can be exported to this folder; nothing in it was touched."""


class ExportBusy(ExportError):
    """Another run holds the folder."""


class PlaneError(IcsfeedError):
    """Plane did not give what was asked. `what` says what was asked for, without the host's secrets."""

    def __init__(self, what: str, message: str) -> None:
        self.what = what
        super().__init__(f"{what}: {message}")


class KeyRefused(PlaneError):
    """401, or 403 'Given API token is not valid' (unknown, expired and disabled look alike)."""


class NoAccess(PlaneError):
    """403 for a key that is good: a wrong workspace slug looks the same as a missing membership."""


class NotFound(PlaneError):
    """404."""


class Throttled(PlaneError):
    """429. `retry_after` is Plane's own word, in seconds."""

    def __init__(self, what: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(what, f"Plane allows no more requests for {retry_after:.0f} s")


class Unreachable(PlaneError):
    """No usable connection, or a gateway that has none. `retry_after` is set when the server gave one."""

    def __init__(self, what: str, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(what, message)


class ServerError(Unreachable):
    """5xx by Plane itself: it was reached, and its own log says why it failed."""


class NotPlane(PlaneError):
    """The answer is not the API's: HTML, a login page, a redirect elsewhere."""


class BadAnswer(PlaneError):
    """The answer is the API's, and unusable: cut off, a wrong shape, or pages that kept shifting."""


class PushError(IcsfeedError):
    """A calendar on a CalDAV server could not be written to. `what` says what was tried."""

    def __init__(self, what: str, message: str) -> None:
        self.what, self.reason = what, message
        super().__init__(f"{what}: {message}")


class PushBusy(PushError):
    """Another run writes to the same target."""


class PushStopped(PushError):
    """A person, or the end of the process, has stopped a run."""


class LoginRefused(PushError):
    """401."""


class NoRight(PushError):
    """403 without a precondition of CalDAV, or with need-privileges."""


class NoCollection(PushError):
    """The collection is not there (`gone`), is elsewhere (a redirect), is no calendar, or of another kind."""

    def __init__(self, what: str, message: str, *, gone: bool = False) -> None:
        self.gone = gone
        super().__init__(what, message)


class NotTrusted(PushError):
    """TLS fails: the certificate, or no TLS at all."""


class NoRoom(PushError):
    """507."""


class NoServer(PushError):
    """Refused, timed out, reset, 429, 502 to 504: every attempt."""


class NotCalDav(PushError):
    """An answer that cannot be used: a listing in part, broken XML, too large, or not of CalDAV at all."""


class ObjectError(PushError):
    """One object was not written; the others may be."""


class Changed(ObjectError):
    """412 without another reason: the object is not what it was when it was listed."""


class UidTaken(ObjectError):
    """The server holds the UID at another address, perhaps in another calendar or in its trash bin."""


class Rejected(ObjectError):
    """400, 413, 415 and the like, or 500 every time: the server does not take this object.

    `status`: what it answered; 0 where it was not asked.
    """

    def __init__(self, what: str, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(what, message)


class Locked(ObjectError):
    """423: every attempt."""
