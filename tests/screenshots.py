"""Pictures of the pages, to be looked at: .venv/bin/python tests/screenshots.py [FOLDER] [NAME ...]

Each page in light and dark, 360 and 1440 pixels wide, English and German, with 0, 12 and 400 items.
Without a folder it makes the two pictures of the README, docs/*.png.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from browser.world import (
    ARGUMENTS,
    CHROMIUM,
    NOW,
    TODAY,
    Served,
    browser_config,
    odd_sample,
    serving_browsers,
)
from plane.sample import sample
from playwright.sync_api import Browser, sync_playwright

from icsfeed.demo.settings import ADMIN_TOKEN

WIDTHS, THEMES, LANGUAGES = (360, 1440), ("light", "dark"), ("en", "de")
DOCS = Path(__file__).parents[1] / "docs"


def pages(served: Served) -> Iterator[tuple[str, str]]:
    """The name and address of everything that is pictured."""
    for feed in ("none", "few", "many"):
        yield f"feed-{feed}", served.page(feed)
        for view in ("month", "week", "agenda", "timeline"):
            yield f"{view}-{feed}", f"{served.embed(feed)}?view={view}"
    yield "front", f"{served.url}/"
    yield "missing", f"{served.url}/feeds/icsf_none/nothing"
    yield "me", f"{served.url}/me"
    yield "status", f"{served.url}/status"


def shoot(
    browser: Browser, url: str, file: Path, width: int, theme: str, language: str, height: int | None = None
) -> None:
    """One picture of a page: of all of it, or of so many pixels from its top."""
    context = browser.new_context(
        viewport={"width": width, "height": height or 900},
        color_scheme="dark" if theme == "dark" else "light",
        locale=language,
        extra_http_headers={"X-Forwarded-Email": "anna@example.com"},
        http_credentials={"username": "admin", "password": ADMIN_TOKEN},
    )
    page = context.new_page()
    page.goto(url)
    page.screenshot(path=str(file), full_page=height is None)
    context.close()


def for_the_readme(browser: Browser) -> None:
    """The two pictures of the README."""
    DOCS.mkdir(exist_ok=True)
    config = browser_config(public_url="https://cal.example.com")
    with serving_browsers(config, sample(TODAY, clock=lambda: NOW)) as served:
        shoot(browser, served.page("plan"), DOCS / "feed-page.png", 1200, "light", "en-GB", 1080)
        shoot(browser, served.embed("plan"), DOCS / "embed-month.png", 1200, "dark", "en-GB", 950)


def of_everything(browser: Browser, folder: Path, names: Sequence[str]) -> None:
    """Every page, or those of these names, in every shape."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving_browsers(browser_config(), odd_sample(400)) as served:
        for (name, url), width, theme, language in product(pages(served), WIDTHS, THEMES, LANGUAGES):
            if not names or name in names:
                file = folder / f"{name}-{width}-{theme}-{language}.png"
                shoot(browser, url, file, width, theme, language)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].partition(":")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="default: only the two pictures of the README")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as feed-few: default all")
    given = parser.parse_args()
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        if given.folder is None:
            for_the_readme(browser)
        else:
            of_everything(browser, given.folder, given.names)


if __name__ == "__main__":
    main()
