"""What is put into Markdown comes out of a renderer as it was."""

import html
import re

import pytest

from speechllm.report.html.pages import inline
from speechllm.report.markdown import cell, code, fenced, text
from speechllm.report.table import Table

HOSTILE = [
    "plain words, 1.5 % and 0.03*",
    "target_dev/utt_1",
    "*stars* **two** _under_ a*b*c",
    "<script>alert(1)</script> <b>x</b> &amp; &#60;",
    "[link](http://x) ![image](y) [a]: b",
    "`ticks` ``more`` `",
    "C:\\new\\*x* \\",
    "$x_1$ costs $5 ~~struck~~",
    "a | b || c",
    "# heading #",
    "- item",
    "1. one",
    "> quote",
    "two  blanks\nand a line",
]


def rendered(markdown: str) -> str:
    """The text that a CommonMark renderer with GitHub's tables and strikes shows."""
    parser = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    page = parser.render(markdown)
    assert not re.findall(r"<(?!/?(?:p|code|li|ul|h1|table|thead|tbody|tr|th|td|pre)\b)", page), (
        page
    )
    return html.unescape(re.sub(r"<[^>]+>", "", page)).strip()


@pytest.mark.parametrize("value", HOSTILE)
def test_text_stays_as_it_is(value: str) -> None:
    shown = " ".join(value.split())
    assert rendered(text(value)) == rendered(f"- {text(value)}") == shown
    assert rendered(f"# {text(value)}") == shown
    assert html.unescape(str(inline(text(value)))) == shown
    assert rendered(Table(("a", "b"), [[value, "x"]]).markdown()).split("\n")[-2:] == [shown, "x"]


@pytest.mark.parametrize("value", HOSTILE)
def test_code_stays_as_it_is(value: str) -> None:
    shown = value.replace("\n", " ")
    assert rendered(code(value)) == shown
    assert html.unescape(str(inline(f"{code(value)}"))) == f"<code>{shown}</code>"
    assert rendered(fenced(value, "yaml")) == value


def test_what_means_nothing_gets_no_backslash() -> None:
    for plain in ("a_b_c", "[1.00, 2.00]", "0.03*", "<0.001", "+1.2", "5 < 6 & 7", "x (y)"):
        assert text(plain) == cell(plain) == plain


def test_what_is_emphasised_is_escaped_within() -> None:
    line = f"**{text('a*b')}**: {code('x`y')} is best"
    assert str(inline(line)) == "<strong>a*b</strong>: <code>x`y</code> is best"
