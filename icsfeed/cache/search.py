"""Asking Plane which issues a search in its query language (PQL) finds; editions that have one."""

from datetime import datetime
from http import HTTPStatus

from icsfeed.cache.resources import PlaneReader
from icsfeed.errors import BadAnswer, NoAccess, NotFound, NotPlane, PlaneError, Unreachable
from icsfeed.plane.features import Features, is_refusal

SEARCH = "a search by pql"
"""Its name among the `Features`."""
NO_SEARCH = "this Plane has no search in PQL, which is part of commercial editions: use where instead"
NO_PQL = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""How Plane answers to a text that is no PQL."""


async def found_issues(plane: PlaneReader, features: Features, pql: str, now: datetime) -> frozenset[str]:
    """Return the ids of the issues that a search finds.

    Raises PlaneError; NotFound, NoAccess or BadAnswer where only the search fails.
    """
    missing = NotFound("the issues that pql finds", NO_SEARCH)
    if not features.should_ask(SEARCH, now):
        raise missing
    try:
        # A Plane that ignores `pql` returns all issues.
        if not features.has(SEARCH) and not await plane.is_searched():
            raise missing
        found = await plane.found_issues(pql)
    except (Unreachable, NotPlane) as error:
        # Whether Plane is well at all is shown by what else is read of it.
        raise BadAnswer(error.what, error.reason) from None
    except (NoAccess, NotFound, BadAnswer) as error:
        if is_refusal(error) and not is_no_pql(error):
            features.refused(SEARCH, now)
            raise missing from None
        raise
    features.answered(SEARCH)
    return found


def is_no_pql(error: PlaneError) -> bool:
    """Return whether Plane does not accept the text of a search."""
    return isinstance(error, BadAnswer) and error.status in NO_PQL


def why_unusable(error: PlaneError) -> str | None:
    """Return why a search will not succeed until something is changed; None when it may."""
    if is_no_pql(error):
        return "Plane does not accept this search: try it in Plane, and correct it"
    return NO_SEARCH if isinstance(error, NotFound) else None
