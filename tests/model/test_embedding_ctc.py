import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.config import CtcConfig, ModelConfig, ProjectorConfig
from speechllm.model.embedding_ctc import EmbeddingCtc, compress
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import IGNORED, Example, collate
from tests.helpers.tiny import make_encoder, make_llm

TABLE = torch.tensor([[2.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])
"""Three tokens; their mean length is 7/3."""


def ctc(**config: object) -> EmbeddingCtc:
    return EmbeddingCtc(CtcConfig(**config), 2)


def test_logits_are_cosines_whatever_the_lengths() -> None:
    logits = ctc().logits(torch.tensor([[3.0, 0.0], [0.0, -0.5]]), TABLE)
    expected = torch.tensor([[0.0, 20, 0, -20], [0.0, 0, -20, 0]])
    torch.testing.assert_close(logits, expected)


def test_the_loss_is_the_sum_over_all_paths() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 3)
    p = logits.softmax(-1)
    paths = [
        path
        for path in product(range(3), repeat=3)
        if [s for i, s in enumerate(path) if s and (not i or s != path[i - 1])] == [1, 2]
    ]
    expected = -math.log(sum(p[0, a] * p[1, b] * p[2, c] for a, b, c in paths))
    loss = EmbeddingCtc.loss(logits, [3], [torch.tensor([1, 2])])
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    too_long = EmbeddingCtc.loss(logits, [3], [torch.tensor([1, 1, 2])])
    assert float(too_long) == 0.0


def test_paths_leave_blanks_and_repeats_out() -> None:
    logits = torch.eye(3)[[0, 1, 1, 0, 1, 2, 2]]
    assert EmbeddingCtc.paths(logits, [5, 2]) == [[1, 1], [2]]


def test_projected_speech_is_as_long_as_an_embedding() -> None:
    read = ctc().read(torch.tensor([[3.0, 4.0], [0.1, 0.0]]), [2], TABLE)
    torch.testing.assert_close(read.vectors.norm(dim=1), torch.full((2,), 7 / 3))
    torch.testing.assert_close(read.vectors[0], torch.tensor([1.4, 28 / 15]))
    assert read.keep is None


def test_expected_embeddings_are_weighted_by_posteriors() -> None:
    sure = ctc(vectors="expected").read(torch.tensor([[0.0, 1.0]]), [1], TABLE)
    torch.testing.assert_close(sure.vectors, TABLE[1:2], atol=1e-5, rtol=0)
    head = ctc(vectors="expected", temperature=1e9)  # knows nothing: all are equally likely
    even = head.read(torch.tensor([[0.0, 1.0]]), [1], TABLE)
    torch.testing.assert_close(even.vectors, TABLE.sum(0)[None] / 4)


def test_posteriors_are_of_the_nearest_tokens() -> None:
    head = ctc(vectors="expected", candidates=2, temperature=1e9)
    speech = torch.tensor([[-1.0, 0.1], [1.0, 0.1]])
    expected = [(TABLE[2] + TABLE[1]) / 3, (TABLE[0] + TABLE[1]) / 3]
    for dtype in (torch.float32, torch.bfloat16):
        read = head.read(speech.to(dtype), [1, 1], TABLE)
        torch.testing.assert_close(read.vectors, torch.stack(expected))


def test_compression_by_hand() -> None:
    vectors = torch.arange(14.0).view(7, 2)
    best = torch.tensor([1, 1, 0, 1, 2, 2, 0])  # the first utterance ends after the fifth
    read = compress(vectors, best, [5, 2])
    assert read.keep.tolist() == [True, False, False, True, True, True, False]
    kept = read.vectors[read.keep]
    assert torch.equal(kept, torch.stack([vectors[:2].mean(0), *vectors[3:6]]))
    alone = compress(vectors[5:], best[5:], [2])
    assert torch.equal(alone.vectors[alone.keep], kept[3:])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("models")
    return make_encoder(place / "encoder"), make_llm(place / "llm")


def make_model(folders: tuple[Path, Path], **config: object) -> SpeechLLM:
    torch.manual_seed(0)
    encoder, llm = map(str, folders)
    projector = ProjectorConfig(downsampling=2, hidden=16, ctc=CtcConfig(**config))
    model = SpeechLLM(ModelConfig(encoder=encoder, llm=llm, projector=projector)).eval()
    torch.nn.init.normal_(model.ctc.blank, std=20.0)  # so that some positions are blank
    return model


def batch_of(model: SpeechLLM, *frames: int):
    rng = np.random.default_rng(0)
    waves = {n: rng.normal(size=(n, 16)).astype(np.float16) for n in (14, 40, 9)}
    examples = [Example(f"u{n}", "audio", waves[n], [20 + n, 21, 22]) for n in frames]
    return collate(examples, model.prompt, model.projector.output_length)


@pytest.mark.parametrize("vectors", ["projected", "expected"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_batch_is_its_utterances_alone(
    folders: tuple[Path, Path], vectors: str, compressed: bool
) -> None:
    model = make_model(folders, vectors=vectors, compress=compressed)
    together = model(batch_of(model, 14, 40, 9)).nll
    alone = sum(model(batch_of(model, n)).nll for n in (14, 40, 9))
    torch.testing.assert_close(together, alone)


def test_what_is_left_of_speech_moves_up_to_the_suffix(folders: tuple[Path, Path]) -> None:
    model = make_model(folders, compress=True)
    batch = batch_of(model, 14, 40)
    filled = model.fill(batch)
    left = filled.speech_mask.sum(1)
    assert filled.kept.sum() == left.sum() and 0 < left.sum() < len(filled.kept)
    rows = filled.attention_mask.sum(1)
    assert torch.equal(rows, model.prompt.overhead + left + 3)  # overhead has the eos
    assert filled.embeddings.shape[1] == rows.max()
    for row, labels in zip(filled.labels, batch.labels, strict=True):
        assert torch.equal(row[row != IGNORED], labels[labels != IGNORED])
    prefix = model.embedding(torch.tensor(model.prompt.prefix))
    start = int((filled.attention_mask[0] == 0).sum())
    assert torch.equal(filled.embeddings[0, start : start + len(prefix)], prefix)


def test_a_snapped_utterance_is_its_most_likely_path(folders: tuple[Path, Path]) -> None:
    model = make_model(folders)
    batch = batch_of(model, 14, 40)
    speech = model.projector(batch.frames, batch.frame_lengths)
    logits = model.ctc.logits(speech, model.known_embeddings)
    paths = model.ctc.paths(logits, [7, 20])
    expected = [model.tokenizer.decode([s - 1 for s in path]) for path in paths]
    assert model.snap(batch) == expected and all(expected)
