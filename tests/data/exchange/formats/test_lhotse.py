"""The manifests are those of lhotse itself, which these tests ask where it is installed."""

import json
import subprocess
import sys

import pytest
import soundfile

from speechllm.data.exchange.exporting import export_set
from speechllm.data.exchange.formats import lhotse as form
from speechllm.data.exchange.importing import import_set
from speechllm.errors import DataError


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recording(**changes):
    return {
        "id": "rec",
        "sources": [{"type": "file", "channels": [0], "source": "/a/rec.wav"}],
        "sampling_rate": 16000,
        "num_samples": 32000,
        "duration": 2.0,
        "channel_ids": [0],
        **changes,
    }


def supervision(**changes):
    row = {"id": "u", "recording_id": "rec", "start": 0.5, "duration": 1.25, "channel": 0}
    return {**row, "text": "hello", **changes}


def test_lhotse_reads_what_is_exported(cut_set, whole_set, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    for data in (cut_set, whole_set):
        out = tmp_path / "manifests" / data.name
        export_set(data, form, out)
        recordings = lhotse.RecordingSet.from_file(out / form.RECORDINGS)
        supervisions = lhotse.SupervisionSet.from_file(out / form.SUPERVISIONS)
        lhotse.qa.validate_recordings_and_supervisions(recordings, supervisions, read_data=True)
        assert [s.id for s in supervisions] == ["a-1", "a-2", "b-1"]
        cuts = lhotse.CutSet.from_manifests(recordings, supervisions).trim_to_supervisions()
        samples = {cut.supervisions[0].id: cut.load_audio().shape for cut in cuts}
        wanted = {"a-1": 3200, "a-2": 43000, "b-1": 28000}
        if data is whole_set:
            wanted = dict.fromkeys(wanted, 16000)
        assert samples == {utt: (1, count) for utt, count in wanted.items()}


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_what_lhotse_writes_is_read(cut_set, tmp_path, suffix, caplog):
    """lhotse's own reader of data dirs makes the manifests; they come back as the data dir."""
    pytest.importorskip("lhotse")
    from lhotse.kaldi import load_kaldi_data_dir

    recordings, supervisions, _ = load_kaldi_data_dir(cut_set, sampling_rate=16000)
    folder = tmp_path / "manifests"
    folder.mkdir()
    recordings.to_file(folder / f"corpus_recordings_train.{suffix}")
    supervisions.to_file(folder / f"corpus_supervisions_train.{suffix}")
    import_set(form.read(folder), tmp_path / "back", audio_root=folder)
    for name in ("text", "wav.scp", "utt2spk", "spk2utt"):
        assert (tmp_path / "back" / name).read_text() == (cut_set / name).read_text()
    # Durations end with the recording, and an open end is a number.
    assert (tmp_path / "back/segments").read_text() == (
        "a-1 rec_a 0.1000 0.3000\na-2 rec_a 0.3125 3.0200\nb-1 rec_b 1.2500 3.0000\n"
    )
    assert "not taken: language (3 rows)" in caplog.text


def test_a_supervision_of_a_whole_recording_is_no_cut(tmp_path):
    lines(tmp_path / "recordings.jsonl", recording())
    lines(tmp_path / "supervisions.jsonl", supervision(id="rec", start=0, duration=2))
    (record,) = form.read(tmp_path)
    assert (record.audio, record.recording, record.start) == ("/a/rec.wav", None, None)
    assert str(record.duration) == "2"


@pytest.mark.parametrize(
    ("row", "of", "message"),
    [
        (recording(sources=[]), "recordings", "not a recording with one source"),
        (recording(transforms=[{"name": "Speed"}]), "recordings", "without transforms"),
        (
            recording(sources=[{"type": "url", "channels": [0], "source": "http://x"}]),
            "recordings",
            "only whole files and commands",
        ),
        (recording(id="other"), "supervisions", "recording rec is not in .*recordings.jsonl"),
        (supervision(channel=1), "supervisions", "neither one of them nor all"),
        (supervision(start="soon"), "supervisions", "not a number of seconds: 'soon'"),
        ({"id": "u", "text": "x"}, "supervisions", "not a supervision: 'recording_id'"),
        (supervision(custom=[1]), "supervisions", "not a supervision"),
        (supervision(channel=[[0]]), "supervisions", "not a supervision"),
        (supervision(text=None), "supervisions", "there is no 'text', or it is empty"),
    ],
)
def test_what_a_data_dir_cannot_say_is_refused(tmp_path, row, of, message):
    is_recording = "sources" in row
    lines(tmp_path / "recordings.jsonl", row if is_recording else recording())
    lines(tmp_path / "supervisions.jsonl", supervision() if is_recording else row)
    with pytest.raises(DataError, match=message) as caught:
        list(form.read(tmp_path))
    assert caught.value.path == tmp_path / f"{of}.jsonl" and caught.value.line == 1


def test_a_recording_that_stands_twice(tmp_path):
    lines(tmp_path / "recordings.jsonl", recording(), recording(duration=3.0))
    lines(tmp_path / "supervisions.jsonl", supervision())
    with pytest.raises(DataError, match=r"recordings\.jsonl:2: recording rec stands in an earlier"):
        list(form.read(tmp_path))


def test_the_files_are_found_or_asked_for(tmp_path):
    lines(tmp_path / "x_recordings_train.jsonl", recording())
    file = lines(tmp_path / "x_supervisions_train.jsonl", supervision())
    assert [record.id for record in form.read(tmp_path)] == ["u"]
    lines(tmp_path / "x_recordings_dev.jsonl", recording())
    with pytest.raises(DataError, match="1 files of supervisions and 2 of recordings") as caught:
        list(form.read(tmp_path))
    assert caught.value.remedy == "name the file of supervisions, or of cuts, instead of the folder"
    assert [record.id for record in form.read(file)] == ["u"]


@pytest.fixture
def cuts(tmp_path, monkeypatch, tone):
    """Cuts as lhotse makes them: one of 3 s with two supervisions, and one without any."""
    lhotse = pytest.importorskip("lhotse")
    monkeypatch.chdir(tmp_path)
    for name in ("r", "silent"):
        soundfile.write(f"{name}.wav", tone(3.0), 16000)
    recordings = [lhotse.Recording.from_file(f"{name}.wav") for name in ("r", "silent")]
    segments = [
        lhotse.SupervisionSegment("s1", "r", 0.5, 1.0, text="one two", speaker="a"),
        lhotse.SupervisionSegment("s2", "r", 1.5, 1.25, text="three", custom={"note": "x"}),
    ]
    return lhotse.CutSet.from_manifests(
        lhotse.RecordingSet.from_recordings(recordings),
        lhotse.SupervisionSet.from_segments(segments),
    )


@pytest.mark.parametrize("name", ["cuts.jsonl.gz", "train.jsonl"])
@pytest.mark.parametrize("trimmed", [False, True])
def test_cuts_are_read(cuts, tmp_path, caplog, name, trimmed):
    cuts = cuts.trim_to_supervisions(keep_overlapping=False) if trimmed else cuts
    (tmp_path / "x").mkdir()
    cuts.to_file(tmp_path / "x" / name)
    for place in (tmp_path / "x", tmp_path / "x" / name):
        import_set(form.read(place, keep=["note"]), tmp_path / "back", audio_root=tmp_path)
        tables = {
            "segments": "s1 r 0.5000 1.5000\ns2 r 1.5000 2.7500\n",
            "text": "s1 one two\ns2 three\n",
            "note": "s2 x\n",
            "wav.scp": f"r {tmp_path}/r.wav\n",
        }
        assert {n: (tmp_path / "back" / n).read_text() for n in tables} == tables
    assert trimmed or "cuts without supervision are not taken: 1 (" in caplog.text


@pytest.mark.parametrize("kind", ["mixed", "padded", "faster"])
def test_other_cuts_are_saved_as_lhotse_advises(cuts, tmp_path, kind):
    first, second = cuts.trim_to_supervisions(keep_overlapping=False)
    odd = {
        "mixed": lambda: first.append(second),
        "padded": lambda: first.pad(duration=5),
        "faster": lambda: first.perturb_speed(1.25),
    }[kind]()
    file = tmp_path / "cuts.jsonl.gz"
    type(cuts).from_cuts([odd]).to_file(file)
    with pytest.raises(DataError, match=r"no part of one recording|without transforms") as caught:
        list(form.read(file))
    command = caught.value.remedy.replace("python", sys.executable, 1)
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path, capture_output=True)
    record, *_ = form.read(tmp_path / "saved_cuts.jsonl.gz")
    assert record.text == "one two" and (tmp_path / record.audio).is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recording": None, "features": {}}, "has no recording, only features"),
        ({"type": "PaddingCut"}, "PaddingCut c is no part of one recording"),
        ({"channel": 1}, "neither one of them nor all"),
        ({"start": "soon"}, "not a cut with supervisions: not a number of seconds"),
        ({"supervisions": [{"id": "u"}]}, "not a cut with supervisions: 'start'"),
        ({"supervisions": 3}, "not a cut with supervisions"),
    ],
)
def test_cuts_that_a_data_dir_cannot_say(tmp_path, changes, message):
    own = {"id": "c", "start": 0, "duration": 2, "channel": 0, "recording": recording()}
    cut = {**own, "supervisions": [supervision()], "type": "MonoCut", **changes}
    lines(tmp_path / "cuts.jsonl", cut)
    with pytest.raises(DataError, match=message) as caught:
        list(form.read(tmp_path))
    assert caught.value.line == 1


@pytest.mark.parametrize("channel", [[[0]], {"a": 0}, "left", None, [None], 1e999])
def test_channels_that_are_none_are_refused(tmp_path, channel):
    lines(tmp_path / "in/recordings.jsonl", recording())
    lines(tmp_path / "in/supervisions.jsonl", supervision(channel=channel))
    with pytest.raises(DataError, match=r"supervisions\.jsonl:1: "):
        list(form.read(tmp_path / "in"))
    source = {"type": "file", "channels": channel, "source": "/a/rec.wav"}
    lines(tmp_path / "in/recordings.jsonl", recording(sources=[source]))
    with pytest.raises(DataError, match=r"\.jsonl:1: "):
        list(form.read(tmp_path / "in"))
