"""Which calendar app a User-Agent belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.web.reader_log import FAMILIES, OTHER, UNNAMED, family

AGENTS = [
    ("Google-Calendar-Importer", "Google Calendar"),
    ("Mozilla/5.0 (compatible; Google-Calendar-Importer; +http://www.google.com)", "Google Calendar"),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)", "Outlook"),
    ("Microsoft.Exchange/15.20 (Microsoft.Exchange.Calendar.Sharing)", "Outlook"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0", "Thunderbird"),
    ("ICSx5/2.2.3 (Android)", "ICSx5"),
    ("Nextcloud Calendar", "Nextcloud"),
    ("HomeAssistant/2026.10.1 httpx/0.28.1 Python/3.13", "Home Assistant"),
    ("macOS/15.1 (24B83) CalendarAgent/1188", "Apple Calendar"),
    ("iOS/18.1 (22B83) dataaccessd/1.0", "Apple Calendar"),
    ("Fastmail/1.0", "Fastmail"),
    ("ProtonCalendar/1.0", "Proton Calendar"),
    ("Evolution/3.46.4", "Evolution"),
    ("vdirsyncer/0.19.2", "vdirsyncer"),
    ("icsfeed/0.1.0 (doctor)", "icsfeed"),
    ("Slackbot 1.0 (+https://api.slack.com/robots)", "Slack"),
    ("mattermost-plugin-rssfeed", "Mattermost"),
    ("matrix-hookshot/7.0.0", "Matrix"),
    ("Mozilla/5.0 (compatible; Miniflux/2.2.3; +https://miniflux.app)", "a feed reader"),
    ("FreshRSS/1.24.3 (Linux; https://freshrss.org)", "a feed reader"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "a crawler"),
    ("curl/8.5.0", "a script"),
    ("python-requests/2.32", "a script"),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "a browser"),
    ("SomethingNew/1", OTHER),
    ("  ", UNNAMED),
    ("", UNNAMED),
    (None, UNNAMED),
]


@pytest.mark.parametrize(("agent", "name"), AGENTS)
def test_an_app_is_known_by_what_it_sends(agent: str | None, name: str) -> None:
    assert family(agent) == name


@given(st.text())
def test_whatever_is_sent_becomes_one_of_a_few_names(agent: str) -> None:
    assert family(agent) in {*(name for name, _ in FAMILIES), OTHER, UNNAMED}
