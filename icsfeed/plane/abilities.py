"""What a Plane can do that not every edition can, for `icsfeed check`: each thing is asked for once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from icsfeed.errors import BadAnswer, NotFound, NotPlane, PlaneError
from icsfeed.plane import shapes
from icsfeed.plane.features import is_refusal
from icsfeed.plane.fetch import ParametersRefused

Ask: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[bytes]]

ONE_ROW = {"per_page": "1", "fields": "id"}
WORK_ITEMS = "work-items/"
LISTS: Mapping[str, tuple[str, ...]] = {
    "work items of the whole workspace": (WORK_ITEMS,),
    "their number": ("work-items/count/", "work-items/count"),
    "milestones": ("projects/{project}/milestones/",),
    "releases": ("releases/",),
    "initiatives": ("initiatives/",),
    "work item types": ("projects/{project}/work-item-types/", "projects/{project}/issue-types/"),
}
"""The paths of each in a workspace: the documents, or older versions, spell some of them differently."""
PQL = "PQL"
NOTHING = 'priority = "urgent" AND priority = "none"'
"""No work item matches it: a Plane that finds some has not read it."""


async def abilities(ask: Ask, project: str) -> dict[str, bool | None]:
    """Ask whether Plane has each of the lists, and PQL. Never raises PlaneError.

    `ask` returns the body of an answer in the workspace; `project` is the id of one that the key may read.
    """
    found = {name: await _has_one(ask, paths, project) for name, paths in LISTS.items()}
    found[PQL] = found["work items of the whole workspace"]
    if found[PQL]:
        try:
            found[PQL] = await reads_pql(ask)
        except PlaneError as error:
            found[PQL] = _is_known(error)
    return found


async def _has_one(ask: Ask, paths: tuple[str, ...], project: str) -> bool | None:
    for path in paths:
        try:
            await ask(path.format(project=project), ONE_ROW)
        except (NotFound, NotPlane):  # a gateway may answer unknown paths itself, or redirect them
            continue
        except PlaneError as error:
            return _is_known(error)
        return True
    return False


async def reads_pql(ask: Ask) -> bool:
    """Return whether Plane reads searches in PQL, and neither ignores nor refuses them. Raises PlaneError."""
    try:
        return not shapes.page(await ask(WORK_ITEMS, {**ONE_ROW, "pql": NOTHING})).rows
    except ParametersRefused:
        return False
    except ValueError as error:
        raise BadAnswer("whether Plane reads PQL", f"the answer is not a page of a list: {error}") from None


def _is_known(error: PlaneError) -> bool | None:
    """Return False where Plane says that it does not have it; None where it only did not answer."""
    return False if is_refusal(error) or (isinstance(error, BadAnswer) and error.status) else None
