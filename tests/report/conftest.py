"""A real browser for the pages: Debian's chromium, headless, driven by playwright."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import recipe_report as recipe
from tests.helpers.farm import BASE, BETTER, RECORDS, TEXTS
from tests.helpers.recipe_report import until

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Skips where the browser or the package that drives it is absent.

    Not for the whole session: the driver's event loop would be in the way of other tests' loops.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = driver.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """The pages of a base and of a model adapted to `farm`."""
    root = tmp_path_factory.mktemp("recipe")
    recipe.make_set(root, TEXTS)
    recipe.make_system(root, "base", BASE, records=RECORDS)
    recipe.make_system(root, "base/denoise_farm", BETTER)
    return recipe.write_report(root)


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Any]]:
    """Open a file, with whatever follows its path, and wait until the list stands.

    The test fails if the page has an error, breaks its own security policy, or looks for anything
    that is not a file.
    """
    complaints: list[str] = []
    contexts = []

    def open_(path: Path, fragment: str = "", **settings: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1400, "height": 900}, **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
        page.goto(f"{path.resolve().as_uri()}{fragment}")
        if page.locator("body.set").count():
            settled(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def settled(page: Any) -> None:
    """Wait until what the reader chose is listed, tables included."""
    until(page, "performance.getEntriesByName('rows').length > 0")
    page.wait_for_timeout(80)
