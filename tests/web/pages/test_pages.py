"""Pages over HTTP: who gets which, with what headers, in what language, and what they never say."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable
from html import unescape
from urllib.parse import quote
from weakref import ref

import pytest
from app_world import HOST, World, event, quick, serving, settings
from httpx import Response
from msgspec.structs import replace
from plane import faults as f

from icsfeed.config.schema import Embed, Feed
from icsfeed.web.pages.assets import Assets
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.render import PageRenderer

pytestmark = pytest.mark.anyio

INTRANET = "https://intranet.example.com"
FEEDS = {
    "property": Feed(project="PROP", title="Property issues", description="What was promised"),
    "plan": Feed(everything=True, title="Plan", dates="span", include=("issues", "cycles", "modules")),
    "team": Feed(project="OPS", subscribers=("anna", "ben"), revoked=("carl",)),
    "german": Feed(project="PROP", language="de"),
    "busy": Feed(project="PROP", title="Busy", details="busy"),
    "tasks": Feed(everything=True, component="vtodo", undated=True),
    "off": Feed(project="PROP", active=False),
    "lost": Feed(project="NOPE"),
    "open": Feed(everything=True, public=True, title="Everything"),
}
CONFIG = settings(FEEDS, embed=Embed(frame_ancestors=(INTRANET,)))
VIEWS = ("month", "week", "agenda", "day", "timeline")


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving(CONFIG) as made:
        yield made


async def page(world: World, path: str, **headers: str) -> Response:
    """As a browser asks for it."""
    return await world.ask("GET", path, **{"accept": "text/html,application/xhtml+xml,*/*;q=0.8", **headers})


def feed_path(world: World, name: str, subscriber: str = "") -> str:
    return world.service.links.page_path(name, subscriber)


def embed_path(world: World, name: str, subscriber: str = "") -> str:
    return world.service.links.embed_path(name, subscriber)


def words(answer: Response) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def policy(answer: Response) -> dict[str, str]:
    rules = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (rule.partition(" ") for rule in rules)}


# Who gets what


@pytest.mark.parametrize("feed", ["property", "plan", "team", "german", "busy", "tasks", "open"])
async def test_a_link_without_ics_is_a_page_and_its_frame_is_another(world: World, feed: str) -> None:
    for path in (feed_path(world, feed), *(f"{embed_path(world, feed)}?view={view}" for view in VIEWS)):
        answer = await page(world, path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        head = await world.ask("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")


async def test_a_page_needs_no_particular_accept(world: World) -> None:
    for accept in ("", "*/*", "text/calendar"):
        answer = await world.ask(
            "GET", feed_path(world, "property"), **({"accept": accept} if accept else {})
        )
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("room", ["feeds", "embed"])
async def test_a_link_that_opens_nothing_gives_one_calm_page_whatever_the_reason(
    world: World, room: str
) -> None:
    links = world.service.links
    kind, other = ("feed", "embed") if room == "feeds" else ("embed", "feed")
    good = links.token("property", kind=kind)  # type: ignore[arg-type]
    paths = [
        f"/{room}/icsf_{'a' * 26}/property",
        f"/{room}/{good}/unknown",
        f"/{room}/property",
        f"/{room}/unknown",
        f"/{room}/{links.token('property', kind=other)}/property",  # type: ignore[arg-type]
        f"/{room}/{links.token('off', kind=kind)}/off",  # type: ignore[arg-type]
        f"/{room}/{links.token('german', kind=kind)}x/german",  # type: ignore[arg-type]
        f"/{room}/{links.token('team', 'dora', kind)}/team",  # type: ignore[arg-type]
    ]
    answers = [await page(world, path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert "Calendar not found" in words(answers[0])
    plain = [await world.ask("GET", path) for path in paths]
    assert {(answer.status_code, answer.text) for answer in plain} == {
        (404, "There is no calendar here. Ask for a new link.\n")
    }


@pytest.mark.parametrize("path_of", [feed_path, embed_path])
async def test_a_revoked_link_says_so_calmly(world: World, path_of: object) -> None:
    answer = await page(world, path_of(world, "team", "carl"))  # type: ignore[operator]
    assert answer.status_code == 410
    assert "This link was revoked" in words(answer)
    assert "team" not in answer.text.lower()
    assert (await page(world, path_of(world, "team", "anna"))).status_code == 200  # type: ignore[operator]


async def test_addresses_that_are_nowhere_are_a_calm_page_for_people(world: World) -> None:
    for path in ("/feeds/a/b/c", "/embed/a/b/c"):
        answer = await page(world, path)
        assert (answer.status_code, "Calendar not found" in words(answer)) == (404, True)
    for path in ("/nope", "/embed", "/me"):
        answer = await page(world, path)
        assert (answer.status_code, "Page not found" in words(answer)) == (404, True)
    assert (await world.ask("GET", "/nope")).json()["error_code"] == "NOT_FOUND"


async def test_a_parameter_that_cannot_be_used_is_named(world: World) -> None:
    for query, field in (("view=year", "view"), ("date=x", "date"), ("days=x", "days"), ("skip=x", "skip")):
        answer = await page(world, f"{embed_path(world, 'property')}?{query}")
        assert answer.status_code == 400
        assert f"The value of “{field}” is not valid." in words(answer)
    answer = await page(world, f"{feed_path(world, 'property')}?date=x")
    assert (answer.status_code, "The value of “date”" in words(answer)) == (400, True)
    for path in (embed_path(world, "property"), feed_path(world, "property")):
        refused = await page(world, f"{path}?date=x&theme=dark")
        assert ("date=x" in refused.text, refused.status_code) == (False, 400), "no link leads here again"


async def test_a_builder_with_a_bad_value_shows_the_whole_feed_and_what_is_wrong(world: World) -> None:
    answer = await page(world, f"{feed_path(world, 'property')}?from=2026-12-01&to=2026-11-01")
    assert answer.status_code == 400
    assert "The value of “to” is not valid." in words(answer)
    assert "20 items" in words(answer)


async def test_before_plane_was_read_a_page_says_so_and_when_to_come_again() -> None:
    async with serving(quick(CONFIG)) as world:
        world.faults.add("", f.delayed(60), None)
        for path in (feed_path(world, "property"), embed_path(world, "property")):
            answer = await page(world, path)
            assert (answer.status_code, "Not available yet" in words(answer)) == (503, True)
            assert int(answer.headers["retry-after"]) >= 1


async def test_a_feed_that_cannot_be_made_is_told_without_its_names(world: World) -> None:
    answer = await page(world, feed_path(world, "lost"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
    assert "not set up correctly" in words(answer)
    assert "NOPE" not in answer.text


async def test_while_plane_fails_the_last_good_page_is_shown_with_the_time_it_was_read() -> None:
    async with serving(CONFIG) as world:
        before = await page(world, embed_path(world, "property"))
        world.faults.add("", f.server_error(), None)
        world.clock.move(hours=2)
        after = await page(world, embed_path(world, "property"))
        assert "Last read from Plane: Nov 23, 10:00" in words(after)
        assert words(before).count("[") == words(after).count("[")
        world.clock.move(hours=30)
        assert "Not updated since Nov 23" in words(await page(world, embed_path(world, "property")))


async def test_a_feed_that_lost_its_project_shows_its_last_good_page() -> None:
    async with serving(CONFIG) as world:
        before = await page(world, embed_path(world, "property"))
        for project in [p for p in world.data.projects.values() if p.row["identifier"] == "PROP"]:
            del world.data.projects[project.row["id"]]
        world.clock.move(hours=1)
        after = await page(world, embed_path(world, "property"))
        assert after.status_code == 200
        assert words(before).count("[") == words(after).count("[")
        assert "cannot access one project of this calendar" in words(after)


async def test_a_last_good_page_knows_what_day_it_is() -> None:
    async with serving(CONFIG) as world:
        await page(world, embed_path(world, "property"))
        for project in [p for p in world.data.projects.values() if p.row["identifier"] == "PROP"]:
            del world.data.projects[project.row["id"]]
        world.clock.move(hours=24)
        after = await page(world, embed_path(world, "property"))
        assert re.search('aria-current="date"><time class="date" datetime="2026-11-24"', after.text)


async def test_a_page_is_as_fresh_as_its_feed() -> None:
    async with serving(CONFIG) as world:
        await page(world, embed_path(world, "property"))
        world.change("PROP", 12, name="Hand over both keys")
        world.clock.move(61)
        answer = await page(world, embed_path(world, "property"))
        assert "Hand over both keys" in words(answer)
        assert "Last read from Plane: Nov 23, 10:01" in words(answer)


async def test_the_items_of_a_feed_are_made_once_for_all_who_ask_at_a_time() -> None:
    async with serving(CONFIG) as world:
        views = FeedViews(world.service)
        made = await asyncio.gather(*(views.view("property") for _ in range(20)))
        assert len({id(view) for view in made}) == 1
        assert await views.view("property") is made[0]
        world.change("PROP", 12, name="Changed")
        world.clock.move(61)
        assert await views.view("property") is not made[0]


@pytest.mark.parametrize("items", [1, 10_000])
async def test_a_page_is_filled_in_once_while_it_is_of_the_same(items: int) -> None:
    pages = PageRenderer(Assets())
    made: list[str] = []

    def make() -> str:
        made.append("x")
        return f"page {len(made)}"

    class Sheet:
        """Something that pages are made of."""

    first, second = Sheet(), Sheet()
    asked = [("a", [first]), ("a", [first]), ("b", [first]), ("a", [second]), ("a", [second])]
    assert [await pages.once(key, of, items, make) for key, of in asked] == [
        *("page 1", "page 1", "page 2", "page 3", "page 3")
    ]
    assert set(await asyncio.gather(*(pages.once("c", [first], items, make) for _ in range(20)))) == {
        "page 4"
    }


@pytest.mark.parametrize("path_of", [embed_path, feed_path])
async def test_a_reader_who_asks_otherwise_gets_a_page_of_their_own(
    world: World, path_of: Callable[[World, str], str]
) -> None:
    path = path_of(world, "property")
    english, german = await page(world, path), await page(world, path, accept_language="de")
    assert ("Today" in words(english), "Heute" in words(english)) == (True, False)
    assert ("Today" in words(german), "Heute" in words(german)) == (False, True)
    assert (await page(world, path)).text == english.text
    assert (await page(world, f"{path}?theme=dark")).text != english.text


async def test_without_a_public_address_links_are_of_the_host_that_was_asked() -> None:
    async with serving(replace(CONFIG, public_url=None)) as world:
        for host in ("cal.example.com", "10.0.0.1:8765"):
            answer = await page(world, feed_path(world, "property"), host=host)
            assert f"://{host}/feeds/icsf_" in answer.text


async def test_what_pages_were_made_of_is_let_go_with_it() -> None:
    async with serving(CONFIG) as world:
        path, views = embed_path(world, "property"), world.app.state.site.views
        await page(world, path)
        held = ref(await views.view("property"))
        world.change("PROP", 12, name="Changed")
        world.clock.move(61)
        await page(world, f"{path}?view=week")
        gc.collect()
        assert held() is None


@pytest.mark.parametrize("query", ["x=", "lang=", "label=a&theme=", "view=week&date=2026-11-23&refresh="])
async def test_what_clients_add_to_an_address_is_in_no_link_of_its_page(world: World, query: str) -> None:
    path = embed_path(world, "property")
    answer = await page(world, f"{path}?{query}{'z' * 6_000}")
    assert (answer.status_code, "zzz" in answer.text) == (200, False)


@pytest.mark.parametrize("length", [1_900, 2_400, 6_000])
async def test_a_choice_longer_than_any_link_is_told_so(world: World, length: int) -> None:
    query, fits = f"?lang=en&label={'z' * length}", length < 2_000
    answer = await page(world, feed_path(world, "property") + query)
    assert answer.status_code == (200 if fits else 400)
    said = "more than 200 characters" if fits else "The value of “label” is not valid."
    assert said in words(answer)
    assert ("Scan to open" in words(answer)) is not fits, "a code of so many characters cannot be read"
    for path in (embed_path(world, "property"), world.path("property")):
        assert (await page(world, path + query)).status_code == (200 if fits else 400)


@pytest.mark.parametrize(("host", "refused"), [("", False), ("x:y", True), ("[::1", True)])
async def test_a_host_that_is_none_does_not_take_a_page_down(world: World, host: str, refused: bool) -> None:
    for path, status in (
        (feed_path(world, "property"), 200),
        (embed_path(world, "property"), 200),
        ("/x", 404),
    ):
        assert (await page(world, path, host=host)).status_code == (400 if refused else status)


# What pages keep to themselves


@pytest.mark.parametrize("name", ["front", "feed", "embed", "missing", "revoked", "bad"])
async def test_every_page_allows_only_our_own_files_and_nothing_to_be_sent(world: World, name: str) -> None:
    path = {
        "front": "/",
        "feed": feed_path(world, "property"),
        "embed": embed_path(world, "property"),
        "missing": "/feeds/x/y",
        "revoked": feed_path(world, "team", "carl"),
        "bad": f"{embed_path(world, 'property')}?days=x",
    }[name]
    answer = await page(world, path)
    rules = policy(answer)
    framed = f"{INTRANET} 'self'" if path.startswith("/embed") else "'none'"
    assert rules == {
        # The page of a feed shows its own frame.
        **({"frame-src": "'self'"} if name == "feed" else {}),
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": framed,
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("x-robots-tag") == (None if name == "front" else "noindex, nofollow")
    assert answer.headers["cache-control"] in ("private, no-cache", "no-store")
    assert not {"set-cookie", "x-frame-options"} & set(answer.headers)
    markup = re.sub(r"(?s)<textarea.*?</textarea>", "", answer.text)
    assert re.findall(r"<script(?! src=\")|\son\w+=|\sstyle=|<style|javascript:", markup) == []


async def test_a_frame_is_allowed_nowhere_unless_it_is_configured() -> None:
    async with serving(settings(FEEDS)) as world:
        answer = await page(world, embed_path(world, "property"))
        assert policy(answer)["frame-ancestors"] == "'none'"
        shown = await page(world, feed_path(world, "property"))
        assert "<iframe" not in unescape(shown.text)
        assert "embed: frame_ancestors in the configuration" in words(shown)
        assert 'name="embed_' not in shown.text
        assert "frame-src" not in policy(shown)


async def test_titles_hold_no_token_and_frames_no_token_of_the_feed(world: World) -> None:
    for feed in FEEDS:
        if feed not in ("off", "lost"):
            for path in (feed_path(world, feed), embed_path(world, feed)):
                found = re.search("<title>(.*?)</title>", (await page(world, path)).text)
                assert found is not None
                assert "icsf_" not in found[1]
    for view in VIEWS:
        text = (await page(world, f"{embed_path(world, 'property')}?view={view}")).text
        assert "icsf_" not in text
        assert ".ics" not in text


async def test_a_busy_feeds_pages_say_nothing_that_its_ics_hides(world: World) -> None:
    paths = [feed_path(world, "busy"), *(f"{embed_path(world, 'busy')}?view={view}" for view in VIEWS)]
    for path in paths:
        answer = await page(world, path)
        said = answer.text.replace("icsf_", "")
        for secret in ("Rent increase", "In Progress", "anna", "clara", "Heating", "plane.example.com"):
            assert secret not in said
        assert not re.search("#[ps]-", said.split("</svg>", 1)[1])
    assert words(await page(world, f"{embed_path(world, 'busy')}?view=agenda")).count("Busy") >= 10


async def test_a_busy_feed_cannot_be_probed_through_its_pages(world: World) -> None:
    for query in ("priority=urgent", "state=started", "assignee=anna", "done=drop", "dates=span"):
        assert (await page(world, f"{embed_path(world, 'busy')}?{query}")).status_code == 400
        answer = await page(world, f"{feed_path(world, 'busy')}?{query}")
        assert (answer.status_code, "20 items" in words(answer)) == (400, True)


@pytest.mark.parametrize("details", ["full", "brief", "title"])
async def test_people_are_named_only_where_the_ics_names_them(details: str) -> None:
    feeds = {"property": Feed(project="PROP", details=details)}  # type: ignore[arg-type]
    async with serving(settings(feeds)) as world:
        found = [await page(world, path(world, "property")) for path in (feed_path, embed_path)]
        calendar = (await world.get("property")).text
        assert ("clara" in calendar) == (details == "full")
        assert [("clara" in answer.text) for answer in found] == [details == "full"] * 2
        assert [("In Review" in answer.text) for answer in found] == [details != "title"] * 2


NASTY = "<script>alert(1)</script>\" onmouseover=x '{{7*7}}'"


async def test_whatever_an_issue_is_called_it_is_text() -> None:
    async with serving(CONFIG) as world:
        world.change("PROP", 12, name=NASTY)
        for path in (
            feed_path(world, "property"),
            *(f"{embed_path(world, 'property')}?view={v}" for v in VIEWS),
        ):
            text = (await page(world, path)).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34; onmouseover=x &#39;{{7*7}}&#39;" in text


# Language, theme, days


@pytest.mark.parametrize(
    ("query", "accept", "language", "today"),
    [
        ("", "", "en", "Today"),
        ("", "de-AT,de;q=0.9", "de-AT", "Heute"),
        ("?lang=de", "en", "de", "Heute"),
        ("?lang=en-GB", "de", "en-GB", "Today"),
        ("?lang=sv", "de", "de", "Heute"),
        ("?lang=fr-CA", "de", "fr-CA", "Aujourd’hui"),
        ("", "pl,en;q=0.5", "pl", "Dzisiaj"),
    ],
)
async def test_pages_speak_as_they_are_asked(
    world: World, query: str, accept: str, language: str, today: str
) -> None:
    named = {"accept_language": accept} if accept else {}
    for path in (feed_path(world, "property"), embed_path(world, "property")):
        answer = await page(world, path + query, **named)
        assert f'<html lang="{language}"' in answer.text
        assert today in words(answer)


async def test_a_feeds_own_language_is_the_default(world: World) -> None:
    assert '<html lang="de"' in (await page(world, feed_path(world, "german"))).text
    assert '<html lang="en"' in (await page(world, f"{embed_path(world, 'german')}?lang=en")).text


@pytest.mark.parametrize(("lang", "first"), [("en-US", "Sunday"), ("en-GB", "Monday"), ("de", "Montag")])
async def test_weeks_start_as_the_region_has_it(world: World, lang: str, first: str) -> None:
    for view in ("month", "week"):
        answer = await page(world, f"{embed_path(world, 'property')}?lang={lang}&view={view}")
        assert re.findall('<abbr title="(.*?)">', answer.text)[0] == first


@pytest.mark.parametrize("week", ["monday", "saturday", "Sunday", "friday", "7"])
async def test_a_week_can_start_on_another_day(world: World, week: str) -> None:
    first = week.title() if week.lower() in ("monday", "saturday", "sunday") else "Monday"
    for path in (embed_path(world, "property"), feed_path(world, "property")):
        answer = await page(world, f"{path}?lang=en-GB&week={week}&date=2026-11-25")
        assert re.findall('<th scope="col"><abbr title="(.*?)">', answer.text)[0] == first
        shown = re.findall('<time class="date" datetime="(.*?)"', answer.text)
        assert shown[0] == {"Monday": "2026-10-26", "Saturday": "2026-10-31", "Sunday": "2026-11-01"}[first]
        links = [unescape(href) for href in re.findall(r'href="(\?[^"]*date=[^"]*)"', answer.text)]
        assert links
        assert all(f"week={week}" in link for link in links)


async def test_today_is_the_day_in_the_configured_zone() -> None:
    async with serving(replace(CONFIG, timezone="Pacific/Auckland")) as world:
        world.clock.move(hours=3)
        for view in ("month", "week"):
            answer = await page(world, f"{embed_path(world, 'property')}?view={view}")
            assert re.search('aria-current="date"><time class="date" datetime="2026-11-24"', answer.text)
        assert "Last read from Plane: Nov 24, 2:00" in words(answer)
        answer = await page(world, feed_path(world, "property"))
        assert "(Auckland time)" in words(answer)
        assert answer.text.count("Auckland") == answer.text.count("Last read") == 1


async def test_a_theme_can_be_asked_for(world: World) -> None:
    for theme, given_ in (("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ("x", "")):
        answer = await page(world, f"{embed_path(world, 'property')}?theme={theme}")
        assert f'<html lang="en" dir="ltr"{given_}>' in answer.text


async def test_the_ways_on_a_page_keep_what_was_asked(world: World) -> None:
    path = f"{embed_path(world, 'plan')}?view=week&lang=de&theme=dark&priority=high,urgent&skip=5"
    hrefs = [unescape(href) for href in re.findall(r'href="(\?[^"]*)"', (await page(world, path)).text)]
    assert len(hrefs) >= 6
    assert all("lang=de" in href and "theme=dark" in href for href in hrefs)
    # The legend's own link shows everything again.
    assert len([href for href in hrefs if "priority=high,urgent" not in href]) == 1
    assert not [href for href in hrefs if "skip" in href and "refresh=off" not in href]
    assert {"date=2026-11-16", "date=2026-11-30"} <= {
        part for href in hrefs for part in href.strip("?").split("&")
    }


async def test_narrowing_narrows_pages_as_it_narrows_the_feed(world: World) -> None:
    query = "?priority=urgent&lang=en"
    calendar = await world.get("property", query)
    embedded = words(await page(world, f"{embed_path(world, 'property')}{query}&view=agenda&date=2026-11-01"))
    assert re.findall(r"\[\d+\]", embedded) == ["[1]"]
    assert event(calendar.content, "PROP", 1) is not None
    shown = words(await page(world, feed_path(world, "property") + query))
    assert "1 of 20 items" in shown


async def test_an_empty_page_leads_to_the_next_item(world: World) -> None:
    answer = await page(world, f"{embed_path(world, 'property')}?date=2026-05-01")
    assert "Nothing is due in this period. Next item: Sunday, November 8, 2026" in words(answer)
    last = await page(world, f"{embed_path(world, 'property')}?date=2031-05-01")
    assert words(last).count("Nothing is due in this period.") == 1
    assert "Next item" not in words(last)


async def test_done_items_are_shown_as_the_feed_has_them() -> None:
    for done, struck, there in (
        ("cancelled", True, True),
        ("keep", False, True),
        ("check", False, True),
        ("drop", False, False),
    ):
        async with serving(settings({"property": Feed(project="PROP", done=done)})) as world:  # type: ignore[arg-type]
            text = (await page(world, embed_path(world, "property"))).text
            assert ("Chimney sweep" in text) is there
            assert bool(re.search('class="chip[^"]* done"', text)) is struck
            assert ("✓ [15] Chimney sweep" in text) is (done == "check")


# The page of a feed


async def test_a_page_has_the_links_of_the_person_whose_link_it_is(world: World) -> None:
    for subscriber in ("", "anna", "ben"):
        text = unescape((await page(world, feed_path(world, "team", subscriber))).text)
        own = world.service.links.addresses("team", HOST, subscriber)
        assert f'value="{own["ics"]}"' in text
        address = own["ics"].removeprefix("https:")
        assert f'href="webcals:{address}"' in text
        assert f'href="webcal:{address}"' in text
        assert own["embed"] in text
        tokens = set(re.findall(r"icsf_[a-z2-7]{26}", text))
        links = world.service.links
        assert tokens == {links.token("team", subscriber), links.token("team", subscriber, "embed")}


async def test_every_app_is_opened_by_the_link_that_it_knows(world: World) -> None:
    """Thunderbird and Android make plain http of webcal: on https only apps get it that know no other."""
    text = (await page(world, feed_path(world, "team"))).text
    links = re.findall(r'<li><a class="button[^"]*" href="([^"]*)"[^>]*>([^<]*)<', text)
    ics = world.service.links.addresses("team", HOST)["ics"]
    webcal, asked = ics.replace("https", "webcal"), f"addfromweb?url={quote(ics, safe='')}&name=Operations"
    assert {name: unescape(href) for href, name in links} == {
        "Apple Calendar": webcal,
        "Google Calendar": f"https://calendar.google.com/calendar/r?cid={quote(webcal, safe='')}",
        "Outlook 365": f"https://outlook.office.com/calendar/0/{asked}",
        "Outlook.com": f"https://outlook.live.com/calendar/0/{asked}",
        "Thunderbird": ics.replace("https", "webcals"),
        "ICSx⁵ (Android)": ics.replace("https", "webcals"),
        "DAVx⁵ (Android)": f"davx5://team:{world.service.links.token('team')}@cal.example.com/dav/",
        "Profile for iPhone and iPad": ics.replace(".ics", ".mobileconfig"),
        "Account for iPhone, iPad and Mac": ics.replace(".ics", ".mobileconfig?account=caldav"),
        "Download as a file": ics,
    }
    assert text.index("outlook.live.com") < text.index('id="calendar"'), "at the top"


async def test_the_links_for_the_own_device_are_first_and_all_others_follow(world: World) -> None:
    path, firsts = feed_path(world, "team"), {"iPhone; CPU": "Profile for", "X11; Linux": "Thunderbird"}
    for _ in range(2):  # the second time from the cache of rendered pages
        for agent, first in firsts.items():
            answer = await world.ask("GET", path, accept="text/html", user_agent=f"Mozilla/5.0 ({agent})")
            names = re.findall(r'<li><a class="button[^"]*"[^>]*>([^<]*)<', answer.text)
            assert names[0].startswith(first)
            assert len(names) == 10
            assert answer.text.index("Other apps") < answer.text.index("Outlook 365")
            assert answer.headers["vary"] == "Accept-Encoding, User-Agent, Sec-CH-UA-Platform"


async def test_a_public_feeds_page_says_that_it_is_public(world: World) -> None:
    text = words(await page(world, "/feeds/open"))
    assert "This calendar is public" in text
    assert "icsf_" not in text


async def test_the_builder_makes_the_link_of_a_choice(world: World) -> None:
    query = "priority=urgent&priority=high&label=&days=14&component=&lang=de&from=&alarm=-PT15H"
    text = unescape((await page(world, f"{feed_path(world, 'property')}?{query}")).text)
    link = f"{HOST}{world.path('property')}?priority=urgent,high&days=14&alarm=-PT15H"
    assert text.count(f'value="{link}"') == 2
    assert link.replace("https", "webcals") in text
    assert len(link) < 200
    assert (await world.client.get(link)).status_code == 200
    for checked in (
        'value="urgent" checked',
        'value="high" checked',
        'value="-PT15H" selected',
        'value="14"',
    ):
        assert checked in text
    assert '<input type="hidden" name="lang" value="de">' in text


async def test_sending_the_form_on_never_widens_what_is_shown(world: World) -> None:
    query = "?label=!electrical&cycle=Sprint 4&priority=high&lang=de&alarm=PT9H,-P3D"
    text = (await page(world, feed_path(world, "plan") + query)).text
    for field, value in (("label", "!electrical"), ("cycle", "Sprint 4"), ("alarm", "PT9H,-P3D")):
        assert f'name="{field}" value="{value}" checked>' in text
    assert text.count(" checked>") == 4
    assert '<option value="PT9H" selected' not in text
    refused = (await page(world, f"{feed_path(world, 'plan')}{query}&days=x")).text
    assert "Sprint 4" not in refused, "what cannot be used is not asked for again"


async def test_a_link_that_apps_would_cut_is_not_offered(world: World) -> None:
    labels = "&".join(f"label=a label of many letters {number}" for number in range(9))
    answer = await page(world, f"{feed_path(world, 'property')}?{labels}")
    assert "more than 200 characters" in words(answer)
    assert "webcal:" not in answer.text
    assert not [value for value in re.findall('value="(https[^"]*)"', answer.text) if len(value) > 200]


async def test_the_page_shows_how_to_put_it_on_a_page(world: World) -> None:
    text = unescape(unescape((await page(world, feed_path(world, "property"))).text))
    embed = HOST + embed_path(world, "property")
    assert f'<iframe src="{embed}" title="Property issues" width="100%" height="1040"' in text
    assert f'<iframe class="preview" src="{embed_path(world, "property")}"' in text


async def test_the_code_for_a_page_is_as_it_is_chosen(world: World) -> None:
    chosen = {"view": "week", "lang": "de", "theme": "dark", "week": "sunday"}
    query = "&".join(f"embed_{name}={value}" for name, value in chosen.items())
    path = f"{feed_path(world, 'property')}?priority=high&lang=en&{query}&embed_height=700"
    answer = await page(world, path)
    text = unescape(unescape(answer.text))
    embed = f"{embed_path(world, 'property')}?priority=high&view=week&lang=de&theme=dark&week=sunday"
    assert f'<iframe src="{HOST}{embed}" title="Property issues" width="100%" height="700"' in text
    assert f'<iframe class="preview" src="{embed}" title="Preview: Property issues" height="700"' in text
    assert f'<a href="{HOST}{embed}">Open the embeddable calendar' in text
    for value in chosen.values():
        assert f'<option value="{value}" selected>' in text
    frame = (await page(world, embed)).text
    assert '<html lang="de" dir="ltr" data-theme="dark">' in frame
    assert re.findall('<abbr title="(.*?)">', frame)[0] == "Sonntag"
    # The page itself stays as its reader has it, and its other links keep the choices.
    assert '<html lang="en" dir="ltr">' in text
    ways = [unescape(href) for href in re.findall(r'href="(\?[^"]*)"', answer.text)]
    assert len(ways) >= 5
    asked = set(query.split("&"))
    assert [way for way in ways if not asked <= set(re.split("[?&#]", way))] == []
    assert 'type="hidden" name="embed_' not in text


async def test_a_choice_for_a_page_that_cannot_be_used_is_none(world: World) -> None:
    bad = "embed_view=year&embed_lang=xx&embed_theme=pink&embed_week=8&embed_height=9e9"
    answer = await page(world, f"{feed_path(world, 'property')}?{bad}")
    assert answer.status_code == 200
    assert f'src="{embed_path(world, "property")}" title="Preview' in answer.text
    assert 'height="1040"' in answer.text


async def test_the_preview_comes_from_the_server_that_the_page_came_from() -> None:
    async with serving(replace(CONFIG, public_url="https://other.example.com/cal")) as world:
        embed = embed_path(world, "property")
        for host in ("other.example.com", "localhost"):
            text = unescape((await page(world, feed_path(world, "property"), host=host)).text)
            assert f'class="preview" src="/cal{embed}"' in text
            assert f'src="https://other.example.com/cal{embed}"' in unescape(text)


async def test_a_page_begins_with_subscribing_and_ends_with_what_few_need(world: World) -> None:
    text = (await page(world, feed_path(world, "property"))).text
    order = ("<h1>", 'id="subscribe"', 'id="others"', 'id="next"', 'id="calendar"', 'id="build"', 'id="put"')
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("agent", "codes", "steps"),
    [
        ("X11; Linux x86_64", 2, ["thunderbird", "google"]),
        ("Windows NT 10.0", 2, ["outlook-web", "outlook", "google"]),
        ("Macintosh; Intel Mac OS X", 2, ["apple"]),
        ("iPhone; CPU iPhone OS 26_1", 0, ["ios"]),
        ("Linux; Android 10; K", 0, ["android", "google"]),
        ("X11; CrOS", 2, []),
    ],
)
async def test_a_phone_gets_no_codes_and_everyone_the_steps_for_their_own_apps_first(
    world: World, agent: str, codes: int, steps: list[str]
) -> None:
    answer = await world.ask(
        "GET", feed_path(world, "team"), accept="text/html", user_agent=f"Mozilla/5.0 ({agent})"
    )
    assert answer.text.count('class="qr"') == codes
    first, _, others = answer.text.partition('id="others"')
    assert re.findall('id="app-(.*?)"', first) == steps
    assert len(re.findall('id="app-(.*?)"', others)) == 9 - len(steps)
    assert others.startswith(" open>") is (not steps)


async def test_the_page_has_steps_and_an_honest_line_for_each_app(world: World) -> None:
    said = words(await page(world, feed_path(world, "property")))
    for app in (
        *("Google Calendar", "Outlook on the web", "Outlook on the desktop", "Apple Calendar on the Mac"),
        *("iPhone and iPad", "Thunderbird", "Android (ICSx⁵)", "Nextcloud", "Home Assistant"),
    ):
        assert app in said
    assert said.count("Updates ") == 9
    assert "every few hours; this cannot be changed" in said


async def test_the_page_lists_what_is_overdue_and_what_comes_next(world: World) -> None:
    said = words(await page(world, feed_path(world, "property")))
    assert "1 overdue" in said
    assert "[1] Renew the insurance of house 7" in said
    assert said.index("Coming up") < said.rindex("[13] Flat viewing with the agent")


async def test_undated_tasks_are_listed_after_all_others(world: World) -> None:
    said = words(await page(world, f"{embed_path(world, 'tasks')}?view=agenda"))
    assert said.index("No date") < said.index("Think about solar panels")


async def test_a_cycle_is_a_bar_over_its_weeks(world: World) -> None:
    text = (await page(world, f"{embed_path(world, 'plan')}?view=week")).text
    assert re.search(r'<li class="r\d d7 cb"><a class="chip cycle"', text)
    assert re.search(r'<li class="r\d d7 cb ca"><a class="chip module"', text)


# The address of the server


@pytest.mark.parametrize(
    "public_url", ["https://www.example.com/tools/cal", "https://x/feeds", "https://x/embed"]
)
async def test_pages_work_behind_a_prefix(public_url: str) -> None:
    config = replace(CONFIG, public_url=public_url)
    prefix = "/" + public_url.split("/", 3)[3]
    async with serving(config) as world:
        for path in (feed_path(world, "property"), embed_path(world, "property"), "/", "/feeds/x/y"):
            kept, stripped = await page(world, prefix + path), await page(world, path)
            assert (kept.status_code, kept.text) == (stripped.status_code, stripped.text)
            files = re.findall('(?:href|src)="([^"]*/static/[^"]*)"', kept.text)
            assert len(files) >= 3
            for file in files:
                assert file.startswith(f"{prefix}/static/")
                assert (await world.ask("GET", file)).status_code == 200
        text = (await page(world, prefix + feed_path(world, "property"))).text
        assert f'value="{public_url}{world.path("property")}"' in text


async def test_our_files_may_be_kept_for_ever_and_are_found_by_what_is_in_them(world: World) -> None:
    text = (await page(world, feed_path(world, "property"))).text + (
        await page(world, embed_path(world, "property"))
    ).text
    files = set(re.findall('(?:href|src)="(/static/[^"]*)"', text))
    assert {file.split(".")[-1] for file in files} == {"css", "js", "svg"}
    for file in files:
        answer = await world.ask("GET", file)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].split(";")[0] in (
            "text/css",
            "text/javascript",
            "image/svg+xml",
        )
        assert re.fullmatch(r"/static/\w+\.[0-9a-f]{16}\.\w+", file)
        assert re.findall(r"https?:|//[a-z]", answer.text.replace("http://www.w3.org/2000/svg", "")) == []
    for wrong in ("/static/pages.css", "/static/pages.0000000000000000.css", "/static/../web.py"):
        assert (await world.ask("GET", wrong)).status_code == 404


async def test_a_month_of_ten_thousand_issues_is_a_small_page() -> None:
    feeds = {"due": Feed(project="WEB"), "span": Feed(project="WEB", dates="span")}
    async with serving(settings(feeds), issues=10_000) as world:
        for feed in feeds:
            for view in VIEWS:
                answer = await page(world, f"{embed_path(world, feed)}?view={view}")
                assert answer.status_code == 200
                assert len(answer.content) < 100_000
        month = words(await page(world, embed_path(world, "due")))
        assert re.search(r"\+\d+ more", month)


# The front page


async def test_the_front_page_is_for_browsers_and_names_no_feed(world: World) -> None:
    answer = await page(world, "/")
    assert "Project deadlines in your calendar" in words(answer)
    assert answer.headers["vary"] == "Accept-Encoding, Accept"
    for secret in ("icsf_", "property", "Everything", "PROP", "anna", "Acme", "plane.example.com"):
        assert secret not in answer.text
    plain = await world.ask("GET", "/", accept="application/json")
    assert (plain.json()["name"], plain.headers["vary"]) == ("icsfeed", "Accept-Encoding, Accept")


async def test_the_front_page_says_whether_the_server_is_well() -> None:
    async with serving(quick(CONFIG)) as world:
        world.faults.add("", f.server_error(), None)
        assert "Some calendars cannot be updated right now" in words(await page(world, "/"))
    async with serving(CONFIG) as world:
        await world.get("open")
        assert "All calendars are up to date" in words(await page(world, "/"))
        world.faults.add("", f.server_error(), None)
        world.clock.move(61)
        await world.get("open")
        assert "Some calendars cannot be updated right now" in words(await page(world, "/"))
