"""The play button: whole files, segments, clips, and audio that is not there."""

import json

import numpy as np
import pytest
import soundfile

from tests.helpers.recipe_report import make_set, make_system, until, write_report

TEXTS = {"utt-1": "early rain", "utt-2": "late rain", "utt-3": "cold soil"}
ELEMENT = "document.getElementById('audio')"
PLAYED = f"({ELEMENT}.played.length && {ELEMENT}.currentTime)"


@pytest.fixture
def recipe(tmp_path):
    def make(**tables):
        make_set(tmp_path, TEXTS, **tables)
        make_system(tmp_path, "base", TEXTS)
        return tmp_path

    return make


def duration(page) -> float:
    return page.evaluate("document.getElementById('audio').duration")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_file_plays_where_it_lies(recipe, open_page, suffix):
    root = recipe()
    tone = np.sin(np.arange(20 * 16000) / 10) * 0.2  # still played at the second click
    file = root / f'a # tone, 100% ".{suffix}'
    soundfile.write(file, tone, 16000)
    (root / "data/farm_test/wav.scp").write_text("".join(f"{u} {file}\n" for u in TEXTS))
    page = open_page(write_report(root) / "farm_test.html")
    page.locator("button.play").nth(1).click()
    until(page, f"{PLAYED} > 0.05")
    assert 19.9 < duration(page) < 20.2
    assert page.locator("button.on").get_attribute("aria-label") == "Play utt-2"
    assert page.locator(".progress:visible").count() == 1
    page.locator("button.play").nth(1).click()
    assert page.locator("button.play[aria-pressed=true]").count() == 0


def test_space_plays_the_current_one(recipe, open_page):
    page = open_page(write_report(recipe()) / "farm_test.html")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    until(page, f"{PLAYED} > 0")
    assert page.locator("button.on").get_attribute("aria-label") == "Play utt-2"


def test_a_segment_starts_and_stops_where_it_should(recipe, open_page):
    root = recipe(
        wav={"tape": "x"},
        segments={u: ("tape", 1.0 + i, 1.4 + i) for i, u in enumerate(TEXTS)},
    )
    soundfile.write(root / "tape.wav", np.zeros(10 * 16000), 16000)
    (root / "data/farm_test/wav.scp").write_text(f"tape {root / 'tape.wav'}\n")
    folder = write_report(root)
    assert not (folder / "audio").exists()
    page = open_page(folder / "farm_test.html")
    page.locator("button.play").nth(2).click()
    until(page, f"{PLAYED} >= 3.4")
    page.wait_for_timeout(150)
    assert page.evaluate("document.getElementById('audio').paused")
    assert page.evaluate(PLAYED) < 3.7


def test_a_format_that_browsers_lack_becomes_a_clip(recipe, open_page):
    root = recipe()
    soundfile.write(root / "tone.wav", np.zeros(8000), 16000, format="AIFF", subtype="PCM_16")
    (root / "data/farm_test/wav.scp").write_text("".join(f"{u} {root}/tone.wav\n" for u in TEXTS))
    folder = write_report(root)
    assert sorted(p.name for p in folder.glob("audio/farm_test/*")) == [
        "00000.flac",
        "00001.flac",
        "00002.flac",
    ]
    page = open_page(folder / "farm_test.html")
    page.locator("button.play").first.click()
    until(page, f"{PLAYED} > 0")
    assert duration(page) == pytest.approx(0.5, abs=0.05)


def test_audio_that_is_gone_is_marked_and_counted(recipe, open_page, caplog):
    root = recipe()
    (root / "data/farm_test/wav.scp").write_text(
        f"utt-1 {root}/wav/tone.wav\nutt-2 {root}/gone.wav\nutt-3 echo no |\n"
    )
    page = open_page(write_report(root) / "farm_test.html")
    assert "no audio for 1 utterances: audio file is missing" in caplog.text
    assert "no audio for 1 utterances: shell commands are not allowed" in caplog.text
    assert page.locator("button.play").count() == 1
    mark = page.locator("article", has_text="utt-2").locator(".no-audio")
    assert mark.inner_text() == "no audio"
    assert "audio file is missing" in mark.get_attribute("title")
    assert "audio file is missing" in page.inner_text("#remarks")
    page.locator("[name=audio]").select_option("gone")
    page.wait_for_timeout(150)
    assert page.locator("#rows .id").all_inner_texts() == ["utt-2", "utt-3"]


def test_audio_that_goes_later_says_so_when_played(recipe, browser):
    root = recipe()
    folder = write_report(root)
    (root / "wav/tone.wav").unlink()
    page = browser.new_page()  # its console has the browser's own complaint
    page.goto((folder / "farm_test.html").as_uri())
    page.locator("button.play").first.click()
    page.locator(".badge.bad", has_text="does not play").wait_for()
    page.close()


def test_copies_make_the_report_whole(recipe, open_page, tmp_path):
    folder = write_report(recipe(), audio="copy")
    moved = folder.rename(tmp_path / "elsewhere")
    (tmp_path / "wav/tone.wav").unlink()
    page = open_page(moved / "farm_test.html")
    page.locator("button.play").first.click()
    until(page, f"{PLAYED} > 0")


def test_a_word_plays_from_its_time(recipe, open_page):
    root = recipe()
    words = [
        {"word": "early", "start": 0.0, "end": 0.1},
        {"word": "rain", "start": 0.25, "end": 0.4},
    ]
    folder = root / "exp/base/decode_beam/farm_test"
    (folder / "hyp.jsonl").write_text(
        json.dumps({"id": "utt-1", "text": "early rain", "words": words}) + "\n"
    )
    page = open_page(write_report(root) / "farm_test.html")
    page.locator("article").first.locator(".timed", has_text="rain").click()
    until(page, f"{PLAYED} > 0.25")
