import math
from pathlib import Path

import pytest

from speechllm.adapt.losses.difficulty import perplexities
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.files.layout import MODEL
from speechllm.model.bundle import save_bundle
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from speechllm.slot.corpus import Corpus
from tests.helpers.tiny import SENTENCES, make_speech_llm


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    model = make_speech_llm(tmp_path)
    save_bundle(tmp_path / MODEL, model)
    return model


def corpus(folder: Path, model: SpeechLLM, *sentences: str) -> Corpus:
    write_data_dir(folder, text={f"t{n}": s for n, s in enumerate(sentences)})
    return Corpus.load([folder]).measure(model.tokenizer, model.projector.output_length)


def test_it_is_that_of_each_sentence_alone(model: SpeechLLM, tmp_path: Path) -> None:
    found = perplexities(model, tmp_path / MODEL, corpus(tmp_path / "a", model, *SENTENCES))
    for n, sentence in enumerate(SENTENCES):
        target = model.tokenizer(sentence, add_special_tokens=False).input_ids
        batch = collate([Example("x", "empty", [], target)], model.prompt, lambda n: n)
        score = model(batch)
        assert found[f"t{n}"] == pytest.approx(math.exp(score.nll.item() / score.tokens), rel=1e-4)


def test_it_is_computed_once_for_each_text(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / MODEL
    found = perplexities(model, bundle, corpus(tmp_path / "a", model, "green grass", "cold water"))
    monkeypatch.setattr(model, "label_logits", None)
    same = corpus(tmp_path / "b" / "a", model, "green grass", "cold water")
    assert perplexities(model, bundle, same) == found
    with pytest.raises(TypeError):
        perplexities(model, bundle, corpus(tmp_path / "c" / "a", model, "green grass", "rain"))
