"""The editions of Plane: what differs between them beyond the lists that only some of them have.

Community is as recorded (v1.3.1). Nobody has recorded Commercial: it follows Plane's developer
documents (August 2026) and its Python SDK (July 2026); its release and the words of refusals are guesses.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from icsfeed.demo.paging import MAX_PER_PAGE


class Edition(Struct, frozen=True, kw_only=True):
    """One edition.

    - `instance`: what `/api/instances/` calls it; `release`: its version
    - `max_page`: default and largest `per_page`
    - `envelope`: what its pages say differently
    - `takes_bearer`: a key may come as `Authorization: Bearer`, too
    - `refuses_names`: unknown names in `fields`, and those that cannot be expanded in `expand`, are a 400
    - `searches`: lists of work items know `pql` and `filters`
    - `has_plans`: milestones, initiatives, releases, work item types, and lists of a whole workspace
    """

    instance: str
    release: str
    max_page: int = MAX_PER_PAGE
    envelope: Mapping[str, Any] = {}
    takes_bearer: bool = False
    refuses_names: bool = False
    searches: bool = False
    has_plans: bool = False


COMMUNITY = Edition(instance="PLANE_COMMUNITY", release="v1.3.1")
COMMERCIAL = Edition(
    instance="PLANE_COMMERCIAL",
    release="v2.7.0",
    max_page=100,
    envelope={"extra_stats": {}, "prev_cursor": ""},
    takes_bearer=True,
    refuses_names=True,
    searches=True,
    has_plans=True,
)
EDITIONS: Mapping[str, Edition] = {"community": COMMUNITY, "commercial": COMMERCIAL}
