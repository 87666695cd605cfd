"""The boost that is chosen is the best of the grid on the dev set."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from speechllm.config import parse
from speechllm.data.dirs.bias_lists import write_words
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.tuning.tune_boost import tune_boost
from speechllm.decode.tuning.weights import read_boost, with_boost
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.slot.corpus import Corpus
from tests.helpers.tiny import SENTENCES, make_set

GRID = (0.0, 2.0, 30.0)


@pytest.fixture
def corpus(tmp_path: Path, ctc_model) -> Corpus:
    corpus = Corpus.load([make_set(tmp_path / "farm_dev", "spk")])
    write_words(tmp_path / "farm_dev", sorted({w for s in SENTENCES for w in s.split()}))
    rng = np.random.default_rng(0)
    counts = {utt: 10 + 7 * n for n, utt in enumerate(corpus.text)}
    corpus.frames = {utt: rng.normal(0, 3, (n, 16)).astype(np.float16) for utt, n in counts.items()}
    corpus.frame_counts = counts
    return corpus.measure(ctc_model.tokenizer, ctc_model.projector.output_length)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (TENSORS, DESCRIPTION):
        (folder / name).write_text("{}")
    return folder


def config(**trie) -> DecodeConfig:
    biasing = {"trie": {"boost": None, "grid": GRID, **trie}}
    return parse(DecodeConfig, {"max_tokens_per_second": 8, "beam": 2, "biasing": biasing}, "test")


def test_the_best_on_dev_is_chosen_and_kept(ctc_model, corpus, bundle, tmp_path) -> None:
    decoder = Decoder.load(ctc_model, with_boost(config(), 2.0))
    decoder.config = decoder.config.model_copy(update={"guard": None})
    decoder.use_lists(corpus.dirs[0].bias_lists)
    from speechllm.slot.collate import Example

    seconds = corpus.dirs[0].utt2dur
    for utt in corpus.text:  # what a boost of 2 hears is the reference
        example = Example(utt, "audio", corpus.frames[utt])
        corpus.targets[utt] = decoder.decode([example], [seconds[utt]])[0].best.text or "nothing"
    out = tmp_path / "tuning"
    tuning = tune_boost(ctc_model, corpus, bundle, config(), out)
    assert tuning.error == 0.0 and tuning.grid[0]["error"] > 0.0
    assert tuning.chosen == 2.0  # a boost of 30 hears the same: of equal ones the smallest
    assert [point["boost"] for point in tuning.grid] == list(GRID)
    assert tuning.apply(config()).biasing.trie.boost == 2.0
    assert asdict(read_boost(out)) == asdict(tuning)
    corpus.frames = {}  # what was tuned is read, not decoded again
    assert tune_boost(ctc_model, corpus, bundle, config(), out) == tuning
    with pytest.raises(SpeechLLMError, match="grid"):
        tune_boost(ctc_model, corpus, bundle, config(grid=(0.0, 1.0)), out)


def test_only_some_utterances_where_so_many_are_asked_for(ctc_model, corpus, bundle, tmp_path):
    tuning = tune_boost(
        ctc_model, corpus, bundle, config(grid=(0.0,), tune_utterances=2), tmp_path / "tuning"
    )
    assert tuning.utterances == 2 and tuning.chosen == 0.0


def test_an_open_boost_needs_a_dev_set_with_lists(ctc_model, corpus, bundle, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"biasing\.trie\.boost: null"):
        Decoder.load(ctc_model, config())
    (tmp_path / "farm_dev/bias_words").unlink()
    with pytest.raises(DataError, match="no bias lists"):
        tune_boost(ctc_model, corpus, bundle, config(), tmp_path / "tuning")
