"""The calendar apps that `icsfeed doctor` imitates: what each sends, and what kind of program it is."""

from collections.abc import Mapping

from msgspec import Struct

LARGE = 900_000
"""Bytes of a feed that every calendar service reads; some reject more."""

PAGE = "https://page.example.com"
"""The origin of the page that shows FullCalendar, for CORS."""


class Client(Struct, frozen=True, kw_only=True):
    """A calendar app. `online`: a service on the internet reads the feed, not the user's own machine."""

    name: str
    headers: Mapping[str, str]
    online: bool = False
    shows_tasks: bool = False


def _sends(agent: str, accept: str = "*/*", **more: str) -> Mapping[str, str]:
    return {"User-Agent": agent, "Accept": accept, **more}


_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"

CLIENTS = (
    Client(name="Thunderbird", headers=_sends(f"{_BROWSER} Thunderbird/140.0"), shows_tasks=True),
    Client(name="ICSx5", headers=_sends("ICSx5/2.3", "text/calendar, */*;q=0.9"), shows_tasks=False),
    Client(
        name="Nextcloud",
        headers=_sends("Nextcloud Webcal Service", "text/calendar, application/calendar+json"),
        online=True,
    ),
    Client(name="Home Assistant", headers=_sends("HomeAssistant/2026.11 httpx/0.28 Python/3.13")),
    Client(name="vdirsyncer", headers=_sends("vdirsyncer/0.19"), shows_tasks=True),
    # Google sends no Accept header.
    Client(name="Google Calendar", headers={"User-Agent": "Google-Calendar-Importer"}, online=True),
    Client(
        name="Outlook",
        headers=_sends("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0)"),
        online=True,
    ),
    Client(name="Apple Calendar", headers=_sends("macOS/15.1 (24B83) dataaccessd/1.0")),
    Client(name="FullCalendar", headers=_sends(f"{_BROWSER} Firefox/140.0", Origin=PAGE)),
    # The User-Agent of these two is not known.
    Client(name="Fastmail, Proton", headers=_sends("Mozilla/5.0 (compatible)"), online=True),
)

EVERYBODY = tuple(client.name for client in CLIENTS)
ONLINE = tuple(client.name for client in CLIENTS if client.online)
WITHOUT_TASKS = tuple(client.name for client in CLIENTS if not client.shows_tasks)
