from pathlib import Path

import numpy as np
import pytest

from speechllm.decode.words.confidence import mean_log_probs
from speechllm.slot.collate import Example, collate
from tests.helpers.tiny import make_speech_llm


def test_each_row_is_scored_as_if_alone(tmp_path: Path) -> None:
    model = make_speech_llm(tmp_path)
    rng = np.random.default_rng(0)
    targets = ([20, 21, 22], [], [30])
    examples = [
        Example(f"u{i}", "audio", rng.normal(size=(6 + i, 16)).astype(np.float16), target)
        for i, target in enumerate(targets)
    ]

    def batch_of(rows: list[Example]):
        return collate(rows, model.prompt, model.projector.output_length)

    found = mean_log_probs(model, batch_of(examples))
    for example, value in zip(examples, found, strict=True):
        score = model(batch_of([example]))
        assert score.tokens == len(example.target) + 1  # end-of-sequence counts
        assert value == pytest.approx(-float(score.nll) / score.tokens, abs=1e-4)
