from pathlib import Path

import numpy as np
import torch

from speechllm.config import ModelConfig, ProjectorConfig, TimeMasksConfig
from speechllm.data.collate import Example, collate
from speechllm.model.speech_llm import SpeechLLM
from speechllm.model.time_masks import masked
from tests.tiny import make_encoder, make_llm


def test_spans_are_inside_their_utterance_and_no_longer_than_asked() -> None:
    torch.manual_seed(0)
    frames = torch.ones(3, 200, 2)
    lengths = torch.tensor([200, 99, 4])
    hidden = 0
    for _ in range(50):
        found = masked(frames, lengths, TimeMasksConfig(frames=10, every=50))
        assert torch.equal(found[:, :, 0], found[:, :, 1])
        silent = found[:, :, 0] == 0
        assert (silent.sum(1) <= torch.tensor([40, 10, 4])).all()
        assert not silent[1, 99:].any() and not silent[2, 4:].any()
        hidden += silent[0].float().mean().item() / 50
    assert 0.07 < hidden < 0.12  # 4 spans of 5 frames on average, some of which overlap
    assert frames.min() == 1


def test_only_a_model_in_training_is_kept_from_hearing(tmp_path: Path) -> None:
    model = SpeechLLM(
        ModelConfig(
            encoder=str(make_encoder(tmp_path / "encoder")),
            llm=str(make_llm(tmp_path / "llm")),
            projector=ProjectorConfig(downsampling=2, hidden=16),
            time_masks=TimeMasksConfig(frames=8, every=10),
        )
    )
    frames = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float16)
    examples = [Example("u", "audio", frames, [20, 21])]
    batch = collate(examples, model.prompt, model.projector.output_length)
    whole = model.projector(batch.frames, batch.frame_lengths)
    assert torch.equal(model.eval().project(batch), whole)
    torch.manual_seed(1)
    first = model.train().project(batch)
    assert not torch.equal(first, whole)
    torch.manual_seed(1)
    assert torch.equal(model.project(batch), first)
