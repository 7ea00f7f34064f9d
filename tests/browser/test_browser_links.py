"""People manage links of their own in a real browser, with scripts and without."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from browser.world import Served, Visit, browser_config, serving_browsers

Open = Callable[..., Visit]


@pytest.fixture
def linking(tmp_path: Path) -> Iterator[Served]:
    """A server whose store lasts."""
    with serving_browsers(browser_config(), state=tmp_path) as server:
        yield server


def calendar(url: str) -> str:
    with urlopen(url) as answer:
        return str(answer.read().decode())


def make(page: Page, device: str) -> str:
    """The address of a new link, of the calendar and filter that the page shows."""
    page.get_by_role("link", name="Make a link").click()
    page.get_by_label("Name of the device or app").last.fill(device)
    page.get_by_role("button", name="Make a link").click()
    return page.get_by_label("Calendar link").input_value()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_is_made_copied_renamed_renewed_and_taken_back(
    linking: Served, visit: Open, scripts: bool
) -> None:
    seen = visit(
        f"{linking.url}/me?feed=property&priority=urgent",
        java_script_enabled=scripts,
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = seen.page
    first = make(page, "phone")
    assert calendar(first).count("BEGIN:VEVENT") < calendar(linking.ics("property")).count("BEGIN:VEVENT")
    copy = page.get_by_role("button", name="Copy")
    if scripts:
        copy.click()
        assert page.evaluate("navigator.clipboard.readText()") == first
    else:
        expect(copy).to_be_hidden()
    page.get_by_role("link", name="Done").click()
    assert "icsf_" not in page.content()
    page.get_by_text("Change or revoke “phone”").click()
    card = page.locator(".own")
    card.get_by_label("Name of the device or app").fill("tablet")
    card.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="tablet")).to_be_visible()
    page.get_by_text("Change or revoke “tablet”").click()
    page.get_by_role("button", name="Renew the link").click()
    second = page.get_by_label("Calendar link").input_value()
    assert second != first
    assert "This calendar link was revoked" in calendar(first)
    page.get_by_role("link", name="Done").click()
    page.get_by_text("Change or revoke “tablet”").click()
    page.get_by_role("button", name="Revoke the link").click()
    expect(page.get_by_text("You have not made a link yet.")).to_be_visible()
    assert "This calendar link was revoked" in calendar(second)
    assert seen.said == []
    assert seen.everywhere(linking.url) == []
    assert seen.context.cookies() == []


def test_the_filter_of_a_link_is_changed_with_the_builder(linking: Served, visit: Open) -> None:
    page = visit(f"{linking.url}/me?feed=property&priority=urgent").page
    address = make(page, "phone")
    before = calendar(address)
    page.get_by_role("link", name="Done").click()
    page.get_by_text("Change or revoke “phone”").click()
    page.get_by_role("link", name="Change the filter").click()
    page.locator("[name=priority][value=urgent]").uncheck()
    expect(page.locator("#linkbar [name=narrowing]")).to_have_value("")
    page.get_by_role("button", name="Save this filter for “phone”").click()
    expect(page.get_by_text("none: the whole calendar")).to_be_visible()
    assert calendar(address).count("BEGIN:VEVENT") > before.count("BEGIN:VEVENT")
