"""Which audio a mixture draws: a fixed part, or one chosen anew in each epoch."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from speechllm.config import TrainConfig
from speechllm.data.dirs.kaldi import DataDir
from speechllm.errors import ConfigError
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixing import Mixture
from speechllm.slot.mixture import Component
from speechllm.slot.views import Views
from tests.adapt.test_methods import method

MODEL = SimpleNamespace(prompt=SimpleNamespace(overhead=10))


def domain(name: str, size: int, frames: int = 20) -> Corpus:
    """Utterances of four tokens, as text alone or with speech."""
    text = {f"{name}{i}": "x" for i in range(size)}
    corpus = Corpus([DataDir(Path(name), name, list(text), text, dict.fromkeys(text, "x.wav"))])
    corpus.text_tokens = corpus.target_tokens = dict.fromkeys(corpus.text, 4)
    corpus.speech_lengths = dict.fromkeys(corpus.text, frames)
    return corpus


def mixture(components: list[Component], **corpora: Corpus) -> Mixture:
    config = TrainConfig(steps=1, batch_positions=400)
    views = Views(None, corpora, projected_text={})
    return Mixture(components, views, MODEL, config)


def mixed_batching(tmp_path: Path, **knobs: object) -> Mixture:
    settings = {"p": 0.1, "sigma_ta": 0, "sigma_t": 0, **knobs}
    parts = method(tmp_path, method="mixed_batching", **settings).components({})
    return mixture(list(parts), source=domain("s", 300), target=domain("t", 200))


def drawn(mix: Mixture, component: int, epoch: int) -> list[str]:
    batches = mix.plan(epoch).batches
    items = (item for batch in batches for item in batch)
    return [item.utt_id for item in items if item.component == component]


def test_each_epoch_shows_every_target_utterance_once_and_a_tenth_as_audio(tmp_path: Path) -> None:
    mix = mixed_batching(tmp_path, redraw=True)
    for epoch in range(3):
        audio, text = drawn(mix, 0, epoch), drawn(mix, 1, epoch)
        assert len(audio) == 20 and len(text) == 180
        assert len({*audio, *text}) == 200
    assert set(drawn(mix, 0, 0)) != set(drawn(mix, 0, 1))
    assert drawn(mix, 0, 2) == drawn(mix, 0, 2)


def test_redrawn_audio_covers_what_the_published_code_hears(tmp_path: Path) -> None:
    """1 - (1 - p)^5 of all utterances after five epochs: 41 % at p = 10 %."""
    heard = mixed_batching(tmp_path, redraw=True).audio_used("target", 5, 0)
    assert len(heard) / 200 == pytest.approx(1 - 0.9**5, abs=0.05)


def test_hours_count_what_was_drawn_up_to_the_last_step(tmp_path: Path) -> None:
    mix = mixed_batching(tmp_path, redraw=True)
    audio = set(drawn(mix, 0, 0))
    assert mix.audio_used("target", 0, 0) == set()
    assert mix.audio_used("target", 1, 0) == audio
    part = mix.audio_used("target", 0, 3)
    assert 0 < len(part) < 20 and part < audio
    assert audio < mix.audio_used("target", 1, 3)


def test_a_fixed_part_counts_whole(tmp_path: Path) -> None:
    mix = mixed_batching(tmp_path)
    assert set(drawn(mix, 0, 0)) == set(drawn(mix, 0, 1)) == mix.audio_used("target", 0, 1)
    assert len(mix.audio_used("target", 7, 0)) == 20
    assert len(mix.audio_used("source", 0, 0)) == 300


def test_a_component_without_share_needs_no_data() -> None:
    """No frames and no projected text are there, and none are asked for."""
    target, source = domain("t", 5), domain("s", 5)
    source.speech_lengths = {}
    parts = [
        Component("noisy_text", "target", 0.5),
        Component("audio", "source", 0.0),
        Component("projected_text", "source", 0.0),
        Component("noisy_text", "source", None),
    ]
    mix = mixture(parts, source=source, target=target)
    assert mix.plan(0).counts() == {0: 5, 3: 5}
    assert mix.audio_used("source", 1, 0) == set()


def test_a_share_of_nothing_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="target audio, but it has no utterances"):
        mixture([Component("audio", "target", 1.0, fraction=0.0)], target=domain("t", 5))
