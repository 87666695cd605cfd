"""The manifests are those of lhotse itself, which these tests ask where it is installed."""

import json

import pytest

from speechllm.data.exporting import export_set
from speechllm.data.formats import lhotse as form
from speechllm.data.importing import import_set
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
        (supervision(channel=1), "supervisions", "a data dir knows no channels"),
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
    assert caught.value.remedy == "name the file of supervisions instead of the folder"
    assert [record.id for record in form.read(file)] == ["u"]
