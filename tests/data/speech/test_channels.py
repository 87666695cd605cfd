"""A channel that is named: in data dirs, and from and to other formats."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm import cli
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.data.check.fix import fix_data_dir
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.combine import combine
from speechllm.data.dirs.kaldi import Audio, DataDir, read_table, write_data_dir, write_table
from speechllm.data.dirs.set_tables import read_set
from speechllm.data.exchange import formats
from speechllm.data.exchange.exporting import export_set
from speechllm.data.exchange.importing import import_set
from speechllm.data.speech.audio import load_audio
from speechllm.data.speech.feature_records import audio_hash
from speechllm.errors import DataError

RATE = 16000


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Two seconds; the second channel is louder than the first."""
    rng = np.random.default_rng(0)
    path = tmp_path / "call.wav"
    wave = rng.uniform(-1, 1, (2 * RATE, 2)) * [0.1, 0.5]
    soundfile.write(path, wave, RATE)
    return path


def side(call: Path, channel: int, first: int = 0, last: int | None = None) -> np.ndarray:
    return soundfile.read(call, dtype="float32")[0][first:last, channel]


@pytest.fixture
def data(call: Path, tmp_path: Path) -> Path:
    """Both sides of a call, each cut once."""
    write_data_dir(
        tmp_path / "calls",
        text={"a1": "hello", "b1": "good bye"},
        wav={"a": str(call), "b": str(call)},
        channels={"a": 0, "b": 1},
        segments={"a1": ("a", 0.0, 1.0), "b1": ("b", 0.5, 2.0)},
        utt2dur={"a1": 1.0, "b1": 1.5},
    )
    return tmp_path / "calls"


def heard(path: Path, call: Path) -> dict[str, int | None]:
    """Which channel each utterance is, by its samples."""
    return {
        utt: next((c for c in (0, 1) if np.abs(side(call, c)).max() == peak), None)
        for utt, audio in DataDir.load(path).audio.items()
        for peak in [np.abs(load_audio(Audio(audio.source, channel=audio.channel))).max()]
    }


def test_a_data_dir_says_which_channel_is_meant(data: Path, call: Path) -> None:
    audio = DataDir.load(data).audio
    np.testing.assert_array_equal(load_audio(audio["a1"]), side(call, 0, 0, RATE))
    np.testing.assert_array_equal(load_audio(audio["b1"]), side(call, 1, RATE // 2))
    assert not check_data_dir(data, full=True)
    before = audio_hash(DataDir.load(data))
    write_table(data / "reco2channel", {"a": "1", "b": "1"})
    assert audio_hash(DataDir.load(data)) != before
    (data / "reco2channel").unlink()
    assert {c.message for c in check_data_dir(data)} == {"2 channels are mixed down to their mean"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": "2"}, "there is no such channel"),
        ({"a": "A"}, "malformed: channel is not a number from 0"),
        ({"a": "-1"}, "malformed: channel is not a number from 0"),
        ({"c": "1"}, "channel of an unknown recording"),
    ],
)
def test_a_channel_that_cannot_be(data: Path, table: dict[str, str], message: str) -> None:
    write_table(data / "reco2channel", {"b": "1", **table})
    errors = [c for c in check_data_dir(data) if c.severity == "error"]
    assert [c.message for c in errors] == [message]


def test_fix_keeps_the_channels_of_what_is_left(data: Path, call: Path) -> None:
    write_table(data / "reco2channel", {"a": "0", "b": "1", "c": "1"})
    write_table(data / "text", {"a1": "", "b1": "good bye"})
    report = fix_data_dir(data)
    assert "channel of an unknown recording" in report.dropped
    assert read_table(data / "reco2channel") == {"b": "1"}
    assert heard(data, call) == {"b1": 1}


def test_parts_and_unions_have_the_channels_too(data: Path, call: Path, tmp_path: Path) -> None:
    read_set(data).select({"b1"}).write(tmp_path / "part")
    assert heard(tmp_path / "part", call) == {"b1": 1}
    plain = {"text": {"m": "both"}, "wav": {"m": str(call)}, "utt2dur": {"m": 2.0}}
    write_data_dir(tmp_path / "mean", **plain)
    write_data_dir(tmp_path / "whole", text={"w": "x"}, wav={"w": str(call)}, channels={"w": 1})
    sets = [read_set(tmp_path / name) for name in ("calls", "mean", "whole")]
    combine(sets, tmp_path / "all").write(tmp_path / "all")
    assert heard(tmp_path / "all", call) == {"a1": 0, "b1": 1, "m": None, "w": 1}


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "nemo", "lhotse", "hf"])
@pytest.mark.parametrize("cut", [True, False])
def test_channels_come_back(name: str, cut: bool, data: Path, call: Path, tmp_path: Path) -> None:
    if name == "hf":
        pytest.importorskip("datasets")
    if not cut:
        wav = {"a1": str(call), "b1": str(call), "m": str(call)}
        text = {"a1": "hello", "b1": "bye", "m": "both"}
        write_data_dir(data, text=text, wav=wav, channels={"a1": 0, "b1": 1})
    form = formats.get(name)
    path = tmp_path / f"out/{name}" if form.FOLDER else tmp_path / f"out.{name}"
    export_set(data, form, path)
    import_set(form.read(path), tmp_path / "back", audio_root=tmp_path)
    expected = {"a1": 0, "b1": 1} | ({} if cut else {"m": None})
    assert heard(data, call) == heard(tmp_path / "back", call) == expected
    times = [(a.start, a.end) for a in DataDir.load(data).audio.values()]
    assert [(a.start, a.end) for a in DataDir.load(tmp_path / "back").audio.values()] == times


def test_slam_has_whole_files_alone(data: Path, call: Path, tmp_path: Path) -> None:
    wav = {"a1": str(call), "b1": str(call)}
    write_data_dir(data, text={"a1": "hello", "b1": "bye"}, wav=wav, channels={"b1": 1})
    words = ["data", "export", "slam", str(data), str(tmp_path / "x.jsonl")]
    with pytest.raises(DataError, match=r"slam cannot hold one channel of several: 1 \(b1\)"):
        export_set(data, formats.get("slam"), tmp_path / "x.jsonl")
    cli.main([*words, "--audio_dir", str(tmp_path / "sides")])
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "sides/b1.flac", dtype="float32")[0], side(call, 1)
    )


def test_lhotse_hears_the_channel_too(data: Path, call: Path, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    form = formats.get("lhotse")
    export_set(data, form, tmp_path / "out")
    recordings = lhotse.RecordingSet.from_file(tmp_path / "out" / form.RECORDINGS)
    supervisions = lhotse.SupervisionSet.from_file(tmp_path / "out" / form.SUPERVISIONS)
    cuts = lhotse.CutSet.from_manifests(recordings, supervisions).trim_to_supervisions()
    samples = {cut.supervisions[0].id: cut.load_audio() for cut in cuts}
    np.testing.assert_array_equal(samples["a1"], side(call, 0, 0, RATE)[None])
    np.testing.assert_array_equal(samples["b1"], side(call, 1, RATE // 2)[None])
    cuts.to_file(tmp_path / "cuts.jsonl")
    import_set(form.read(tmp_path / "cuts.jsonl"), tmp_path / "back", audio_root=tmp_path)
    assert heard(tmp_path / "back", call) == {"a1": 0, "b1": 1}


def nemo(tmp_path: Path, *rows: dict[str, object]) -> Path:
    path = tmp_path / "m.json"
    path.write_text("".join(json.dumps({"duration": 1, "text": "x", **r}) + "\n" for r in rows))
    return path


def test_both_sides_of_a_file_without_ids(call: Path, tmp_path: Path) -> None:
    of = {"audio_filepath": str(call), "offset": 0.5}
    rows = [{**of, "channel_selector": c} for c in (0, 1, "average", [1])]
    rows[3]["offset"] = 0
    cli.main(["data", "import", "nemo", str(nemo(tmp_path, *rows)), str(tmp_path / "set")])
    cut = "call-0000050-0000150"
    assert heard(tmp_path / "set", call) == {
        f"{cut}-0": 0,
        f"{cut}-1": 1,
        cut: None,
        "call-0000000-0000100-1": 1,
    }
    assert len(read_table(tmp_path / "set/wav.scp")) == 3


@pytest.mark.parametrize("selector", [[0, 1], "left", -1, True, 0.5])
def test_a_selector_that_is_no_channel(selector: object, call: Path, tmp_path: Path) -> None:
    path = nemo(tmp_path, {"audio_filepath": str(call), "channel_selector": selector})
    with pytest.raises(DataError, match=r"m\.json:1: channel_selector is neither"):
        list(formats.get("nemo").read(path))


def test_a_reader_of_a_corpus_names_channels(call: Path, tmp_path: Path) -> None:
    entries = {f"u{c}": Audio(str(call), 0.5, 1.0, f"call-{c}", c) for c in (0, 1)}
    write_set(tmp_path / "set", [Utterance(utt, "x", audio) for utt, audio in entries.items()])
    assert heard(tmp_path / "set", call) == {"u0": 0, "u1": 1}
