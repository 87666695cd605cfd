"""What an error says is safe and short, whatever it quotes."""

import pytest

from speechllm.errors import MOST_LINES, MOST_OF_A_LINE, bounded


@pytest.mark.parametrize(
    "text",
    ["fine", "\x00" * 5000, "x" * 5000, "\x1b[2J" * 400, "a\n" * 500, "\x00c" * 400 + "\nend"],
)
def test_a_message_is_short_and_harmless(text: str) -> None:
    said = bounded(text)
    lines = said.split("\n")
    assert len(lines) <= MOST_LINES and max(map(len, lines)) <= MOST_OF_A_LINE
    assert "\x00" not in said and "\x1b" not in said
    assert bounded(said) == said  # as it stands, it can be quoted by the next one
