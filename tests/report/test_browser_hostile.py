"""Transcripts, ids and names are data: whatever they hold is shown, never run."""

import pytest

from tests.helpers.recipe_report import make_set, make_system, write_report

IMAGE = "<img src=x onerror=\"document.title='run'\">"
SCRIPT = "</script><script>document.title='run'</script>"
QUOTES = 'it\'s "quoted" \\ ${1+1} `x` &amp; \\u003c {{ 7*7 }} {% raw %}'
SEPARATORS = "line\u2028after paragraph"
ARABIC = "متى سوف تحصد القمح يا صديقي"
LONG = "a" * 3000
TEXTS = {
    "<b>id<b>&": IMAGE,
    "__proto__": "constructor __proto__ toString",
    "arabic": ARABIC,
    "empty": "",
    "long": LONG,
    "quotes'\"": QUOTES,
    "script": SCRIPT,
    "separators": SEPARATORS,
}
SET = "a & b '\"<i>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    entities = {
        "<b>id<b>&": [{"type": "<script>document.title='run'</script>", "text": "<img"}],
        "__proto__": [{"type": "__proto__", "text": "constructor"}],
    }
    tables = {"utt2spk": dict.fromkeys(TEXTS, IMAGE.replace(" ", "_")), "entities": entities}
    make_set(root, TEXTS, SET, audio=False, **tables)
    heard = {utt: f"{text} <u>x</u>" if text else "" for utt, text in TEXTS.items()}
    del heard["empty"]
    guard = {"flags": ["<img src=x onerror=alert(1)>"], "retried": True, "first": IMAGE}
    records = [{"id": "script", "text": "", "guard": guard}]
    make_system(root, "base", heard, SET, records)
    make_system(root, "base/<img src=x>_farm", heard, SET)
    return write_report(root, title=f"Results {SCRIPT}", command=IMAGE)


def settle(page):
    page.wait_for_timeout(200)
    assert "run" not in page.title().split(SCRIPT)[0]
    assert page.locator("#rows img, #rows u, #rows b b, #panel img, #panel script").count() == 0


def test_all_is_shown_as_it_is(report, open_page):
    assert (report / "set-1.html").is_file()  # its name is no file name
    page = open_page(report / "set-1.html")
    settle(page)
    assert page.inner_text("h1") == SET
    for utt, text in TEXTS.items():
        row = page.get_by_role("article", name=utt, exact=True)
        words = [w for w in row.locator(".column > :first-child").all_inner_texts() if w != ""]
        assert " ".join(words).split() == text.split(), utt
        assert row.locator(".id").inner_text() == utt
    assert page.evaluate("({}).constructor === Object && ({}).x === undefined")


def test_panels_and_filters_take_it_too(report, open_page):
    page = open_page(report / "set-1.html")
    for tab in ("confusions", "entities", "length"):
        page.locator(f"#tab-{tab}").click()
        settle(page)
    page.locator("#tab-entities").click()
    page.locator("#panel td button", has_text="constructor").click()
    settle(page)
    assert page.locator("#rows .id").all_inner_texts() == ["__proto__"]
    page.keyboard.press("x")
    page.locator("[name=q]").fill(IMAGE)
    settle(page)
    assert page.locator("#rows .id").all_inner_texts() == ["<b>id<b>&"]
    assert IMAGE in page.inner_text("#chips")


def test_right_to_left_and_very_long_words(report, open_page):
    page = open_page(report / "set-1.html")
    arabic = page.get_by_role("article", name="arabic", exact=True)
    boxes = [w.bounding_box()["x"] for w in arabic.locator(".column").all()]
    assert boxes[0] > boxes[1] > boxes[2]  # read from the right
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    long = page.get_by_role("article", name="long", exact=True)
    assert long.evaluate("e => e.scrollWidth <= e.clientWidth + 1")


def test_overview(report, open_page):
    page = open_page(report / "index.html")
    assert page.title() == f"Results {SCRIPT}"
    assert page.locator("a", has_text=SET).first.get_attribute("href") == "set-1.html"
    assert page.locator("main i, main u, main figure script").count() == 0
    assert IMAGE in page.inner_text("main")


def test_the_policy_forbids_inline_scripts(report, browser):
    """Even if something slipped through, it would not run."""
    page = browser.new_page()
    page.goto((report / "index.html").as_uri())
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", IMAGE)
    page.wait_for_timeout(200)
    assert page.title() != "run"
    page.close()
