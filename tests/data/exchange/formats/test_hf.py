"""Datasets on disk; these tests are skipped without the package `datasets`."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.data.exchange.exporting import export_set
from speechllm.data.exchange.formats import hf as form
from speechllm.data.exchange.importing import import_set
from speechllm.errors import DataError, SpeechLLMError


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets")


def test_without_the_package_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SpeechLLMError, match="datasets is not installed") as caught:
        list(form.read(tmp_path))
    assert caught.value.remedy == "python -m pip install datasets"


def test_embedded_audio_goes_out_and_comes_back(datasets, whole_set, tmp_path):
    target = tmp_path / "hub"
    export_set(whole_set, form, target, options={"embed_audio": True})
    dataset = datasets.load_from_disk(str(target))
    assert isinstance(dataset.features["audio"], datasets.Audio) and len(dataset) == 3
    wav = read_table(whole_set / "wav.scp")
    originals = {utt: Path(path).read_bytes() for utt, path in wav.items()}
    for path in wav.values():
        Path(path).unlink()
    import_set(form.read(target), tmp_path / "back", audio_root=target)
    back = DataDir.load(tmp_path / "back")
    assert back.audio["a-1"].source == str(tmp_path / "back/audio/a-1.wav")
    for utt, audio in back.audio.items():
        assert Path(audio.source).read_bytes() == originals[utt]
    for name in ("text", "utt2spk", "utt2dur", "entities", "semantics"):
        assert (tmp_path / "back" / name).read_text() == (whole_set / name).read_text()


def test_cuts_are_embedded_as_files_of_their_own(datasets, cut_set, tmp_path):
    options = {"embed_audio": True}
    with pytest.raises(DataError, match="a-1 is a part of its file") as caught:
        export_set(cut_set, form, tmp_path / "hub", options=options)
    assert "--audio_dir" in caught.value.remedy and not (tmp_path / "hub").exists()
    export_set(cut_set, form, tmp_path / "hub", audio_dir=tmp_path / "cuts", options=options)
    import_set(form.read(tmp_path / "hub"), tmp_path / "back", audio_root=tmp_path)
    audio = DataDir.load(tmp_path / "back").audio
    assert soundfile.info(audio["a-1"].source).frames == 3200
    assert audio["a-1"].source.endswith("a-1.flac")


def test_a_dataset_of_others(datasets, tmp_path, caplog):
    """Other names of columns, splits, no ids, numbers: as datasets on the hub are."""
    rows = {"sentence": ["one", "two"], "client": ["x", "y"], "age": [30, 41], "up": [True, False]}
    split = datasets.Dataset.from_dict(rows)
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "hub"))
    with pytest.raises(DataError, match="--split names one of the splits; known: train, test"):
        list(form.read(tmp_path / "hub"))
    columns = {"text": "sentence", "speaker": "client"}
    records = form.read(tmp_path / "hub", split="test", columns=columns, keep=["age"])
    import_set(records, tmp_path / "set", audio_root=tmp_path, number_ids="t-")
    assert (tmp_path / "set/text").read_text() == "t-0000001 one\nt-0000002 two\n"
    assert (tmp_path / "set/utt2spk").read_text() == "t-0000001 x\nt-0000002 y\n"
    assert (tmp_path / "set/age").read_text() == "t-0000001 30\nt-0000002 41\n"
    assert "not taken: up (2 rows)" in caplog.text


def test_only_a_dataset_is_read_and_replaced(datasets, whole_set, tmp_path):
    with pytest.raises(DataError, match="not a dataset on disk"):
        list(form.read(whole_set))
    with pytest.raises(DataError, match="something else in the place of the result"):
        export_set(whole_set, form, whole_set.parent)
    for _ in range(2):
        export_set(whole_set, form, tmp_path / "hub")
    with pytest.raises(DataError, match="no splits, so no 'train'"):
        list(form.read(tmp_path / "hub", split="train"))


def decoded(datasets, folder, **fields):
    """A dataset whose audio is a plain struct, as map() without a cast leaves it."""
    rows = {"id": ["u1"], "audio": [fields], "text": ["we"]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(folder))
    return folder


@pytest.mark.parametrize("more", [{}, {"path": "calls/x.flac"}])
@pytest.mark.parametrize("channels", [1, 2])
def test_decoded_samples_are_written_at_their_rate(datasets, tmp_path, more, channels):
    samples = np.random.default_rng(1).uniform(-1.5, 1.5, (800, channels)).astype(np.float32)
    array = samples[:, 0] if channels == 1 else samples.T
    source = decoded(datasets, tmp_path / "hub", array=array.tolist(), sampling_rate=8000, **more)
    import_set(form.read(source), tmp_path / "out", audio_root=tmp_path)
    assert read_table(tmp_path / "out/wav.scp") == {"u1": str(tmp_path / "out/audio/u1.wav")}
    found, rate = soundfile.read(tmp_path / "out/audio/u1.wav", dtype="float32", always_2d=True)
    assert rate == 8000 and (found == samples).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"samples": [0.0], "rate": 1},
            "the column 'audio' has the fields samples, rate: no audio",
        ),
        ({"array": [float("nan")], "sampling_rate": 8000}, ":1: column 'audio': no samples"),
        ({"array": [0.0], "sampling_rate": -1}, ":1: column 'audio': "),
        ({"array": ["a"], "sampling_rate": 8000}, ":1: column 'audio': "),
        ({"array": [[[0.0]]], "sampling_rate": 8000}, ":1: column 'audio': no samples"),
    ],
)
def test_a_struct_that_is_no_audio_is_refused(datasets, tmp_path, fields, message):
    source = decoded(datasets, tmp_path / "hub", **fields)
    with pytest.raises(SpeechLLMError, match=message) as caught:
        import_set(form.read(source), tmp_path / "out", audio_root=tmp_path)
    if "samples" in fields:
        assert 'cast_column("audio", Audio())' in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_damaged_dataset_is_named(datasets, tmp_path):
    source = decoded(datasets, tmp_path / "hub", array=[0.0] * 9, sampling_rate=8000)
    for file in sorted(source.iterdir()):
        whole = file.read_bytes()
        for damaged in (b"", b"[]", b"{}", b"\xff" * 200, whole[: len(whole) // 2]):
            file.write_bytes(damaged)
            try:
                import_set(form.read(source), tmp_path / "out", audio_root=tmp_path)
            except SpeechLLMError as error:
                assert str(source) in str(error)
        file.write_bytes(whole)
