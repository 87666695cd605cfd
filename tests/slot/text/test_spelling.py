from pathlib import Path

import pytest

from speechllm.errors import ConfigError
from speechllm.slot.text.spelling import read_lexicon, spell, spell_words

LETTERS = ["<pad>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory):
    import json

    from transformers import Wav2Vec2CTCTokenizer

    path = tmp_path_factory.mktemp("tokenizer") / "vocab.json"
    path.write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
    return Wav2Vec2CTCTokenizer(str(path))


def test_characters_take_the_case_that_the_head_knows(characters) -> None:
    ids, unknown = spell({"u": "a cow"}, characters, (), None, 0)
    assert "".join(LETTERS[i] for i in ids["u"]) == "A|COW"
    assert unknown == 0


def test_a_lexicon_goes_before_all(characters, tmp_path: Path) -> None:
    (tmp_path / "lexicon").write_text("cow K A U\ncow K O\na A\n")
    ids, _ = spell({"u": "a cow"}, characters, (), str(tmp_path / "lexicon"), 0)
    assert "".join(LETTERS[i] for i in ids["u"]) == "AKAU"
    with pytest.raises(ConfigError, match=r"lacks words of the target: 1 \(sheep\)"):
        spell({"u": "a sheep"}, characters, (), str(tmp_path / "lexicon"), 0)


def test_a_lexicon_in_another_case_is_told_and_folded_if_asked(characters, tmp_path: Path) -> None:
    (tmp_path / "lexicon").write_text("COW K A U\nA A\n")
    with pytest.raises(ConfigError, match=r"lacks words") as refused:
        spell({"u": "a cow"}, characters, (), str(tmp_path / "lexicon"), 0)
    assert "2 of them are known in capitals ('a' is 'A' there): give fold=upper" in str(
        refused.value
    )
    ids, _ = spell({"u": "a cow"}, characters, (), str(tmp_path / "lexicon"), 0, ["upper"])
    assert "".join(LETTERS[i] for i in ids["u"]) == "AKAU"
    with pytest.raises(ConfigError) as refused:
        spell({"u": "a sheep"}, characters, (), str(tmp_path / "lexicon"), 0, ["upper"])
    assert refused.value.remedy is None


def test_single_words_and_phrases_of_a_lexicon(characters) -> None:
    lexicon = {"COW": ["K", "A", "U"], "A": ["A"]}
    words = ["cow", "a cow", "a sheep", "..."]
    ids = spell_words(words, characters, False, "en", lexicon, ["upper", "punctuation"])
    spelled = {word: "".join(LETTERS[i] for i in line) for word, line in ids.items()}
    assert spelled == {"cow": "KAU", "a cow": "AKAU", "a sheep": "", "...": ""}
    assert not any(spell_words(words, characters, False, "en", lexicon).values())


def test_symbols_that_the_head_does_not_know_are_few_or_refused(characters) -> None:
    ids, unknown = spell({"u": "x" * 39 + "1"}, characters, (), None, 0)
    assert len(ids["u"]) == 39 and unknown == pytest.approx(1 / 40)
    with pytest.raises(ConfigError, match="does not know 50% of"):
        spell({"u": "cow123"}, characters, (), None, 0)
    with pytest.raises(ConfigError, match=r"without any CTC symbol: 1 \(v\)"):
        spell({"u": "x" * 99, "v": "1"}, characters, (), None, 0)


def test_a_broken_lexicon_is_named(tmp_path: Path) -> None:
    (tmp_path / "lexicon").write_text("cow\n")
    with pytest.raises(ConfigError, match="entry 1, cow, has no symbols"):
        read_lexicon(str(tmp_path / "lexicon"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lexicon(str(tmp_path / "nowhere"))
