"""People at work: by keyboard, by mouse, without scripts, in frames of other pages."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from browser.conftest import Site
from browser.world import NOW, Served, Visit, browser_config, odd_sample, serving_browsers
from icsfeed.demo.settings import ADMIN_TOKEN
from icsfeed.own_links.registry import OwnLinks
from icsfeed.store.store import open_store

Open = Callable[..., Visit]

ADMIN = {"username": "admin", "password": ADMIN_TOKEN}

FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    const all = [...document.querySelectorAll("a, summary, button, input, select, textarea")];
    return {tag: one.tagName, place: all.indexOf(one),
            name: (one.ariaLabel || (one.labels?.[0] || one).textContent).trim(),
            ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
            seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight};
}"""


def walked(page: Page, steps: int) -> list[dict[str, Any]]:
    """Where the focus is after each press of Tab, until it leaves the page."""
    found = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        focus: dict[str, Any] = page.evaluate(FOCUSED)
        if focus["tag"] in ("BODY", "HTML"):
            break
        found.append(focus)
    return found


def answering(page: Page, url: str, status: int, body: str) -> None:
    """From now on this address answers so; status 0: there is no connection."""

    def answer(route: Route) -> None:
        if status:
            route.fulfill(status=status, body=body, content_type="text/html")
        else:
            route.abort()

    page.route(f"{url}*", answer)


# By keyboard


@pytest.mark.parametrize("view", ["month", "week", "agenda", "timeline"])
def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(
    served: Served, visit: Open, view: str
) -> None:
    page = visit(f"{served.embed('few')}?view={view}").page
    reachable = page.locator("a:visible, summary:visible, input:visible").count()
    found = walked(page, reachable + 5)
    assert len(found) == reachable > 8
    assert [focus["place"] for focus in found] == sorted(focus["place"] for focus in found)
    for focus in found:
        assert focus["name"]
        assert focus["ring"]
        assert focus["seen"]


def test_more_is_opened_and_closed_by_keyboard(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('many')}?view=month").page
    more = page.locator(".over summary").first
    inside = page.locator(".over details").first.locator("a").first
    more.focus()
    expect(inside).not_to_be_visible()
    page.keyboard.press("Enter")
    expect(inside).to_be_visible()
    page.keyboard.press("Tab")
    expect(inside).to_be_focused()
    more.focus()
    page.keyboard.press("Space")
    expect(inside).not_to_be_visible()


def test_months_are_walked_by_keyboard(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('few')}?lang=en").page
    expect(page.locator("h1")).to_have_text("November 2026")
    page.get_by_role("link", name="Next month").press("Enter")
    expect(page.locator("h1")).to_have_text("December 2026")
    page.get_by_role("link", name="Previous month").press("Enter")
    page.get_by_role("link", name="Previous month").press("Enter")
    expect(page.locator("h1")).to_have_text("October 2026")
    page.get_by_role("link", name="Today", exact=True).press("Enter")
    expect(page.locator("h1")).to_have_text("November 2026")
    page.get_by_role("link", name="Agenda").press("Enter")
    expect(page.locator("h1")).to_contain_text("25 Nov")


def test_the_first_tab_leads_past_the_top_of_a_page(served: Served, visit: Open) -> None:
    page = visit(served.page("few")).page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_month_is_a_table_with_days_for_those_who_hear_it(served: Served, visit: Open) -> None:
    for width in (360, 1200):
        seen = visit(f"{served.embed('many')}?lang=en", viewport={"width": width, "height": 800})
        table = seen.page.get_by_role("table", name="November 2026")
        assert table.get_by_role("columnheader", include_hidden=True).count() == 7
        assert table.get_by_role("row").count() >= 5
        today = table.locator("[aria-current=date]")
        assert "Wed" in (today.locator("time").text_content() or "")
    assert seen.page.get_by_role("main").count() == 1
    assert seen.page.get_by_role("navigation", name="Calendar").count() == 1


def test_a_span_says_until_when_it_goes_however_short_its_bar_is(served: Served, visit: Open) -> None:
    for width, view in ((1200, "month"), (1200, "week")):
        size = {"width": width, "height": 800}
        page = visit(f"{served.embed('many')}?lang=en&view={view}", viewport=size).page
        spans = page.locator(".grid .chip:has(.to)").filter(visible=True).all()
        assert len(spans) >= 3
        for span in spans:
            expect(span).to_have_accessible_name(re.compile(r"until \d+ \w+"))
    assert page.locator("li:not(.d3, .d4, .d5, .d6, .d7) > .chip:has(.to)").count() >= 1


BEGINNING = """link => {
    const range = document.createRange(), box = link.getBoundingClientRect();
    range.setStart(link.querySelector("bdi").firstChild, 0);
    range.setEnd(link.querySelector("bdi").firstChild, 1);
    const letter = range.getBoundingClientRect();
    return letter.width > 0 && letter.left >= box.left && letter.right <= box.right;
}"""


def test_a_title_that_is_cut_begins_where_it_begins_whichever_way_it_is_written(
    served: Served, visit: Open
) -> None:
    for width, view in ((1200, "month"), (1200, "week"), (900, "month")):
        size = {"width": width, "height": 800}
        page = visit(f"{served.embed('rtl')}?lang=en&view={view}", viewport=size).page
        titles = page.locator(".grid li > .chip").filter(visible=True)
        assert titles.count() >= 2
        assert all(title.evaluate(BEGINNING) for title in titles.all())


def test_what_goes_on_from_the_month_before_is_there_on_a_phone_too(served: Served, visit: Open) -> None:
    # November 2026 begins on a Sunday: with weeks from Monday, six days of October come before it.
    name = re.compile(r"Begun in October[\s\S]*due 1 Nov")
    url = f"{served.embed('few')}?lang=en-GB&date=2026-11-01"
    page = visit(url, viewport={"width": 360, "height": 800}).page
    expect(page.locator(".below li").filter(has_text=name)).to_be_visible()


@pytest.mark.parametrize("view", ["month", "week"])
def test_on_a_phone_each_day_leads_to_a_list_of_all_that_is_on_it(
    served: Served, visit: Open, view: str
) -> None:
    url = f"{served.embed('many')}?lang=en&view={view}"
    page = visit(url, viewport={"width": 360, "height": 800}, java_script_enabled=False).page
    assert page.get_by_text(re.compile(r"^\+\d+ more")).filter(visible=True).count() == 0
    days = page.locator("td:not(.other) > a.go")
    assert days.count() == page.locator("td:not(.other):has(li)").count() or view == "month"
    for number in range(0, days.count(), 5):
        name = days.nth(number).locator(".vh").text_content() or ""
        days.nth(number).click()
        expect(days.nth(number)).to_have_attribute("aria-current", "true")
        listed = page.locator(".below section").first.locator("li").filter(visible=True)
        assert int(name.partition(": ")[2].split()[0]) == listed.count()
        assert all(title.strip() for title in listed.locator(".title").all_inner_texts())


def test_the_width_of_the_frame_decides_and_not_that_of_the_window(
    served: Served, visit: Open, intranet: Site
) -> None:
    for width, is_list in ((360, True), (900, False)):
        frame = f'<iframe src="{served.embed("many")}" title="x" width="{width}" height="800"></iframe>'
        inside = visit(intranet.put("/narrow", frame)).page.frame_locator("iframe")
        expect(inside.locator(".below")).to_be_visible(visible=is_list)
        expect(inside.locator(".grid .chip").first).to_be_visible(visible=not is_list)


LETTERS = """() => [
    ...document.querySelectorAll(".month td > ul > li:not([class*=' d'], .over) > .chip")
].map(chip => {
    const box = chip.getBoundingClientRect(), text = chip.querySelector("bdi").firstChild;
    const seen = [...text.data].filter((_, at) => {
        const range = document.createRange();
        range.setStart(text, at);
        range.setEnd(text, at + 1);
        const letter = range.getBoundingClientRect();
        return letter.width && letter.right <= box.right && letter.bottom <= box.bottom + 1;
    });
    return [seen.length, text.data.trim().length];
})"""


@pytest.mark.parametrize("width", [1440, 1024])
def test_titles_in_a_month_on_the_page_of_a_feed_can_be_read(served: Served, visit: Open, width: int) -> None:
    page = visit(f"{served.page('many')}?lang=en", viewport={"width": width, "height": 900}).page
    titles = page.evaluate(LETTERS)
    assert len(titles) > 10
    assert all(seen >= min(length, 14) for seen, length in titles)


def test_items_open_in_plane_in_a_tab_that_learns_nothing(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('few')}?view=agenda").page
    for link in page.locator("a.title").all():
        assert (link.get_attribute("href") or "").startswith("https://plane.example.com/acme-demo/projects/")
        assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener noreferrer")


# The page of a feed


def test_the_button_copies_the_link(served: Served, visit: Open) -> None:
    seen = visit(f"{served.page('few')}?lang=en", permissions=["clipboard-read", "clipboard-write"])
    seen.page.get_by_role("button", name="Copy").first.click()
    expect(seen.page.locator("#said")).to_have_text("Copied")
    assert seen.page.evaluate("navigator.clipboard.readText()") == served.ics("few")
    expect(seen.page.get_by_role("button", name="Copy", exact=True).first).to_be_visible()
    assert seen.said == []


def test_the_button_copies_where_there_is_no_clipboard_of_the_new_kind(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en").page
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.evaluate("addEventListener('copy', () => { window.copied = getSelection().toString() })")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("window.copied") == served.ics("few")


def test_the_calendar_can_be_saved_as_a_file(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en").page
    page.get_by_text("Other apps").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as a file").click()
    assert download.value.suggested_filename == "few.ics"
    assert Path(download.value.path()).read_bytes().startswith(b"BEGIN:VCALENDAR")


def test_the_builder_shows_its_effect_at_once(served: Served, visit: Open) -> None:
    seen = visit(f"{served.page('few')}?lang=en")
    page = seen.page
    expect(page.locator("#sum")).to_contain_text("9 items")
    page.get_by_label("High").check()
    expect(page.locator("#sum")).to_contain_text("2 of 9 items")
    expect(page.locator("#ics")).to_have_value(f"{served.ics('few')}?priority=high")
    expect(page.locator("#built")).to_contain_text("2 of 9 items")
    expect(page.locator("#openers .button").last).to_have_attribute(
        "href", f"{served.ics('few')}?priority=high"
    )
    expect(page.get_by_label("High")).to_be_focused()
    page.get_by_label("Reminder").select_option("-PT15H")
    expect(page.locator("#ics")).to_have_value(f"{served.ics('few')}?priority=high&alarm=-PT15H")
    assert "priority=high" in page.url
    page.locator("#built").get_by_role("button", name="Copy").click()
    expect(page.locator("#said")).to_have_text("Copied")
    page.reload()
    expect(page.get_by_label("High")).to_be_checked()
    assert seen.said == []


def test_the_builder_says_what_cannot_be_used_and_recovers(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en").page
    page.get_by_label("From").fill("2026-12-31")
    page.get_by_label("Until").fill("2026-12-01")
    page.get_by_label("Until").dispatch_event("change")
    expect(page.get_by_role("alert")).to_contain_text("The value of “to” is not valid.")
    page.get_by_label("Until").fill("2027-12-01")
    page.get_by_label("Until").dispatch_event("change")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("#sum")).to_contain_text("of 9 items")


def test_a_page_shows_the_frame_as_its_author_chooses_it(served: Served, visit: Open) -> None:
    seen = visit(f"{served.page('many')}?lang=en")
    page, inside = seen.page, seen.page.frame_locator("iframe.preview")
    page.locator("#embedding").scroll_into_view_if_needed()
    expect(inside.get_by_role("heading", name="November 2026")).to_be_visible()
    pickers = page.get_by_role("region", name="Embed in a web page")
    chosen = (("View", "view=timeline"), ("Language", "lang=de"), ("Colors", "theme=dark"))
    for label, parameter in (*chosen, ("Week starts on", "week=sunday")):
        picker = pickers.get_by_label(label, exact=True)
        picker.focus()
        picker.select_option(parameter.partition("=")[2])
        expect(page.locator("#snippet")).to_have_value(re.compile(parameter))
        expect(picker).to_be_focused()
    expect(inside.locator("html")).to_have_attribute("lang", "de")
    expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
    expect(inside.get_by_role("link", name="Zeitachse")).to_have_attribute("aria-current", "page")
    page.get_by_label("View", exact=True).select_option("")
    expect(inside.locator("th").first).to_have_text("So")
    page.get_by_label("Height in pixels").fill("500")
    page.get_by_label("Height in pixels").dispatch_event("change")
    expect(page.locator("iframe.preview")).to_have_attribute("height", "500")
    # What the filters choose is in the frame, and what a frame looks like is not in the feed.
    page.get_by_label("Urgent").check()
    expect(page.locator("#snippet")).to_have_value(re.compile(r"\?priority=urgent&amp;lang=de"))
    expect(page.locator("#ics")).to_have_value(f"{served.ics('many')}?priority=urgent")
    expect(page.locator("html")).to_have_attribute("lang", "en-GB")
    snippet = page.locator("#snippet").input_value()
    page.reload()
    expect(page.locator("#snippet")).to_have_value(snippet)
    assert seen.said == []


def test_language_and_reset_keep_what_was_chosen_since_the_page_was_loaded(
    served: Served, visit: Open
) -> None:
    page = visit(f"{served.page('few')}?lang=en").page
    page.get_by_label("High").check()
    page.get_by_label("View", exact=True).select_option("week")
    expect(page.locator("#snippet")).to_have_value(re.compile("priority=high&amp;view=week"))
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#sum")).to_contain_text(re.compile("^9 items"))
    expect(page.get_by_label("View", exact=True)).to_have_value("week")
    page.get_by_label("High").check()
    expect(page.locator("#sum")).to_contain_text("2 of 9 items")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.locator("#sum")).to_contain_text("2 von 9")


def test_choices_in_an_opened_list_of_apps_stay_open(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en").page
    page.locator("#others > summary").click()
    page.locator("#app-nextcloud summary").click()
    page.get_by_label("High").check()
    expect(page.locator("#openers .button").last).to_have_attribute("href", re.compile("priority=high"))
    expect(page.locator("#app-nextcloud ol")).to_be_visible()


PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def test_a_phone_sees_its_own_buttons_without_scrolling(served: Served, visit: Open) -> None:
    page = visit(
        f"{served.page('many')}?lang=de", user_agent=PHONE, viewport={"width": 360, "height": 640}
    ).page
    own = page.locator(".own .button")
    assert own.first.inner_text().startswith("Profil für iPhone und iPad")
    for button in own.all():
        box = button.bounding_box()
        assert box
        assert box["y"] + box["height"] <= 640
        assert box["height"] >= 48
    assert page.locator(".qr").count() == 0


def test_the_status_page_syncs_at_the_press_of_a_button(served: Served, visit: Open) -> None:
    page = visit(f"{served.url}/status?lang=en").page
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_role("status")).to_contain_text("sync")
    assert page.url.startswith(f"{served.url}/status?sync=")


def test_20_feeds_fit_on_a_screen_of_the_status_page_with_the_workspace(crowded: Served, visit: Open) -> None:
    screen = {"width": 1440, "height": 900}
    page = visit(f"{crowded.url}/status?lang=en", viewport=screen, http_credentials=ADMIN).page
    rows = page.locator("table.feeds tbody tr")
    assert rows.count() == 100
    twentieth = rows.nth(19).bounding_box()
    assert twentieth is not None
    assert twentieth["y"] + twentieth["height"] <= 900


def test_without_scripts_the_administrator_revokes_a_link(browser: Browser, tmp_path: Path) -> None:
    # In a thread: Playwright has a loop running in this one.
    made = Thread(target=lambda: asyncio.run(_made_links(tmp_path)))
    made.start()
    made.join()
    with serving_browsers(browser_config(), odd_sample(), tmp_path) as served:
        seen = Visit(browser, served, f"{served.url}/status?show=people&lang=en", java_script_enabled=False)
        page = seen.page
        page.get_by_role("link", name="anna@example.com", exact=True).click()
        page.get_by_role("link", name=re.compile("Revoke.*phone")).click()
        expect(page.get_by_role("listitem")).to_have_count(1)
        page.get_by_role("button", name="Revoke 1 link").click()
        expect(page.get_by_role("status")).to_have_text("1 link was revoked.")
        expect(page.get_by_role("row", name="phone").get_by_text("revoked")).to_be_visible()
        expect(page.get_by_role("row", name="tablet").get_by_text("in use")).to_be_visible()
        assert seen.said == []
        seen.context.close()


async def _made_links(folder: Path) -> None:
    store = open_store("file", {"STATE_DIRECTORY": str(folder)})
    own = OwnLinks(store, lambda: NOW)
    await own.make("anna@example.com", "phone", feed="few")
    await own.make("anna@example.com", "tablet")
    await store.close()


def test_without_scripts_the_status_page_is_searched_sorted_and_turned(crowded: Served, visit: Open) -> None:
    page = visit(f"{crowded.url}/status?lang=en", java_script_enabled=False, http_credentials=ADMIN).page
    names = page.locator("table.feeds tbody th a")
    page.get_by_role("link", name="Next").click()
    expect(names.first).to_have_text("Feed 0100")
    page.get_by_role("searchbox").fill("FEED-012")
    page.get_by_label("Show").select_option("Never read")
    page.get_by_role("button", name="Search").click()
    expect(names).to_have_count(10)
    page.get_by_role("link", name="Feed", exact=True).click()
    page.get_by_role("link", name="Feed", exact=True).click()
    assert page.get_by_role("columnheader", name="Feed").get_attribute("aria-sort") == "descending"
    expect(names.first).to_have_text("Feed 0129")
    names.first.click()
    expect(page.get_by_role("heading", name="Feed 0129")).to_be_visible()
    page.get_by_role("link", name="All feeds").click()
    expect(names).to_have_count(10)


# Without scripts


def test_without_scripts_the_page_of_a_feed_works(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en", java_script_enabled=False).page
    assert page.get_by_role("button", name="Copy").count() == 0
    expect(page.locator("#ics")).to_have_value(served.ics("few"))
    page.get_by_label("High").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#sum")).to_contain_text("2 of 9 items")
    expect(page.locator("#ics")).to_have_value(f"{served.ics('few')}?priority=high")
    expect(page.get_by_label("High")).to_be_checked()
    page.get_by_role("link", name="Next month").click()
    expect(page.get_by_role("heading", name="December 2026")).to_be_visible()
    expect(page.locator("#sum")).to_contain_text("2 of 9 items")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#sum")).to_contain_text("9 items")
    page.locator("#app-thunderbird summary").click()
    expect(page.get_by_text("Choose New Calendar and then On the Network.")).to_be_visible()
    page.get_by_role("link", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_without_scripts_a_frame_is_chosen_and_shown(served: Served, visit: Open) -> None:
    page = visit(f"{served.page('few')}?lang=en&priority=high", java_script_enabled=False).page
    page.get_by_label("View", exact=True).select_option("agenda")
    page.get_by_label("Colors").select_option("dark")
    page.get_by_label("Week starts on").select_option("saturday")
    page.get_by_label("Height in pixels").fill("600")
    page.get_by_role("button", name="Update").click()
    page.wait_for_url("**#embedding")
    address = f"{served.embed('few')}?priority=high&view=agenda&theme=dark&week=saturday"
    expect(page.get_by_role("link", name="Open the embeddable calendar")).to_have_attribute("href", address)
    expect(page.locator("iframe.preview")).to_have_attribute("height", "600")
    inside = page.frame_locator("iframe.preview")
    expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
    expect(inside.get_by_role("link", name="Agenda")).to_have_attribute("aria-current", "page")
    expect(page.get_by_label("View", exact=True)).to_have_value("agenda")
    expect(page.locator("#sum")).to_contain_text("2 of 9 items")


def test_without_scripts_a_frame_works_and_refreshes_itself(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('many')}?lang=en", java_script_enabled=False).page
    page.locator(".over summary").first.click()
    expect(page.locator(".over details a").first).to_be_visible()
    page.get_by_role("link", name="Week").click()
    expect(page.locator("table.week")).to_be_visible()
    assert page.locator('meta[http-equiv="refresh"]').get_attribute("content") == "900"
    page.get_by_role("link", name="Refreshes every 15 minutes").click()
    expect(page.locator("table.week")).to_be_visible()
    assert page.locator('meta[http-equiv="refresh"]').count() == 0


# The legend of a frame


def toggle(page: Page, name: str) -> Locator:
    return page.locator(".legend").get_by_role("checkbox", name=name, exact=True)


def test_a_toggle_narrows_the_frame_at_once_and_stays_with_the_next_month(
    served: Served, visit: Open
) -> None:
    seen = visit(f"{served.embed('many')}?lang=en&title=!nothing")
    page = seen.page
    page.evaluate("window.loaded = 'once'")
    before = page.locator(".grid a.chip").count()
    toggle(page, "OPS").focus()
    page.keyboard.press("Space")
    expect(page.locator("#shown")).to_contain_text("of 392 items")
    expect(page.locator("#said")).to_contain_text("of 392 items")
    expect(toggle(page, "OPS")).to_be_checked()
    expect(toggle(page, "OPS")).to_be_focused()
    assert page.evaluate("window.loaded") == "once"
    assert 0 < page.locator(".grid a.chip").count() < before
    assert page.locator(".grid small").filter(has_not_text="[OPS-").count() == 0
    page.get_by_role("link", name="Next month").click()
    expect(page.locator("h1")).to_have_text("December 2026")
    expect(toggle(page, "OPS")).to_be_checked()
    assert "title=!nothing" in page.url.replace("%21", "!")
    page.get_by_role("link", name="Show all").click()
    expect(toggle(page, "OPS")).not_to_be_checked()
    expect(page.locator("h1")).to_have_text("December 2026")
    assert seen.said == []


def test_without_scripts_the_legend_is_a_form(served: Served, visit: Open) -> None:
    url = f"{served.embed('many')}?lang=en&view=week"
    page = visit(url, viewport={"width": 360, "height": 800}, java_script_enabled=False).page
    expect(toggle(page, "Started")).not_to_be_visible()
    page.get_by_text("Legend and filter").click()
    toggle(page, "Started").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("table.week")).to_be_visible()
    expect(toggle(page, "Started")).to_be_checked()
    expect(page.locator("#shown")).to_contain_text("of 392 items")


def test_a_frame_of_a_feed_that_shows_no_facts_has_no_legend(served: Served, visit: Open) -> None:
    assert visit(f"{served.embed('busy')}?lang=en").page.locator(".legend").count() == 0


# Frames


def frame_of(page: Page) -> str:
    """What is in the page's frame: its heading, or nothing where it was refused."""
    frame = page.frames[1]
    frame.wait_for_load_state()
    return frame.locator("h1").text_content() or "" if frame.url.startswith("http") else ""


def test_a_frame_loads_on_the_page_that_may_show_it_and_on_no_other(
    served: Served, visit: Open, intranet: Site, stranger: Site
) -> None:
    embed = f"{served.embed('few')}?lang=en"
    for url, site, shown in (
        (embed, intranet, "November 2026"),
        (embed, stranger, ""),
        (served.page("few"), intranet, ""),
        (f"{served.url}/", intranet, ""),
    ):
        page = visit(
            site.put("/host", f'<iframe src="{url}" title="x" width="900" height="800"></iframe>')
        ).page
        page.wait_for_load_state("networkidle")
        assert frame_of(page) == shown


def test_the_snippet_of_the_page_shows_the_calendar(served: Served, visit: Open, intranet: Site) -> None:
    snippet = visit(f"{served.page('few')}?lang=en").page.locator("#snippet").input_value()
    host = visit(intranet.put("/snippet", f"<!doctype html><title>x</title>{snippet}"))
    inside = host.page.frame_locator("iframe")
    expect(inside.locator("h1")).to_have_text("November 2026")
    height = inside.locator("html").evaluate("html => html.scrollHeight - innerHeight")
    assert height <= 0
    assert host.said == []


def test_a_frame_looks_for_news_and_keeps_the_readers_place(served: Served, visit: Open) -> None:
    seen = visit(f"{served.embed('many')}?lang=en")
    page = seen.page
    page.clock.install()
    page.reload()
    news = page.content().replace("Apply for the funding", "Funding granted")

    def answer(route: Route) -> None:
        route.fulfill(body=news, content_type="text/html")

    page.route(served.embed("many") + "*", answer)
    details = page.locator(".over details").first
    details.locator("summary").press("Enter")
    kept = page.get_by_role("link", name="Agenda")
    kept.focus()
    page.clock.fast_forward(299_000)
    assert page.get_by_text("Funding granted").count() == 0
    page.clock.fast_forward(2_000)
    expect(page.get_by_text("Funding granted").first).to_be_visible()
    expect(kept).to_be_focused()
    expect(details).to_have_attribute("open", "")
    assert seen.said == []


def test_a_frame_that_cannot_reach_its_server_stays_as_it_is(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('few')}?lang=en").page
    page.clock.install()
    page.reload()
    before = page.locator("main").inner_text()
    for status in (0, 503):
        answering(page, served.embed("few"), status, "")
        page.clock.fast_forward(301_000)
        page.wait_for_timeout(200)
        assert page.locator("main").inner_text() == before


def test_a_frame_whose_link_is_taken_back_shows_nothing_any_more(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('few')}?lang=en").page
    page.clock.install()
    page.reload()
    before = page.locator("main").inner_text()
    refused = page.request.get(f"{served.url}/embed/x/few", headers={"Accept": "text/html"}).text()
    gone, back = page.get_by_text("Calendar not found"), page.locator(".chip").first
    for status, body in ((404, "<h1>404 page not found</h1>"), (410, refused), (404, refused)):
        answering(page, served.embed("few"), status, body)
        page.clock.fast_forward(301_000)
        if body != refused:
            page.wait_for_timeout(200)
            assert page.locator("main").inner_text() == before, "a proxy without its server says as much"
            continue
        expect(gone).to_be_visible()
        expect(back).to_have_count(0)
        page.unroute_all()
        page.clock.fast_forward(301_000)
        expect(back).to_be_visible()


# FullCalendar

HOST_PAGE = """<!doctype html><title>x</title><div id="calendar"></div>
<script src="/ical.js"></script><script src="/fullcalendar.js"></script><script src="/icalendar.js"></script>
<script>
  window.failed = null;
  new FullCalendar.Calendar(document.getElementById("calendar"), {{
    initialDate: "2026-11-25",
    events: {{url: "{url}", format: "ics"}},
    eventSourceFailure: (error) => {{ window.failed = String(error); }},
  }}).render();
</script>"""


@pytest.mark.parametrize("allowed", [True, False])
def test_fullcalendar_reads_a_feed_from_a_configured_origin_only(
    served: Served, visit: Open, npm: Path, intranet: Site, stranger: Site, allowed: bool
) -> None:
    site = intranet if allowed else stranger
    for path, file in (
        ("/ical.js", "ical.js/build/ical.min.js"),
        ("/fullcalendar.js", "fullcalendar/index.global.min.js"),
        ("/icalendar.js", "@fullcalendar/icalendar/index.global.min.js"),
    ):
        site.put(path, (npm / file).read_bytes(), "text/javascript")
    page = visit(site.put("/calendar", HOST_PAGE.format(url=served.ics("few"))), extra_http_headers={}).page
    if allowed:
        expect(page.locator(".fc-event", has_text="Renew the TLS certificates")).to_be_visible()
        bar = page.locator(".fc-event", has_text="Onboarding of Eva").first
        day = page.locator(".fc-day").first
        assert bar.evaluate("bar => bar.offsetWidth") > 2 * day.evaluate("day => day.offsetWidth")
    else:
        page.wait_for_function("window.failed !== null")
        assert page.locator(".fc-event").count() == 0
