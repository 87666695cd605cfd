"""The list in a browser: alignments, filters, order, links, keys."""

from tests.helpers.farm import TEXTS, choose, listed


def test_every_word_is_where_the_alignment_has_it(report, open_page):
    page = open_page(report / "farm_test.html")
    row = page.locator("article", has_text="bob-1")
    columns = row.locator(".column").evaluate_all(
        "all => all.map(c => [...c.children].map(w => w.className + '|' + w.textContent))"
    )
    kinds = [[word.split("|")[0].strip() for word in column] for column in columns]
    words = [[word.split("|")[1] for word in column] for column in columns]
    assert words[1] == ["will", "will", "will"]  # A deleted it: struck out
    assert kinds[1][1:] == ["w del", "w"]
    inserted = [i for i, (reference, *_) in enumerate(words) if reference == ""]
    assert [words[i] for i in inserted] == [["", "the", ""], ["", "", "the"]]
    assert [kinds[i] for i in inserted] == [
        ["w gap", "w ins", "w gap"],
        ["w gap", "w gap", "w ins"],
    ]
    assert row.locator(".figure").all_inner_texts() == ["", "33", "17"]
    struck = row.locator(".w.del").first
    assert "line-through" in struck.evaluate("e => getComputedStyle(e).textDecorationLine")


def test_from_a_to_b(report, open_page):
    page = open_page(report / "farm_test.html")
    for kind, ids in {
        "differ": ["ann-1", "ann-2", "bob-1"],
        "fixed": ["ann-1"],
        "broken": ["ann-2"],
        "better": ["ann-1", "bob-1"],
        "worse": ["ann-2"],
        "all": list(TEXTS),
    }.items():
        page.locator(f"#compare input[value={kind}]").check(force=True)
        assert listed(page) == ids, kind


def test_menus_filter(report, open_page):
    page = open_page(report / "farm_test.html")
    for name, value, ids in (
        ("err", "wrong", ["ann-1", "bob-1", "bob-2"]),
        ("err", "del", ["bob-1"]),
        ("spk", "ann", ["ann-1", "ann-2"]),
        ("ent", "wrong", ["ann-1"]),
        ("ent", "right", ["ann-2", "bob-1", "bob-3"]),
        ("flag", "loop", ["bob-1"]),
        ("audio", "gone", []),
    ):
        choose(page, name, value)
        assert listed(page) == ids, (name, value)
        assert page.locator("#nothing").is_visible() == (not ids)
        page.locator("#chips button").click()
        assert listed(page) == list(TEXTS)


def test_fields_filter(report, open_page):
    page = open_page(report / "farm_test.html")
    for name, value, ids in (
        ("q", "BEET", ["ann-1"]),
        ("q", "train", ["bob-2"]),
        ("q", "bob-", ["bob-1", "bob-2", "bob-3"]),
        ("wer0", "30", ["bob-1", "bob-2"]),
        ("len1", "3", ["bob-2", "bob-3"]),
        ("sec0", "0.5", []),
        ("conf0", "50", ["ann-1", "bob-2"]),
    ):
        page.locator(f"#filters [name={name}]").fill(value)
        assert listed(page, 200) == ids, (name, value)
        page.locator(f"#filters [name={name}]").fill("")


def test_search_in_one_place_only(report, open_page):
    page = open_page(report / "farm_test.html", "#q=train&in=ref")
    assert listed(page) == []
    choose(page, "in", "hyp")
    assert listed(page) == ["bob-2"]


def test_sort_by_wer_and_back(report, open_page):
    page = open_page(report / "farm_test.html")
    page.locator("#sort").select_option("wer")
    assert listed(page)[:3] == ["bob-2", "bob-1", "ann-1"]  # 50, 33, 13 %
    page.locator("#direction").click()
    assert listed(page)[-1] == "bob-2"


def test_a_link_gives_the_same_view(report, open_page):
    page = open_page(report / "farm_test.html")
    choose(page, "spk", "bob")
    page.locator("#sort").select_option("wer")
    page.locator("#compare input[value=differ]").check(force=True)
    page.locator("#tab-confusions").click()
    page.locator("#rows article").last.click()
    ids = listed(page)
    assert ids == ["bob-1"]
    other = open_page(report / "farm_test.html", "#" + page.url.partition("#")[2])
    assert listed(other) == ids
    assert other.locator("[name=spk]").input_value() == "bob"
    assert other.locator("#sort").input_value() == "wer"
    assert other.locator("#tab-confusions").get_attribute("aria-selected") == "true"
    other.reload()
    assert listed(other) == ids


def test_a_link_with_nonsense_is_harmless(report, open_page):
    page = open_page(
        report / "farm_test.html", "#a=nobody&sort=x&c=Q%20x&e=%7B&wer0=abc&__proto__=1"
    )
    assert listed(page) == []
    page.keyboard.press("x")
    assert listed(page) == list(TEXTS)


def test_keys(report, open_page):
    page = open_page(report / "farm_test.html")
    current = page.locator("article.current .id")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert current.inner_text() == "bob-1"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "bob-1"
    page.keyboard.press("k")
    assert current.inner_text() == "ann-2"
    page.keyboard.press("Shift+G")
    assert current.inner_text() == "bob-3"
    page.keyboard.press("f")
    assert listed(page) == ["ann-1"]
    page.keyboard.press("x")
    page.keyboard.press("2")  # denoise becomes A, and what was A is compared with it
    page.keyboard.press("f")
    assert listed(page) == ["ann-2"]
    page.keyboard.press("x")
    page.keyboard.press("/")
    page.keyboard.type("jk")
    assert listed(page, 200) == []
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    assert len(listed(page)) == 5
    page.keyboard.press("Enter")
    assert page.locator(".full").count() == 1
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
