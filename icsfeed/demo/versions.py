"""What the releases of Plane do differently, as far as the API that icsfeed reads is concerned."""

from msgspec import Struct


class Version(Struct, frozen=True, kw_only=True):
    """One release.

    - `work_items`: the work-items/ paths exist (since v1.1)
    - `people`: users/me/ and the workspace's members/ exist (since v0.28)
    - `max_page`: default and largest `per_page` (1000 since v0.23)
    - `instants`: cycle dates are instants, projects and cycles have a time zone (since v0.24)
    - `strict_cursor`: a cursor of another `per_page` is a 500 (up to v0.26.1)
    """

    name: str
    work_items: bool = True
    people: bool = True
    max_page: int = 1000
    instants: bool = True
    strict_cursor: bool = False


VERSIONS = {
    version.name: version
    for version in (
        Version(name="v1.3.1"),
        Version(name="v0.24.1", work_items=False, people=False, strict_cursor=True),
        Version(
            name="v0.22", work_items=False, people=False, max_page=100, instants=False, strict_cursor=True
        ),
    )
}
