"""What needs no browser: columns, scripts, audio, names, and the folder as a whole."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.decode.record import HypothesisRecord, read_records
from speechllm.errors import DataError
from speechllm.report.html import write
from speechllm.report.html.audio import Budget, Request, audio_column, playable_format
from speechllm.report.html.columns import cigar, entity_column
from speechllm.report.html.hypotheses import record_columns
from speechllm.report.html.scripts import script_json, write_script
from speechllm.report.html.systems import find_test_sets
from speechllm.report.tree import read_families
from speechllm.score.count.entities import score_entities
from speechllm.score.count.wer import score_texts
from speechllm.score.normalize.normalize import normalizer
from tests.helpers.recipe_report import (
    garble,
    make_exp,
    make_set,
    make_system,
    make_texts,
    write_report,
)

TEXTS = {"utt-1": "early rain", "utt-2": "late rain"}


def aligned(reference: str, hypothesis: str) -> str:
    return cigar(score_texts({"u": reference}, {"u": hypothesis}).utterances[0])


@pytest.mark.parametrize(
    ("reference", "hypothesis", "ops"),
    [
        ("a b c", "a b c", "3="),
        ("a b c", "a x c d", "1=1X1=1I"),
        ("a b c", "", "3D"),
        ("", "a b", "2I"),
        ("", "", ""),
    ],
)
def test_cigar(reference, hypothesis, ops):
    assert aligned(reference, hypothesis) == ops


def test_entities_stand_where_the_error_rate_finds_them():
    """Each annotated entity is wrong exactly if the score says so."""
    texts, draw = dict(sorted(make_texts(200).items())), random.Random(3)
    entities = {
        utt: [{"type": "crop", "text": c} for c in ("sugar beet", "the", "the") if c in text]
        for utt, text in texts.items()
    }
    score = score_texts(texts, {u: garble(t, 0.4, draw) for u, t in texts.items()})
    column = entity_column(list(texts), list(texts.values()), entities, normalizer("plain"))
    expected = score_entities(score, entities).overall
    assert sum(len(found) for _, found in column["rows"]) == expected.annotated.sum() > 50
    wrong = np.zeros(len(texts), int)
    for row, found in column["rows"]:
        pairs = score.utterances[row].pairs
        spots = [i for i, (reference, _) in enumerate(pairs) if reference is not None]
        for _, start, length in found:
            part = pairs[spots[start] : spots[start + length - 1] + 1]
            wrong[row] += any(reference != hypothesis for reference, hypothesis in part)
    assert wrong.tolist() == (expected.annotated - expected.right).tolist()


def test_scripts_hold_any_text(tmp_path):
    value = ["</script><!--", "\u2028\u2029", 'it\'s \\ "q" \n', "\ud800", {"__proto__": 1}]
    packed = script_json(value)
    assert json.loads(packed) == value
    assert not set("<>&\u2028\u2029\n\ud800") & set(packed)
    size = write_script(tmp_path / "x.js", "f", [value])
    text = (tmp_path / "x.js").read_text(encoding="utf-8")
    assert size == len(text.encode()) and text.startswith("f(...JSON.parse('")
    inside = text[text.index("'") + 1 : text.rindex("'")]
    assert json.loads(inside.replace("\\'", "'").replace("\\\\", "\\")) == [value]


def test_formats_are_told_by_content_not_name(tmp_path):
    tone = np.zeros(8000)
    for suffix in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"x.{suffix}", tone, 16000)
        assert playable_format(tmp_path / f"x.{suffix}") == suffix
    soundfile.write(tmp_path / "sphere.wav", tone, 16000, format="NIST", subtype="PCM_16")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "adpcm.wav", tone, 16000, subtype="IMA_ADPCM")
    for name in ("sphere.wav", "empty.wav", "adpcm.wav", "absent.wav"):
        assert playable_format(tmp_path / name) is None


def column(tmp_path, audios, mode="link", limit=1 << 30):
    request = Request(mode, tmp_path / "exp/report", False, Budget(limit))
    return audio_column(audios, request, "set", tmp_path / "exp/report", "none given")


def test_audio_is_linked_cut_or_explained(tmp_path):
    file = tmp_path / "a b#.wav"
    soundfile.write(file, np.zeros(16000), 16000)
    soundfile.write(tmp_path / "x.aiff", np.zeros(16000), 16000)
    (tmp_path / "broken.wav").write_bytes(b"RIFX nothing")
    found = column(
        tmp_path,
        [
            Audio(str(file)),
            Audio(str(file), 0.25, 0.5),
            Audio(str(tmp_path / "x.aiff"), 0.25, 0.5),
            Audio(str(tmp_path / "gone.wav")),
            Audio("cat x |"),
            None,
            Audio(str(tmp_path / "broken.wav")),
        ],
    )
    assert found.entries == [
        "../../a%20b%23.wav",
        ["../../a%20b%23.wav", 0.25, 0.5],
        "audio/set/00002.flac",
        *(0, 1, 2, 3),
    ]
    assert list(found.reasons) == [
        "audio file is missing",
        "shell commands are not allowed",
        "none given",
        "audio file cannot be read",
    ]
    clip = soundfile.info(tmp_path / "exp/report/audio/set/00002.flac")
    assert (clip.frames, found.clips) == (4000, 1)


def test_a_named_channel_is_cut_out(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((16000, 2)), 16000)
    audio = Audio(str(tmp_path / "x.wav"), channel=1)
    for mode in ("link", "copy"):
        assert column(tmp_path, [audio], mode).entries == ["audio/set/00000.flac"]
        assert soundfile.info(tmp_path / "exp/report/audio/set/00000.flac").channels == 1


def test_clips_stop_at_their_limit(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(16000), 16000)
    found = column(tmp_path, [Audio(str(tmp_path / "x.wav"))] * 3, "copy", limit=40_000)
    assert found.entries == ["audio/set/00000.wav", "audio/set/00001.wav", 0]
    assert found.bytes == 2 * (32_000 + 44)


def test_no_audio_when_none_is_wanted(tmp_path):
    assert column(tmp_path, [Audio("x.wav")], "none").reasons == {"left out with --audio none": 1}


def test_labels_are_as_short_as_they_can_be(tmp_path):
    make_set(tmp_path, TEXTS, audio=False)
    for model in ("base", "base/denoise_farm", "base/denoise_music", "base2", "base2/audio_farm"):
        make_system(tmp_path, model, TEXTS, score=False)
    exp = tmp_path / "exp"
    (test_set,) = find_test_sets(exp, read_families(exp))
    assert [s.label for s in test_set.systems] == [
        "base",
        "denoise_farm",
        "denoise_music",
        "base2",
        "audio_farm",
    ]
    assert test_set.systems[1].key == "base/denoise_farm@beam"


def test_the_main_decoding_comes_first(tmp_path):
    make_set(tmp_path, TEXTS, audio=False)
    make_system(tmp_path, "base", TEXTS, score=False)
    shutil.copytree(tmp_path / "exp/base/decode_beam", tmp_path / "exp/base/decode_a")
    exp = tmp_path / "exp"
    (test_set,) = find_test_sets(exp, read_families(exp), "beam")
    assert [s.label for s in test_set.systems] == ["base · beam", "base · a"]


def test_records_as_columns():
    words = [{"word": "a", "start": 0.5}, {"word": "b", "start": None}]
    lines = [
        {"id": "u1", "confidence": 0.456, "words": words},
        {
            "id": "u2",
            "truncated": True,
            "guard": {"flags": ["loop"], "retried": True, "first": "x x"},
        },
        {"id": "u3", "confidence": None, "words": words},
    ]
    records = {line["id"]: HypothesisRecord.from_json(line) for line in lines}
    assert record_columns(["u1", "u2", "u3", "u4"], records, ["a b", "", "a", None]) == {
        "confidence": [46, None, None, None],
        "flags": {"names": ["loop", "truncated"], "rows": [[1, [0, 1]]]},
        "first": [[1, "x x"]],
        "starts": [[0, [50, -1]]],
    }


def test_broken_record_names_its_line(tmp_path):
    (tmp_path / "hyp.jsonl").write_text('{"id": "u1"}\n[]\n')
    with pytest.raises(DataError, match=r"hyp\.jsonl:2: "):
        read_records(tmp_path)


def test_command_says_what_to_open_and_what_is_wrong(tmp_path, caplog):
    caplog.set_level("INFO")
    make_set(tmp_path, TEXTS)
    make_system(tmp_path, "base", {"utt-1": "early rain"})
    folder = make_system(tmp_path, "base/denoise_farm", TEXTS)
    (folder / "text").write_text("utt-1 x\nutt-9 who\n")
    (tmp_path / "wav/tone.wav").unlink()
    write_report(tmp_path)
    assert caplog.messages[-1] == f"open {tmp_path}/exp/report/index.html"
    said = caplog.text
    assert "no audio for 2 utterances: audio file is missing" in said
    assert "farm_test: base: 1 of 2 utterances have no hypothesis" in said
    assert "left out hypotheses whose ids no reference has: 1 (utt-9)" in said
    assert "denoise: the hypotheses have changed since they were scored" in said


def test_references_that_changed_are_said(tmp_path, caplog):
    make_exp(tmp_path, 3)
    text = tmp_path / "data/farm_test/text"
    text.write_text(text.read_text().replace("\n", " more\n", 1))
    write_report(tmp_path)
    assert "base: scored against another version of the references" in caplog.text


def test_data_dir_that_is_broken_leaves_a_report(tmp_path, caplog):
    make_exp(tmp_path, 3)
    (tmp_path / "data/farm_test/utt2dur").write_text("nobody 1.0\n")
    folder = write_report(tmp_path)
    assert "the data dir cannot be used: " in caplog.text
    # Aligned all the same, with the references that it was scored against.
    assert '"ops":["' in (folder / "data/farm_test/system-0.js").read_text()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    make_exp(tmp_path, 3)
    (tmp_path / "exp/report").mkdir()
    (tmp_path / "exp/report/thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        write_report(tmp_path)
    assert (tmp_path / "exp/report/thesis.txt").read_text() == "mine"


def test_made_again_it_is_the_same(tmp_path):
    make_exp(tmp_path, 3)

    def content():
        folder = write_report(tmp_path)
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder): path.read_bytes() for path in files}

    assert content() == content()


def test_templates_and_scripts_are_shipped():
    """Every script that a page asks for is there, and setup.py takes their folders along."""
    package = Path(write.__file__).parent
    for name in ("dom", "store", *write.SCRIPTS):
        assert (package / f"static/{name}.js").is_file()
    setup = (package.parents[2] / "setup.py").read_text()
    for folder in ("templates", "static"):
        assert f'"{folder}/*"' in setup


def test_without_jinja2_there_is_a_table_and_a_line(tmp_path, monkeypatch, caplog):
    make_exp(tmp_path, 3)
    monkeypatch.setattr(write, "can_write_html", lambda: False)
    assert not write_report(tmp_path).exists()
    assert (tmp_path / "RESULTS.md").is_file()
    assert "no web pages: jinja2 is not installed" in caplog.messages[-1]
