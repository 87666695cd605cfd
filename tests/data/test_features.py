"""The cache of encoder output, with a made-up encoder that counts its calls."""

from pathlib import Path

import numpy as np
import pytest

from speechllm.data import features
from speechllm.data.features import extract, merge, open_features
from speechllm.data.kaldi import DataDir
from speechllm.errors import DataError
from tests.tiny import make_set


class FakeEncoder:
    """Frames are the mean of every 1600 samples; batches are remembered."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def load(self):
        return self.encode

    def encode(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        self.batches.append([len(wave) for wave in waves])
        groups = [wave[: len(wave) // 1600 * 1600].reshape(-1, 1600) for wave in waves]
        return [g.mean(1, keepdims=True).astype(np.float16) for g in groups]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """(data dir, dump folder), with an encoder folder that has some weights."""
    monkeypatch.setattr(features, "CHUNK_UTTERANCES", 3)
    monkeypatch.chdir(tmp_path)
    Path("encoder").mkdir()
    Path("encoder/config.json").write_text("{}")
    Path("encoder/model.safetensors").write_text("weights")
    features.encoder_key.cache_clear()
    return DataDir.load(make_set(tmp_path / "some_set", "spk")), tmp_path / "dump"


def test_features_come_back_by_id(place) -> None:
    data, dump = place
    encoder = FakeEncoder()
    extract([data], dump, "encoder", encoder.load)
    merge([data], dump, "encoder")
    found = open_features(dump, "encoder", data)
    assert set(found.frames) == set(data.ids) == set(found.frame_counts)
    for utt in data.ids:
        assert found.frames[utt].dtype == np.float16
        assert len(found.frames[utt]) == found.frame_counts[utt] == int(data.utt2dur[utt] * 10)


def test_batches_are_sorted_and_within_budget(place) -> None:
    data, dump = place
    encoder = FakeEncoder()
    extract([data], dump, "encoder", encoder.load, batch_seconds=3)
    for batch in encoder.batches:
        assert batch == sorted(batch)
        assert len(batch) == 1 or len(batch) * max(batch) <= 3 * 16000
    assert sum(map(len, encoder.batches)) == 8


def test_jobs_share_the_work_and_a_rerun_does_nothing(place) -> None:
    data, dump = place
    encoder = FakeEncoder()
    for job in (1, 2):
        extract([data], dump, "encoder", encoder.load, job=job, jobs=2)
    assert sum(map(len, encoder.batches)) == 8
    merge([data], dump, "encoder")
    extract([data], dump, "encoder", lambda: pytest.fail("the encoder is not needed"))


def test_a_killed_run_goes_on_with_missing_chunks(place) -> None:
    data, dump = place
    encoder = FakeEncoder()
    extract([data], dump, "encoder", encoder.load)
    (dump / "encoder/some_set/feats.2.scp").unlink()
    with pytest.raises(DataError, match="chunk 2"):
        merge([data], dump, "encoder")
    again = FakeEncoder()
    extract([data], dump, "encoder", again.load)
    assert sum(map(len, again.batches)) == 3
    merge([data], dump, "encoder")
    assert set(open_features(dump, "encoder", data).frames) == set(data.ids)


@pytest.mark.parametrize("changed", ["sha256", "audio"])
def test_a_stale_cache_is_refused_by_what_changed(place, changed: str) -> None:
    data, dump = place
    extract([data], dump, "encoder", FakeEncoder().load)
    merge([data], dump, "encoder")
    if changed == "sha256":
        Path("encoder/model.safetensors").write_text("other weights")
        features.encoder_key.cache_clear()
    else:
        scp = data.path / "wav.scp"
        scp.write_text(scp.read_text().replace("spk-0.wav", "spk-1.wav"))
    with pytest.raises(DataError, match=f"another {changed}.*\n.*rm -r"):
        open_features(dump, "encoder", data)


def test_missing_features_name_the_stage(place) -> None:
    data, dump = place
    with pytest.raises(DataError, match="stage 3"):
        open_features(dump, "encoder", data)


def test_an_encoder_that_cannot_be_found_names_key_and_remedy(place) -> None:
    from speechllm.errors import ConfigError

    with pytest.raises(ConfigError, match=r"(?s)model\.encoder.*hf auth login"):
        features.encoder_key("no-such-org/no-such-model")
