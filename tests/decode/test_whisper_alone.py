"""A Whisper alone: what it makes of test sets, where that lies, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table, write_data_dir
from speechllm.decode.whisper_alone import AnswerRule, Whisper, decode_alone, goes_in_circles
from speechllm.errors import SpeechLLMError
from speechllm.model.description import task_of
from speechllm.report.tree import read_families
from tests.helpers.architectures import make_whisper
from tests.helpers.tiny import make_encoder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper") / "tiny-whisper")


@pytest.fixture
def test_set(tmp_path: Path) -> Path:
    """Two utterances; the second is longer than the window of two seconds."""
    rng, wav = np.random.default_rng(0), {}
    for utt, seconds in (("a", 0.7), ("b", 3.5)):
        wav[utt] = str(tmp_path / f"{utt}.wav")
        soundfile.write(wav[utt], 0.1 * rng.standard_normal(int(16000 * seconds)), 16000)
    write_data_dir(tmp_path / "data/farm_test", text={"a": "barley", "b": "sugar beet"}, wav=wav)
    return tmp_path / "data/farm_test"


def decode(model: Path, data: Path, out: Path, *options: str) -> None:
    main(["whisper", "--model", str(model), "--data", str(data), "--out", str(out), *options])


def test_a_long_utterance_is_heard_window_by_window(whisper: Path) -> None:
    model = Whisper(str(whisper))
    wave = np.random.default_rng(1).standard_normal(3 * 16000).astype(np.float32)
    parts = [model.transcribe([part])[0] for part in (wave[:32000], wave[32000:])]
    assert any(parts) and model.transcribe([wave]) == [" ".join(" ".join(parts).split())]


def test_what_is_heard_at_once_changes_no_text(
    whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rng = Whisper(str(whisper)), np.random.default_rng(2)
    waves = [rng.standard_normal(n).astype(np.float32) for n in (9000, 70000, 30000, 16000)]
    alone = [text for wave in waves for text in model.transcribe([wave])]
    assert len(set(alone)) > 1
    for windows in (2, 8):
        monkeypatch.setattr("speechllm.decode.whisper_alone.AT_ONCE", windows)
        assert model.transcribe(waves) == alone


def test_a_text_that_goes_round_in_circles_is_written_again(
    whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not goes_in_circles("") and not goes_in_circles("the barley was sown in the spring")
    assert goes_in_circles("and the dose of the " * 20)
    model, asked = Whisper(str(whisper)), []

    def written(states: torch.Tensor, **options: float) -> list[str]:
        asked.append((len(states), options.get("temperature")))
        if options.get("temperature") == 0.4:
            return [f"mended {torch.rand(1).item()}"]
        return ["round and " * 40 if wave == 1 or len(states) == 1 else "" for wave in range(3)][
            : len(states)
        ]

    monkeypatch.setattr(model, "_written", written)
    waves, state = [np.zeros(16000, np.float32)] * 3, torch.random.get_rng_state()
    texts = model.transcribe(waves)
    assert asked == [(3, None), (1, 0.2), (1, 0.4)]
    assert texts[0] == texts[2] == "" and texts[1].startswith("mended ")
    assert model.transcribe(waves) == texts and torch.equal(torch.random.get_rng_state(), state)


def test_it_stands_beside_the_base_in_reports(
    whisper: Path, test_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = tmp_path / "exp"
    decode(whisper, test_set, exp / "tiny-whisper")
    folder = exp / "tiny-whisper/decode_decode/farm_test"
    text = read_table(folder / "text", strict=False)
    assert text.keys() == {"a", "b"}
    said = json.loads((folder / "decode.json").read_text())
    assert said["utterances"] == 2 and said["audio_seconds"] == 4.2 and said["rtf"] > 0
    (exp / "base").mkdir()
    (exp / "base/run.json").write_text('{"kind": "base"}')
    main(["score", "--exp", str(exp), "--data_root", str(test_set.parent)])
    (family,) = read_families(exp)
    assert [m.name for m in family.models] == ["base", "tiny-whisper"]
    assert family.models[1].error("decode", "farm_test", "plain")["reference"] == 3
    before = (folder / "decode.json").read_bytes()
    decode(whisper, test_set, exp / "tiny-whisper")  # is there already
    assert (folder / "decode.json").read_bytes() == before


def test_what_another_model_or_audio_made_is_refused(
    whisper: Path, test_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "exp/whisper"
    decode(whisper, test_set, out)
    wav = test_set / "wav.scp"
    (tmp_path / "c.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    wav.write_text(wav.read_text().replace("b.wav", "c.wav"))
    with pytest.raises(SystemExit):
        decode(whisper, test_set, out)
    assert "made with another audio" in capsys.readouterr().err
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(record | {"sha256": "another"}))
    with pytest.raises(SystemExit):
        decode(whisper, test_set, out)
    assert "holds another model" in capsys.readouterr().err


def test_what_is_no_whisper_and_a_set_without_audio(
    whisper: Path, test_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = make_encoder(tmp_path / "encoder")
    with pytest.raises(SystemExit):
        decode(encoder, test_set, tmp_path / "exp/one")
    assert "encoder is no Whisper" in capsys.readouterr().err
    (test_set / "wav.scp").unlink()
    with pytest.raises(SystemExit):
        decode(whisper, test_set, tmp_path / "exp/two")
    assert "is text alone" in capsys.readouterr().err


def test_answers_of_another_task_come_from_its_transcripts(
    whisper: Path, test_set: Path, tmp_path: Path
) -> None:
    """As egs/barista makes them; a folder of one task is not taken for another."""
    out, known = tmp_path / "exp/tiny-whisper", tmp_path / "known"
    known.write_text("one")
    heard = []

    def rule(transcript: str) -> str:
        heard.append(transcript)
        return '{"scenario": "s", "action": "a", "entities": []}'

    rules = AnswerRule("slots", lambda _: rule, lambda _: {"what is known": known})
    decode_alone(str(whisper), [test_set], out, understanding=rules)
    folder = out / "decode_decode" / test_set.name
    assert heard == list(read_table(folder / "transcripts").values())
    assert set(read_table(folder / "text").values()) == {rule("")}
    assert task_of(out).name == "slots"
    with pytest.raises(SpeechLLMError, match="holds another model or task"):
        decode_alone(str(whisper), [test_set], out)
    decode_alone(str(whisper), [test_set], out, understanding=rules)  # is done
    known.write_text("another")
    with pytest.raises(SpeechLLMError, match="made with another what is known"):
        decode_alone(str(whisper), [test_set], out, understanding=rules)


def test_other_audio_under_the_same_names_is_refused(
    whisper: Path, test_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exp/tiny-whisper"
    decode(whisper, test_set, out)
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(5).standard_normal(9000), 16000)
    with pytest.raises(SystemExit):
        decode(whisper, test_set, out)
    with pytest.raises(SpeechLLMError, match=r"another .*a\.wav"):
        decode_alone(str(whisper), [test_set], out)


def test_a_lost_or_changed_text_is_decoded_again(
    whisper: Path, test_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exp/tiny-whisper"
    decode(whisper, test_set, out)
    text = out / "decode_decode" / test_set.name / "text"
    content = text.read_text()
    for damage in (lambda: text.unlink(), lambda: text.write_text("a lie\nb lie\n")):
        damage()
        decode(whisper, test_set, out)
        assert text.read_text() == content


def test_another_place_of_origin_is_no_other_model(
    whisper: Path, test_set: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(whisper, tmp_path / "model")
    for version in ("1", "2"):
        (model / "source.json").write_text(f'{{"made_by": "speechllm {version}"}}')
        decode_alone(str(model), [test_set], tmp_path / "exp/tiny-whisper")
