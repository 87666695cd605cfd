"""The cache of encoder output, with a made-up encoder that counts its calls."""

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from speechllm.data.dirs.kaldi import Audio, DataDir
from speechllm.data.speech import features
from speechllm.data.speech.audio_error import WaveError
from speechllm.data.speech.features import Features, extract, merge, open_features
from speechllm.errors import DataError
from speechllm.files.made_from import verifying
from speechllm.pretrained import encoder_files, encoder_key
from tests.helpers.tiny import make_set


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


@pytest.mark.parametrize("changed", ["encoder/model.safetensors", "audio"])
def test_a_stale_cache_is_refused_by_what_changed(place, changed: str) -> None:
    data, dump = place
    extract([data], dump, "encoder", FakeEncoder().load)
    merge([data], dump, "encoder")
    if changed != "audio":
        Path("encoder/model.safetensors").write_text("other weights")
    else:
        scp = data.path / "wav.scp"
        scp.write_text(scp.read_text().replace("spk-0.wav", "spk-1.wav"))
    with pytest.raises(DataError, match=f"another {changed}.*\n.*rm -r") as caught:
        open_features(dump, "encoder", data)
    shutil.rmtree(str(caught.value.remedy).split()[2].rstrip(","))
    assert make([data], dump).frames


def make(sets: list[DataDir], dump: Path) -> Features:
    """Stage 3; the features of the first set."""
    encoder = FakeEncoder()
    extract(sets, dump, "encoder", encoder.load)
    merge(sets, dump, "encoder")
    return open_features(dump, "encoder", sets[0])


def age(folder: Path) -> None:
    """Make all files an hour older, so that their times are trusted."""
    then = time.time_ns() - 3600 * 10**9
    for path in (p for p in folder.rglob("*") if p.is_file()):
        os.utime(path, ns=(then, then))


def altered(path: Path, keep_time: bool = False) -> None:
    """Change the last byte of a file."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("settled", [False, True])
def test_audio_replaced_under_its_name_is_refused_until_its_chunk_is_made_anew(
    place, settled: bool
) -> None:
    data, dump = place
    if settled:
        age(data.path)
    before = {utt: frames.copy() for utt, frames in make([data], dump).frames.items()}
    shutil.copy(data.audio["spk-0"].source, data.audio["spk-4"].source)
    with pytest.raises(DataError, match=r"changed since stage 3: .*spk-4\.wav") as caught:
        open_features(dump, "encoder", data)
    assert caught.value.remedy == "run stage 3 (features) again"
    encoder = FakeEncoder()
    extract([data], dump, "encoder", encoder.load)
    merge([data], dump, "encoder")
    assert sum(map(len, encoder.batches)) == 3  # of one chunk
    after = open_features(dump, "encoder", data).frames
    for utt, frames in before.items():
        assert np.array_equal(frames, after[utt]) == (utt != "spk-4")
    assert np.array_equal(after["spk-4"], before["spk-0"])


def test_another_time_of_the_audio_alone_is_no_change(place) -> None:
    data, dump = place
    make([data], dump)
    age(data.path)
    open_features(dump, "encoder", data)
    extract([data], dump, "encoder", lambda: pytest.fail("the encoder is not needed"))


def test_audio_that_kept_its_size_and_time_is_found_by_verifying(place) -> None:
    data, dump = place
    age(data.path)
    make([data], dump)
    altered(Path(data.audio["spk-4"].source), keep_time=True)
    open_features(dump, "encoder", data)
    with verifying(), pytest.raises(DataError, match=r"spk-4\.wav"):
        open_features(dump, "encoder", data)
    with verifying():
        make([data], dump)


def test_audio_that_was_removed_leaves_its_features(place) -> None:
    data, dump = place
    make([data], dump)
    Path(data.audio["spk-4"].source).unlink()
    assert "spk-4" in open_features(dump, "encoder", data).frames


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


CHUNK = ("feats.1.ark", "feats.1.scp", "feats.1.crc", "utt2num_frames.1", "timing.json.1")
JOINT = ("feats.scp", "feats.crc", "utt2num_frames", "timing.json", "wav.sha256")


@pytest.mark.parametrize("name", [*CHUNK, *JOINT])
def test_stage_3_mends_any_damage(place, name: str) -> None:
    data, dump = place
    found = make([data], dump)
    before, counts = (
        {utt: frames.copy() for utt, frames in found.frames.items()},
        found.frame_counts,
    )
    for damage in (altered, cut, Path.unlink):
        damage(dump / "encoder/some_set" / name)
        after = make([data], dump)
        assert after.frame_counts == counts
        for utt, frames in before.items():
            np.testing.assert_array_equal(after.frames[utt], frames)


@pytest.mark.parametrize("name", ["feats.scp", "feats.crc", "utt2num_frames", "timing.json"])
def test_damage_of_what_was_merged_is_refused(place, name: str) -> None:
    data, dump = place
    make([data], dump)
    altered(dump / "encoder/some_set" / name)
    with pytest.raises(DataError, match=f"changed since stage 3: {name}") as caught:
        open_features(dump, "encoder", data)
    assert caught.value.remedy == "run stage 3 (features) again"


@pytest.mark.parametrize("keep_time", [False, True])
def test_the_remedy_for_a_damaged_ark_is_no_circle(place, keep_time: bool) -> None:
    data, dump = place
    make([data], dump)
    age(dump)
    make([data], dump)  # which takes the new times
    altered(dump / "encoder/some_set/feats.2.ark", keep_time)
    frames = open_features(dump, "encoder", data).frames
    with pytest.raises(DataError, match="damaged") as caught:
        dict(frames)
    _, scp, *rest = str(caught.value.remedy).split()
    assert " ".join(rest) == "then run stage 3 (features) again"
    Path(scp.rstrip(",")).unlink()
    assert len(dict(make([data], dump).frames)) == 8


def test_features_of_an_older_version_are_taken_and_said_to_be_so(place, caplog) -> None:
    data, dump = place
    caplog.set_level("INFO")
    make([data], dump)
    folder = dump / "encoder/some_set"
    for path in (*folder.glob("made_from*"), *folder.glob("*.crc"), folder / "merged.json"):
        path.unlink()
    key = json.loads((folder / "key.json").read_text()) | encoder_key("encoder")
    (folder / "key.json").write_text(json.dumps(key))
    extract([data], dump, "encoder", lambda: pytest.fail("the encoder is not needed"))
    assert f"{folder}: an older version made it" in caplog.text
    open_features(dump, "encoder", data)
    Path("encoder/model.safetensors").write_text("other weights")
    with pytest.raises(DataError, match=r"another encoder/model\.safetensors"):
        open_features(dump, "encoder", data)


def test_missing_features_name_the_stage(place) -> None:
    data, dump = place
    with pytest.raises(DataError, match="stage 3"):
        open_features(dump, "encoder", data)


def test_an_encoder_that_cannot_be_found_names_key_and_remedy(place, monkeypatch) -> None:
    from speechllm.errors import ConfigError

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"(?s)model\.encoder.*hf download no-such-org"):
        encoder_files("no-such-org/no-such-model")


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (np.zeros((0, 1), np.float16), "the encoder makes no frame of it"),
        (np.full((3, 1), np.inf, np.float16), "frames of it hold NaN or Inf"),
        (
            WaveError(0, 0.04),
            r"shorter than 0\.04 s.*\n  -> speechllm data fix --min_seconds 0\.04",
        ),
    ],
)
def test_what_has_no_frames_is_named_and_never_stored(place, encoded, message: str) -> None:
    data, dump = place

    def encode(waves: list[np.ndarray]) -> list[np.ndarray]:
        if isinstance(encoded, WaveError):
            raise encoded
        return [encoded] * len(waves)

    with pytest.raises(DataError, match=rf"wav\.scp: \S+: .*{message}") as caught:
        extract([data], dump, "encoder", lambda: encode, batch_seconds=0.1)
    assert any(f" {utt}: " in str(caught.value) for utt in data.ids)
    assert not list(dump.rglob("feats.*.scp"))


def test_audio_that_cannot_be_read_is_named_by_its_utterance(place) -> None:
    data, dump = place
    utt = data.ids[1]
    data.audio[utt] = Audio("nowhere.wav", recording="rec9")
    with pytest.raises(DataError, match=f"{utt}: .*rec9 nowhere.wav.*missing"):
        extract([data], dump, "encoder", FakeEncoder().load)


def test_several_threads_make_the_same_and_name_the_same_utterance(place) -> None:
    data, dump = place
    for name, threads in (("one", 1), ("three", 3)):
        load, asked = FakeEncoder().load, partial(int, threads)
        extract([data], dump / name, "encoder", load, batch_seconds=1, threads=asked)
        merge([data], dump / name, "encoder")
    one, three = (open_features(dump / name, "encoder", data) for name in ("one", "three"))
    assert [*one.frames] == [*three.frames]
    assert all(np.array_equal(one.frames[utt], three.frames[utt]) for utt in data.ids)

    def nothing(waves: list[np.ndarray]) -> list[np.ndarray]:
        return [np.zeros((0, 1), np.float16) for _ in waves]

    shortest = min(data.ids[:3], key=lambda utt: data.utt2dur[utt])
    with pytest.raises(DataError, match=f"{shortest}: the encoder makes no frame"):
        extract([data], dump / "none", "encoder", lambda: nothing, threads=lambda: 3)
    assert not any(dump.glob("none/*/*/feats.*"))
