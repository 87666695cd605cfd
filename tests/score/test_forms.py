"""What is in another form than the references is told; what a normaliser folds is not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from speechllm.data.dirs.bias_lists import write_words
from speechllm.data.dirs.kaldi import write_data_dir, write_table
from speechllm.score.inputs import Settings
from speechllm.score.write import score_set
from speechllm.task import load_task

ASR = load_task("asr")

TEXT = {"u1": "plant the sugar beet", "u2": "sell the maize", "u3": "it rains today"}


@pytest.fixture
def warnings(tmp_path: Path) -> Callable[..., list[str]]:
    """Score with things in some form: the warnings of a normaliser."""

    def score(
        hypothesis: Callable[[str], str] = str,
        beside: Callable[[str], str] = str,
        train: Callable[[str], str] | None = None,
        normalizer: str = "plain",
    ) -> list[str]:
        entities = {"u2": [{"type": "crop", "text": beside("maize")}]}
        write_data_dir(tmp_path / "ref", text=TEXT, entities=entities)
        write_words(tmp_path / "ref", [beside("sugar beet"), beside("rye")])
        write_table(tmp_path / "hyp", {utt: hypothesis(line) for utt, line in TEXT.items()})
        texts = ()
        if train:
            write_table(tmp_path / "train", {utt: train(line) for utt, line in TEXT.items()})
            texts = (tmp_path / "train",)
        settings = Settings((normalizer,), 10, train_text=texts)
        out = tmp_path / "out"
        result = score_set(ASR, tmp_path / "ref/text", tmp_path / "hyp", out, settings, force=True)
        assert json.loads((out / "wer.json").read_text()) == result
        [found] = result["scores"].values()
        return found["warnings"]

    return score


def test_equal_forms_give_no_warning(warnings) -> None:
    assert warnings(train=str) == []
    assert warnings(lambda line: line.replace("maize", "mace"), train=str) == []


@pytest.mark.parametrize("form", [str.upper, str.title, lambda text: f"{text}."])
def test_each_side_in_another_form_is_told_by_plain_and_folded_by_english(warnings, form) -> None:
    told = warnings(hypothesis=lambda line: " ".join(form(word) for word in line.split()))
    assert len(told) == 1 and told[0].startswith("0 of 10 words of the hypotheses stand in the ref")
    assert "--normalizer english" in told[0]
    entities, lists = warnings(beside=form)
    assert entities.startswith(
        "0 of 1 entities stand in the references as they are written, 1 more"
    )
    assert lists.startswith("0 of 2 entries of the bias lists") and ", 1 more would " in lists
    assert warnings(form, form, form, "english") == []


def test_training_text_in_another_case_makes_all_words_unseen(warnings) -> None:
    [told] = warnings(train=str.upper)
    assert told.startswith(
        "10 of 10 reference words (100.0 %) are unknown to the training text, 10 of them are known "
        "in capitals ('the' is 'THE' there)"
    )


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("- lower: true\n- words: {maize: corn}", ""),
        ("- words: {Colour: color}", ""),
        ("- words: {Maize: corn}", "0 of 1 words to be mapped stand in the texts"),
        ("- lower: true\n- words: {Maize: corn, beet: root}", "1 of 2 words to be mapped"),
        ("- strip: punctuation\n- words: {'maize.': corn}", "without punctuation"),
        ("- regex: {find: 'maiz.', replace: corn}", ""),
        ("- regex: {find: 'MAIZ.', replace: corn}", "matches nothing, and would without case"),
        ("- regex: {find: '(?i)MAIZ.', replace: corn}", ""),
        ("- regex: {find: maize, replace: Corn}\n- words: {maize: corn}", ""),
    ],
)
def test_rules_that_look_for_another_form_are_told(
    warnings, tmp_path: Path, rules: str, told: str
) -> None:
    indented = "\n".join(f"  {line}" for line in rules.splitlines())
    (tmp_path / "x.yaml").write_text(f"rules:\n{indented}\n")
    found = warnings(normalizer=str(tmp_path / "x.yaml"))
    assert len(found) == bool(told)
    assert all(told in warning and warning.startswith("rule `") for warning in found)


def test_a_warning_is_told_again_where_the_score_is_read(warnings, tmp_path: Path, caplog) -> None:
    warnings(str.upper)
    caplog.clear()
    settings = Settings(("plain",), 10)
    score_set(ASR, tmp_path / "ref/text", tmp_path / "hyp", tmp_path / "out", settings)
    assert "plain: 0 of 10 words of the hypotheses" in caplog.text
