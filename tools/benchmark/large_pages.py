#!/usr/bin/env python3
"""How large a set's page is, and how long a reader waits for it in chromium.

    tools/benchmark/large_pages.py exp/report/farm_test.html

needs playwright and chromium. Times are of the page's own clock, from the start of loading, or from
the change of a filter, until the list stands.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

LISTED = "performance.getEntriesByName('rows').length"
SHOWN = "document.querySelectorAll('article.utt').length"
HEAP = "performance.memory.usedJSHeapSize"
FILTERS = {
    "utterances with an error": "err=wrong",
    "those that B fixes": "cmp=fixed",
    "a word in the reference": "q=ba",
    "the worst first": "sort=a&desc=1",
}


def wait(page: Any, condition: str) -> None:
    """Wait until a condition holds, by polling: the page's policy forbids what playwright does."""
    while not page.evaluate(condition):
        time.sleep(0.01)


def timed(page: Any, action: str) -> float:
    """Seconds of an action in the page until rows are listed anew."""
    before = page.evaluate(LISTED)
    started = page.evaluate("performance.now()")
    page.evaluate(action)
    wait(page, f"{LISTED} > {before}")
    end = page.evaluate("performance.getEntriesByName('rows').at(-1).startTime")
    return (end - started) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path, help="page of a set")
    path = parser.parse_args().page.resolve()
    for file in [path, *sorted((path.parent / "data" / path.stem).iterdir())]:
        print(f"{file.relative_to(path.parent)}: {file.stat().st_size / 1e6:.3f} MB")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--enable-precise-memory-info"],
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(600_000)
        page.goto(path.as_uri())
        wait(page, f"{LISTED} > 0")
        first = page.evaluate("performance.getEntriesByName('rows')[0].startTime")
        heap = page.evaluate(HEAP) / 1e6
        print(f"listed after {first / 1000:.2f} s; {page.evaluate(SHOWN)} rows in the document")
        print(f"JavaScript's memory: {heap:.0f} MB")
        for what, change in FILTERS.items():
            took = timed(page, f"location.hash = '{change}'")
            print(f"{what}: {took:.2f} s; {page.locator('#count').inner_text()}")
        page.evaluate("location.hash = ''")
        page.evaluate("document.getElementById('list').scrollTop = 1e9")
        page.wait_for_timeout(500)
        print(f"at the end of the list: {page.evaluate(SHOWN)} rows in the document")
        chromium.close()


if __name__ == "__main__":
    main()
