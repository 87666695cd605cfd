"""The overview, the tables beside the list, looks, paper, and 20,000 utterances."""

import json

import pytest

from speechllm.report.html.scripts import write_script
from speechllm.score.count.wer import score_texts
from tests.helpers import recipe_report as recipe
from tests.helpers.farm import BASE, BETTER, TEXTS, choose, listed


def test_overview_links_the_sets_and_shows_plots(report, open_page):
    page = open_page(report / "index.html")
    assert page.inner_text("h1") == "Results of farm"
    pytest.importorskip("matplotlib")
    shown = page.locator("figure img:visible")
    assert shown.count() == 1  # only one target, and no source set: no second figure
    assert shown.first.evaluate("image => image.naturalWidth") > 100
    page.locator("table a", has_text="farm_test").first.click()
    assert page.inner_text("h1") == "farm_test"


def test_overview_tables_sort_by_number(report, open_page):
    page = open_page(report / "index.html")
    table = page.locator("section:has(h2:has-text('decoding beam')) table")
    models = table.locator("td:nth-child(2)")
    assert models.all_inner_texts() == ["base", "denoise"]
    head = table.get_by_role("button", name="WER [95 %]")
    head.click()
    assert models.all_inner_texts() == ["denoise", "base"]
    head.click()
    assert models.all_inner_texts() == ["base", "denoise"]


def test_one_system_alone(report, open_page):
    page = open_page(report / "farm_test.html")
    choose(page, "b", "none")
    assert page.locator("article").first.locator(".gutter").count() == 2
    assert not page.locator("#compare").is_visible()


def test_confusions_filter_by_a_click(report, open_page):
    page = open_page(report / "farm_test.html")
    page.locator("#tab-confusions").click()
    page.locator("#panel td button", has_text="beet").click()
    assert listed(page) == ["ann-1"]
    assert "beet → feet" in page.locator("#chips").inner_text()


def test_entity_table_counts_and_filters(report, open_page):
    page = open_page(report / "farm_test.html")
    page.locator("#tab-entities").click()
    row = page.locator("#panel tr", has_text="sugar beet")
    row.wait_for()
    assert row.locator("td").all_inner_texts() == ["sugar beet", "1", "1", "0", "100", "0"]
    row.locator("button").click()
    assert listed(page) == ["ann-1"]


def test_groups_add_up(report, open_page):
    page = open_page(report / "farm_test.html")
    page.locator("#tab-speakers").click()
    rows = page.locator("#panel tbody tr")
    page.wait_for_timeout(80)
    cells = {row[0]: row[1:5] for row in (r.locator("td").all_inner_texts() for r in rows.all())}
    wer = {
        name: [
            score_texts(
                {i: t for i, t in TEXTS.items() if i.startswith(name)},
                {i: t for i, t in hyp.items() if i.startswith(name)},
            ).words
            for hyp in (BASE, BETTER)
        ]
        for name in ("ann", "bob")
    }
    assert cells == {
        name: [
            str(sum(i.startswith(name) for i in TEXTS)),
            str(a.reference),
            f"{a.percent:.1f}",
            f"{b.percent:.1f}",
        ]
        for name, (a, b) in wer.items()
    }
    page.locator("#tab-length").click()
    page.locator("#panel td button", has_text="6 to 10").click()
    assert listed(page) == ["ann-1", "bob-1"]


def test_guard_says_what_was_there_before(report, open_page):
    page = open_page(report / "farm_test.html", "#flag=loop")
    flag = page.locator("article .badge.flag")
    assert flag.inner_text().endswith("loop, retried")
    assert "the the the" in flag.get_attribute("title")


def test_dark_as_the_system_has_it_or_as_chosen(report, open_page):
    def paper(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = open_page(report / "farm_test.html", color_scheme="light")
    dark = open_page(report / "farm_test.html", color_scheme="dark")
    assert paper(light) != paper(dark)
    light.keyboard.press("t")  # auto -> light -> dark
    light.keyboard.press("t")
    assert paper(light) == paper(dark)
    light.reload()
    assert paper(light) == paper(dark)


def test_print_has_the_list_and_not_the_controls(report, open_page):
    page = open_page(report / "farm_test.html", "#spk=bob")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("article:visible").count() == 3
    assert not page.locator("#filters").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert listed(page) == ["bob-1", "bob-2", "bob-3"]


def test_a_set_that_is_not_scored_shows_its_texts(tmp_path, open_page):
    recipe.make_set(tmp_path, TEXTS, audio=False)
    answers = {utt: json.dumps({"scenario": "farm", "entities": []}) for utt in TEXTS}
    recipe.make_system(tmp_path, "base", answers, score=False)
    page = open_page(recipe.write_report(tmp_path) / "farm_test.html")
    assert "not scored as ASR" in page.inner_text("#remarks")
    assert '{"scenario": "farm", "entities": []}' in page.locator("article").first.inner_text()
    assert not page.locator("[name=err]").is_visible()


def test_answers_of_another_task_stand_beside_what_was_expected(tmp_path, open_page):
    def answer(action: str) -> str:
        return json.dumps({"scenario": "farm", "action": action, "entities": []})

    recipe.make_set(tmp_path, TEXTS, audio=False)
    expected = "".join(f"{utt} {answer('plant')}\n" for utt in TEXTS)
    (tmp_path / "data/farm_test/semantics").write_text(expected)
    heard = {utt: answer("plant" if utt.startswith("ann") else "spray") for utt in TEXTS}
    recipe.make_system(tmp_path, "base", heard, task="slu")
    folder = recipe.write_report(tmp_path)
    page = open_page(folder / "farm_test.html")
    row = page.get_by_role("article", name="bob-1", exact=True)
    texts = row.locator(".plain p").all_inner_texts()
    assert texts == [TEXTS["bob-1"], answer("plant"), answer("spray")]
    assert "intent error" in page.inner_text("#panel")
    assert page.locator(".systems .wer b").inner_text() == "60.00"
    assert "intent error [95 %]" in open_page(folder / "index.html").inner_text("main")


def test_20000_utterances_stay_fluent(tmp_path, open_page):
    """Columns of 500 utterances, forty times over; the bounds are five times what was measured."""
    recipe.make_exp(tmp_path, 500)
    folder = recipe.write_report(tmp_path)
    place = folder / "data/farm_test"

    def stored(path):
        text = path.read_text(encoding="utf-8")
        return json.loads(text[text.index("'") + 1 : text.rindex("'")].replace("\\\\", "\\"))

    (shared,) = stored(place / "set.js")
    shared["ids"] = [f"{utt}-{i:02d}" for i in range(40) for utt in shared["ids"]]
    for key in ("refs", "seconds"):
        shared[key] *= 40
    shared["speakers"]["rows"] *= 40
    shared["audio"]["entries"] *= 40
    write_script(place / "set.js", "speechllm.addSet", [shared])
    for path in place.glob("system-*.js"):
        number, columns = stored(path)
        columns["hyp"] *= 40
        columns["ops"] *= 40
        write_script(path, "speechllm.addSystem", [number, columns])

    page = open_page(folder / "farm_test.html")
    assert page.inner_text("#count") == "20,000 utterances"
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    rows = page.evaluate("performance.getEntriesByName('rows')[0].startTime")
    assert paint < 2000 and rows < 3000, (paint, rows)
    assert page.locator("article").count() < 40
    page.keyboard.press("Shift+G")
    assert page.locator("article.current").get_attribute("aria-posinset") == "20000"
    assert page.locator("article.current").is_visible()
    slowest = page.evaluate(
        """async () => {
            const list = document.getElementById('list');
            const frames = [];
            for (let i = 0, last = performance.now(); i < 40; i++) {
                list.scrollTop -= 500;
                await new Promise(requestAnimationFrame);
                frames.push(performance.now() - last);
                last = performance.now();
            }
            return frames.sort((a, b) => a - b)[20];
        }"""
    )
    assert slowest < 150


def test_a_system_below_is_no_b(report, open_page):
    """What is only shown too takes no part in what compares A and B."""
    page = open_page(report / "farm_test.html", "#b=none&more=base/denoise_farm@beam")
    tags = page.locator("article").first.locator(".gutter .tag").all_inner_texts()
    assert tags == ["REF", "A", "·"]
    assert page.locator(".badge.good, .badge.bad").count() == 0
