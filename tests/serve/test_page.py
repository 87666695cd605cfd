"""The page in a browser: a file, a recording, two domains, differences, a key."""

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import speechllm
from speechllm.serve.engine import Engine
from tests.helpers.served import Served

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium with a microphone that beeps."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", *MICROPHONE]
        chromium = driver.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[str], Any]]:
    """Open a server's page; fails if it has an error or breaks its own policy."""
    complaints: list[str] = []
    contexts = []

    def open_(url: str) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1000, "height": 700}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [said for said in complaints if "status of 40" not in said] == []


def texts(page: Any) -> list[str]:
    """Both transcripts, once they are there."""
    page.wait_for_function("!document.getElementById('said').textContent.startsWith('listening')")
    return [" ".join(text.split()) for text in page.locator("section p").all_inner_texts()]


def test_the_policy_lets_nothing_else_run(served: Served) -> None:
    with urllib.request.urlopen(served.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_two_domains_side_by_side(
    served: Served, open_page: Callable[[str], Any], recordings: list[Path], packed: Path
) -> None:
    page = open_page(served.url)
    page.locator("option").first.wait_for(state="attached")
    page.locator("#file").set_input_files(recordings[0])
    page.locator("mark").first.wait_for()
    model = speechllm.load(packed)
    said = {d: model.transcribe(recordings[0], d)[0].text for d in model.domains}
    assert texts(page) == [" ".join(said[domain].split()) for domain in ("base", "farm")]
    assert "words differ" in page.locator("#said").inner_text()
    page.locator("select").nth(1).select_option("base")
    page.get_by_text("the same text").wait_for()
    assert page.locator("mark").count() == 0
    assert texts(page) == [" ".join(said["base"].split())] * 2


def test_only_words_that_differ_are_marked(served: Served, open_page: Callable[[str], Any]) -> None:
    page = open_page(served.url)
    found = page.evaluate("differences(['a', 'b', 'c', 'd'], ['a', 'c', 'x', 'd', 'd'])")
    assert found == [[False, True, False, False], [False, False, True, False, True]]
    page.evaluate("show(places[0], ['<img src=x>', 'b'], [true, false])")
    assert page.locator("section mark").all_inner_texts() == ["<img src=x>"]


def test_no_audio_is_said_in_place(
    served: Served, open_page: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "notes.wav").write_text("no audio")
    page = open_page(served.url)
    page.locator("option").first.wait_for(state="attached")
    page.locator("#file").set_input_files(tmp_path / "notes.wav")
    page.locator("p.error").first.wait_for()
    assert all("cannot be read" in text for text in texts(page))


def test_a_file_is_dropped(
    served: Served, open_page: Callable[[str], Any], recordings: list[Path]
) -> None:
    page = open_page(served.url)
    page.locator("option").first.wait_for(state="attached")
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.wav"));
            const event = new DragEvent("drop", {dataTransfer: data, cancelable: true});
            document.getElementById("drop").dispatchEvent(event);
        }""",
        list(recordings[0].read_bytes()),
    )
    page.locator("mark").first.wait_for()
    assert page.locator("#name").inner_text() == "dropped.wav"


def test_a_recording(served: Served, open_page: Callable[[str], Any]) -> None:
    page = open_page(served.url)
    page.locator("option").first.wait_for(state="attached")
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1200)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("recorded", exact=True).wait_for()
    page.locator("section p").first.locator("mark, span").first.wait_for()
    assert all(texts(page)) and page.locator("p.error").count() == 0


def test_a_key_is_asked_for(engine: Engine, open_page: Callable[[str], Any]) -> None:
    with Served(engine, keys=[b"one-key-of-many-letters"]) as served:
        page = open_page(served.url)
        page.locator("#key").fill("one-key-of-many-letters")
        page.locator("#key").press("Tab")
        page.locator("option").first.wait_for(state="attached")
        assert page.locator("select").first.locator("option").count() == 3
