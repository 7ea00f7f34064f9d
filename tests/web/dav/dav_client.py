"""A client of the CalDAV accounts of a server in process; it reads answers as the client of pushes does."""

import base64
from collections.abc import Mapping

import httpx
from app_world import HOST, World

from icsfeed.dav.names import DATA, ETAG, SYNC_TOKEN
from icsfeed.dav.xml import MultistatusResponse, parse, read_multistatus

SPACES = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
XML_TYPE = {"Content-Type": "application/xml; charset=utf-8"}


def basic(user: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


class DavClient:
    """Somebody who is logged in as `user`."""

    def __init__(self, world: World, user: str, token: str) -> None:
        self.world, self.user, self.login = world, user, basic(user, token)

    @property
    def home(self) -> str:
        return f"/dav/{self.user}/"

    async def ask(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        return await self.world.client.request(
            method, path, content=body.encode(), headers={**self.login, **XML_TYPE, **headers}
        )

    async def propfind(self, path: str, *names: str, depth: int = 0) -> dict[str, MultistatusResponse]:
        prop = "".join(f"<{name}/>" for name in names)
        body = f"<propfind {SPACES}><prop>{prop}</prop></propfind>"
        return found(await self.ask("PROPFIND", path, body, {"Depth": str(depth)}))

    async def query(self, path: str, inner: str, kind: str = "VEVENT") -> set[str]:
        """The names of the objects that pass a filter."""
        body = (
            f'<c:calendar-query {SPACES}><prop><getetag/></prop><c:filter><c:comp-filter name="VCALENDAR">'
            f'<c:comp-filter name="{kind}">{inner}</c:comp-filter></c:comp-filter></c:filter>'
            "</c:calendar-query>"
        )
        return {href.rpartition("/")[2] for href in found(await self.ask("REPORT", path, body))}

    async def multiget(
        self, path: str, hrefs: list[str], data: str = "<c:calendar-data/>"
    ) -> dict[str, MultistatusResponse]:
        listed = "".join(f"<href>{href}</href>" for href in hrefs)
        body = f"<c:calendar-multiget {SPACES}><prop><getetag/>{data}</prop>{listed}</c:calendar-multiget>"
        return found(await self.ask("REPORT", path, body))

    async def sync(self, path: str, token: str = "", more: str = "") -> httpx.Response:
        body = (
            f"<sync-collection {SPACES}><sync-token>{token}</sync-token><sync-level>1</sync-level>{more}"
            "<prop><getetag/></prop></sync-collection>"
        )
        return await self.ask("REPORT", path, body)


class Mirror:
    """What a client holds that syncs by tokens and reads what has changed."""

    def __init__(self, client: DavClient, path: str) -> None:
        self.client, self.path, self.token = client, path, ""
        self.objects: dict[str, str] = {}
        self.read = 0

    async def sync(self) -> bool:
        """Bring the copy up to date; False where the token is not known any more."""
        response = await self.client.sync(self.path, self.token)
        if response.status_code == 403:
            assert b"valid-sync-token" in response.content
            return False
        listed = found(response)
        gone = {href for href, one in listed.items() if one.status == 404}
        hrefs = [href for href in listed if href not in gone]
        bodies = await self.client.multiget(self.path, hrefs) if hrefs else {}
        self.read = len(bodies)
        self.objects = {href: data for href, data in self.objects.items() if href not in gone}
        for href, one in bodies.items():
            assert one.text(ETAG) == listed[href].text(ETAG)
            self.objects[href] = "".join(one.properties[DATA].itertext())
        self.token = parse(response.content).findtext(SYNC_TOKEN) or ""
        return True


def found(response: httpx.Response) -> dict[str, MultistatusResponse]:
    assert response.status_code == 207, response.text
    return {one.href: one for one in read_multistatus(response.content, HOST)}


def of_feed(world: World, feed: str, suffix: str = "") -> DavClient:
    return DavClient(world, feed + suffix, world.service.links.token(feed) or "")


def of_subscriber(world: World, feed: str, who: str) -> DavClient:
    return DavClient(world, who, world.service.links.token(feed, who) or "")
