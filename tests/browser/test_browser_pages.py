"""The pages in a real Chromium: nothing fails, nothing goes elsewhere, nothing is cut off, axe is content."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.world import ODD, Served, Visit
from icsfeed.l10n.languages import LANGUAGES

Open = Callable[..., Visit]

PAGES = {
    "front": "/",
    "feed": "{page:many}",
    "feed without items": "{page:none}",
    "feed of tasks": "{page:tasks}",
    "feed narrowed": "{page:few}?priority=high&days=30",
    "busy feed": "{page:busy}",
    "public feed": "{page:everything}",
    "month": "{embed:many}?view=month",
    "month with cycles": "{embed:plan}?view=month",
    "month without items": "{embed:none}?view=month",
    "week": "{embed:many}?view=week",
    "agenda": "{embed:many}?view=agenda",
    "agenda without dates": "{embed:tasks}?view=agenda",
    "day": "{embed:many}?view=day",
    "timeline": "{embed:many}?view=timeline",
    "timeline with cycles": "{embed:plan}?view=timeline",
    "timeline without items": "{embed:none}?view=timeline",
    "my links": "/me/links",
    "me": "/me",
    "status": "/status?links=1",
    "status of a feed": "/status?feed=property&links=1",
    "status of links": "/status?show=own+links",
    "status of people": "/status?show=people",
    "status sorted": "/status?sort=-items&only=problems&q=x",
    "docs": "/docs",
}
REFUSED = {"missing": "/feeds/x/y", "bad": "{embed:many}?view=year"}


def address(served: Served, name: str) -> str:
    path = {**PAGES, **REFUSED}[name]
    kind, _, rest = path.removeprefix("{").partition(":")
    if path.startswith("/"):
        return served.url + path
    feed, _, query = rest.partition("}")
    return (served.page if kind == "page" else served.embed)(feed) + query


@pytest.mark.parametrize("name", PAGES)
def test_nothing_fails_and_nothing_is_asked_of_another_host(served: Served, visit: Open, name: str) -> None:
    seen = visit(address(served, name))
    assert seen.said == []
    assert seen.everywhere(served.url) == []
    assert seen.page.title()
    assert seen.context.cookies() == []


@pytest.mark.parametrize("name", [*PAGES, *REFUSED])
def test_no_page_scrolls_sideways(served: Served, visit: Open, name: str) -> None:
    page = visit(address(served, name)).page
    inner = "[...document.querySelectorAll('main *:not(input):not(textarea)')]"
    scrolling = f"{inner}.filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).length"
    for width in (320, 360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(scrolling) == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_any_language_is_wider_than_a_phone(served: Served, visit: Open, language: str) -> None:
    page = visit(address(served, "front"), locale=language, viewport={"width": 360, "height": 800}).page
    outside = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 361)"
    for name in (*PAGES, *REFUSED):
        page.goto(address(served, name))
        assert page.locator("html").get_attribute("lang") == language
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert page.evaluate(f"{outside}.map(e => e.textContent)") == [], name


@pytest.mark.parametrize("name", [*PAGES, *REFUSED])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_axe_finds_nothing(
    served: Served, visit: Open, npm: Path, name: str, theme: str, language: str
) -> None:
    size = {"width": 1200 if language == "en" else 360, "height": 900}
    # Only so that axe itself may run: no inline script is allowed otherwise.
    seen = visit(address(served, name), bypass_csp=True, color_scheme=theme, locale=language, viewport=size)
    for details in seen.page.locator("details").all()[:12]:
        details.evaluate("one => one.open = true")
    seen.page.add_script_tag(path=npm / "axe-core" / "axe.min.js")
    found = seen.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert seen.page.locator("html").get_attribute("lang") == language
    assert [(one["id"], one["nodes"][0]["html"], one["help"]) for one in found["violations"]] == []


@pytest.mark.parametrize("name", ["feed", "month", "week", "agenda", "day", "timeline"])
def test_an_issue_named_script_is_text(served: Served, visit: Open, name: str) -> None:
    seen = visit(f"{address(served, name).partition('?')[0]}?view={name}&date=2026-11-27")
    assert seen.page.get_by_text(ODD[0], exact=False).count() >= 1
    assert seen.page.evaluate("window.broken") is None
    assert seen.said == []


@pytest.mark.parametrize("name", ["front", "feed", "month", "status"])
def test_the_policy_stops_what_a_page_should_not_do(served: Served, visit: Open, name: str) -> None:
    page = visit(address(served, name)).page
    stopped = page.evaluate(
        """() => new Promise(done => {
            const stopped = [];
            addEventListener("securitypolicyviolation", event => stopped.push(event.effectiveDirective));
            const add = (tag, fields) => document.body.append(
                Object.assign(document.createElement(tag), fields));
            add("script", {textContent: "window.broken = 1"});
            add("style", {textContent: "body { color: red }"});
            add("img", {src: "https://elsewhere.example.com/x.png"});
            add("iframe", {src: "https://elsewhere.example.com/"});
            fetch("https://elsewhere.example.com/").catch(() => 0);
            document.body.setAttribute("style", "color: red");
            setTimeout(() => done(stopped), 300);
        })"""
    )
    assert set(stopped) >= {"script-src-elem", "style-src-elem", "img-src", "frame-src", "connect-src"}
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize(
    ("scheme", "query", "dark"),
    [
        ("dark", "", True),
        ("light", "", False),
        ("dark", "?theme=light", False),
        ("light", "?theme=dark", True),
    ],
)
def test_the_theme_is_the_readers_unless_the_address_says_so(
    served: Served, visit: Open, scheme: str, query: str, dark: bool
) -> None:
    for url in (served.embed("few"), served.page("few")):
        page = visit(url + query, color_scheme=scheme).page
        red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
        assert (red < 128) is dark


@pytest.mark.parametrize("name", ["month", "week", "agenda", "timeline", "feed", "status"])
@pytest.mark.parametrize("width", [360, 1440])
def test_what_can_be_pressed_is_large_enough(served: Served, visit: Open, name: str, width: int) -> None:
    """24 by 24 pixels (WCAG 2.2, 2.5.8); a link within a sentence, and a line of a list, may be less high."""
    page = visit(address(served, name), viewport={"width": width, "height": 900}).page
    small = page.evaluate(
        """() => [...document.querySelectorAll(
                "a.chip, a.step, .views a, .button, summary, a.all, .box, .toggle, .timeline ul li")]
            .filter(one => one.checkVisibility() && one.getClientRects().length)
            .map(one => [one.textContent.trim(), one.getBoundingClientRect()])
            .filter(([, box]) => box.width < 24 || box.height < 24)
            .map(([text, box]) => `${text}: ${box.width} x ${box.height}`)"""
    )
    assert small == []


def test_a_span_is_drawn_over_its_days_and_no_two_bars_overlap(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('many')}?view=month").page
    boxes = page.evaluate(
        """() => [...document.querySelectorAll(".grid tbody tr")].map(row => {
            const width = row.cells[0].getBoundingClientRect().width;
            return [...row.querySelectorAll("td > ul > li:not(.over) > .chip")].map(chip => {
                const box = chip.getBoundingClientRect();
                const days = Number((chip.parentElement.className.match(/\\bd(\\d)/) || [0, 1])[1]);
                return {left: box.left, right: box.right, top: box.top, bottom: box.bottom, days,
                        drawn: box.width / width};
            });
        })"""
    )
    assert any(bar["days"] == 7 for row in boxes for bar in row)
    for row in boxes:
        for bar in row:
            assert bar["days"] - 0.2 < bar["drawn"] < bar["days"]
        for one in row:
            for other in row:
                apart = one["right"] <= other["left"] or one["left"] >= other["right"]
                assert one is other or apart or one["bottom"] <= other["top"] or one["top"] >= other["bottom"]


def test_on_a_timeline_no_bar_or_title_lies_over_another(served: Served, visit: Open) -> None:
    page = visit(f"{served.embed('many')}?view=timeline").page
    groups = page.evaluate(
        """() => [...document.querySelectorAll(".timeline ul")].map(group =>
            [...group.children].map(bar => bar.getBoundingClientRect().toJSON()))"""
    )
    assert len(groups) == 3
    for boxes in groups:
        for one in boxes:
            for other in boxes:
                apart = one["right"] <= other["left"] + 1 or one["left"] >= other["right"] - 1
                assert one is other or apart or one["bottom"] <= other["top"] or one["top"] >= other["bottom"]


def test_on_a_timeline_today_is_where_it_is(served: Served, visit: Open) -> None:
    for width in (360, 1200):
        size = {"width": width, "height": 900}
        page = visit(f"{served.embed('many')}?view=timeline&lang=en", viewport=size).page
        line, now = (page.locator(one).bounding_box() for one in (".timeline", ".now"))
        assert line
        assert now
        # Wednesday of the third of eight weeks.
        assert abs((now["x"] - line["x"]) / line["width"] - 16.5 / 56) < 0.01
        bar = page.locator(".timeline li", has_text="Replace the heating")
        expect(bar).to_contain_text("15 Nov – 13 Dec")


def test_colours_of_the_system_and_less_motion_are_respected(served: Served, visit: Open) -> None:
    for view in ("month", "timeline"):
        page = visit(
            f"{served.embed('many')}?view={view}", forced_colors="active", reduced_motion="reduce"
        ).page
        moving = (
            "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s')"
        )
        assert page.evaluate(f"{moving}.length") == 0
        edges = page.evaluate(
            """() => [...document.querySelectorAll(".grid .chip, .timeline ul li")].map(one =>
                getComputedStyle(one, one.matches("li") ? "::before" : null))
                .filter(style => style.borderTopStyle === "none").length"""
        )
        assert edges == 0


def test_a_page_prints_without_its_controls_and_with_all_that_is_behind_more(
    served: Served, visit: Open
) -> None:
    page = visit(f"{served.embed('many')}?view=month").page
    page.emulate_media(media="print")
    assert not page.locator("nav.moves").is_visible()
    assert page.locator(".over details li").first.is_visible()
    assert page.locator("h1").is_visible()


def test_the_page_of_a_feed_prints_its_calendar_and_no_forms(served: Served, visit: Open) -> None:
    page = visit(served.page("many"), color_scheme="dark").page
    page.emulate_media(media="print")
    assert page.locator("h1, #next, #calendar .grid").filter(visible=True).count() == 3
    assert page.locator("#calendar .grid").evaluate("one => one.clientWidth / innerWidth") > 0.9
    for hidden in ("button", "input", "select", "textarea", "iframe", ".qr", ".moves", ".foot"):
        assert page.locator(hidden).filter(visible=True).count() == 0, hidden
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
