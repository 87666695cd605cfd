"""Transcribing gives what stage 6 gives, whatever the batches; bad recordings do not stop it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechllm
from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table
from speechllm.data.speech.audio import AudioError
from speechllm.errors import ConfigError, DataError
from speechllm.transcribe import recogniser as module
from speechllm.transcribe.recogniser import Recogniser

RUNS = {"base": "", "farm": "denoise_farm", "music": "denoise_music"}


@pytest.fixture(scope="module")
def recogniser(packed: Path) -> Recogniser:
    return speechllm.load(packed)


@pytest.fixture(scope="module")
def stage6(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory):
    """Hypotheses of stages 3 and 6, by domain."""
    work = tmp_path_factory.mktemp("stage6")
    encoder = str(base.parents[1] / "encoder")
    features = ["features", "--encoder", encoder, "--dump", f"{work}/dump", str(data)]
    main(features)
    main([*features, "--merge"])
    (work / "decode.yaml").write_text("{beam: 2, max_tokens_per_second: 8}")
    found = {}
    for domain, run in RUNS.items():
        command = ["decode", "--config", f"{work}/decode.yaml", "--model", str(base / run)]
        main([*command, "--dump", f"{work}/dump", "--data", str(data)])
        found[domain] = read_table(base / run / "decode_decode" / data.name / "text")
    assert len({str(texts) for texts in found.values()}) == 3
    return found


@pytest.mark.parametrize("domain", RUNS)
def test_the_text_is_that_of_stage_6(
    recogniser: Recogniser, data: Path, stage6: dict[str, dict[str, str]], domain: str
) -> None:
    assert {t.id: t.text for t in recogniser.transcribe(data, domain)} == stage6[domain]


def test_a_run_that_is_not_packed_gives_the_same(
    base: Path, data: Path, stage6: dict[str, dict[str, str]]
) -> None:
    model = speechllm.load(base / "denoise_music")
    assert model.domains == ["music"]
    found = model.transcribe(data, beam=2, max_tokens_per_second=8)
    assert {t.id: t.text for t in found} == stage6["music"]


@pytest.mark.parametrize("domain", RUNS)
def test_one_that_keeps_to_a_domain_gives_the_same(
    packed: Path, data: Path, stage6: dict[str, dict[str, str]], domain: str
) -> None:
    model = speechllm.load(packed)
    model.keep_to(domain, "fp32")
    assert model.domains == [domain]
    assert {t.id: t.text for t in model.transcribe(data)} == stage6[domain]
    with pytest.raises(ConfigError, match="for precision fp32, not bf16"):
        model.transcribe(data, precision="bf16")
    with pytest.raises(ConfigError, match="no domain"):
        model.transcribe(data, "base" if domain != "base" else "farm")


def test_an_adaptation_counts_as_much_as_one_says(
    packed: Path, data: Path, stage6: dict[str, dict[str, str]]
) -> None:
    said = {}
    for adapted in (0.0, 0.5, 1.0):
        model = speechllm.load(packed)
        model.keep_to("farm", "fp32", adapted)
        said[adapted] = {t.id: t.text for t in model.transcribe(data)}
        model.keep_to("farm", "fp32", adapted)  # nothing new
        with pytest.raises(ConfigError, match="kept to farm in fp32"):
            model.keep_to("farm", "fp32", 0.75)
        with pytest.raises(ConfigError, match=f"counts {adapted:g}, not 0.75"):
            model.transcribe(data, adapted=0.75)
    assert said[0.0] == stage6["base"] and said[1.0] == stage6["farm"]
    assert said[0.5] not in (said[0.0], said[1.0])
    with pytest.raises(ConfigError, match="no adapted one"):
        speechllm.load(packed).keep_to("base", "fp32", 0.5)


def test_batches_never_change_the_text(recogniser: Recogniser, data: Path) -> None:
    files = sorted((data / "wav").glob("*.wav"))
    alone = [recogniser.transcribe(file, "farm")[0].text for file in files]
    assert len(set(alone)) > 4, "the test needs texts that differ"
    for size in (1, 100_000):
        found = recogniser.transcribe(data / "wav", "farm", batch_positions=size)
        assert [t.text for t in found] == alone


def test_small_windows_keep_order_and_text(
    recogniser: Recogniser, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recogniser.transcribe(data)
    monkeypatch.setattr(module, "WINDOW_SECONDS", 2.0)
    assert recogniser.transcribe(data) == whole


def test_frames_that_are_no_numbers_spoil_their_recording_alone(
    recogniser: Recogniser, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recogniser.transcribe(data)
    encode, calls = recogniser._encoder.encode, iter(range(len(whole)))

    def overflow(waves: list[np.ndarray]) -> list[np.ndarray]:
        return [f * np.float16(np.inf if next(calls) == 1 else 1) for f in encode(waves)]

    monkeypatch.setattr(recogniser._encoder, "encode", overflow)
    found = recogniser.transcribe(data)
    assert found[0] == whole[0] and found[2:] == whole[2:]
    with pytest.raises(AudioError, match=r"NaN or Inf: 0\.0 s to \d"):
        _ = found[1].text


def test_any_rate_and_any_number_of_channels(
    recogniser: Recogniser, data: Path, tmp_path: Path
) -> None:
    wave, _ = soundfile.read(data / "wav/u-0.wav")
    soundfile.write(tmp_path / "stereo.flac", np.stack([wave, wave], 1), 16000)
    soundfile.write(tmp_path / "slow.wav", wave[::2], 8000)
    stereo, slow = recogniser.transcribe([tmp_path / "stereo.flac", tmp_path / "slow.wav"])
    assert stereo.text == recogniser.transcribe(data / "wav/u-0.wav")[0].text
    assert slow.pieces[0].end == pytest.approx(len(wave) / 16000, abs=0.001)


def test_a_long_recording_is_cut_and_keeps_its_times(
    recogniser: Recogniser, data: Path, tmp_path: Path
) -> None:
    waves = [soundfile.read(path)[0] for path in sorted((data / "wav").glob("*.wav"))]
    gap = np.zeros(8000)
    soundfile.write(
        tmp_path / "long.wav", np.concatenate([x for w in waves for x in (w, gap)]), 16000
    )
    (found,) = recogniser.transcribe(tmp_path / "long.wav", max_seconds=3, vad="energy")
    total = sum(map(len, waves)) / 16000 + 4.0
    assert len(found.pieces) > 3
    times = [t for piece in found.pieces for t in (piece.start, piece.end)]
    assert times == sorted(times) and times[0] == 0 and times[-1] <= total
    assert all(piece.end - piece.start <= 3 for piece in found.pieces)
    assert found.text == " ".join(piece.text for piece in found.pieces)


def test_segments_have_the_times_of_their_recording(
    recogniser: Recogniser, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "wav.scp").write_text(f"rec {data}/wav/u-0.wav\n")
    (tmp_path / "segments").write_text("a rec 0.1000 0.4000\nb rec 0.2500 -1\n")
    first, second = recogniser.transcribe(tmp_path)
    assert (first.pieces[0].start, first.pieces[0].end) == pytest.approx((0.1, 0.4))
    assert second.pieces[0].start == 0.25 and second.id == "b"


def test_a_bad_recording_is_named_and_the_others_go_on(
    recogniser: Recogniser, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF, but no more")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "short.wav", np.zeros(800), 16000)
    good = data / "wav/u-0.wav"
    names = [tmp_path / "broken.wav", good, tmp_path / "empty.wav", tmp_path / "short.wav"]
    found = recogniser.transcribe([*names, tmp_path / "gone.wav"])
    reasons = [t.error.reason if t.error else "" for t in found]
    assert reasons == [
        "audio file cannot be read",
        "",
        "audio has zero length",
        "audio is shorter than 0.1 s",
        "audio file is missing",
    ]
    assert found[1].text == recogniser.transcribe(good)[0].text
    with pytest.raises(AudioError, match=r"empty\.wav"):
        print(found[2].text)
    assert all(name in caplog.text for name in ("broken.wav", "empty.wav", "short.wav", "gone.wav"))


def test_a_command_in_wav_scp_runs_only_if_allowed(
    recogniser: Recogniser, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "wav.scp").write_text(f"r cat {data}/wav/u-0.wav |\n")
    assert recogniser.transcribe(tmp_path)[0].error
    allowed = recogniser.transcribe(tmp_path, allow_pipes=True)[0].text
    assert allowed == recogniser.transcribe(data / "wav/u-0.wav")[0].text


def test_wrong_settings_are_refused(recogniser: Recogniser, data: Path) -> None:
    with pytest.raises(ConfigError, match="no domain 'frm', did you mean 'farm'"):
        recogniser.transcribe(data, "frm")
    with pytest.raises(ConfigError, match="did you mean 'beam'"):
        recogniser.transcribe(data, baem=3)
    with pytest.raises(ConfigError, match="max_seconds"):
        recogniser.transcribe(data, max_seconds=0.5)
    with pytest.raises(DataError, match="no audio"):
        recogniser.transcribe([])


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, speechllm; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()" and callable(speechllm.load)


def test_a_language_model_helps_here_too_with_a_weight_that_is_given(
    recogniser: Recogniser, base: Path, data: Path, stage6: dict[str, dict[str, str]]
) -> None:
    fusion = {"kind": "ilm", "lm": str(base.parents[1] / "llm"), "weight": 2.0}
    with pytest.raises(ConfigError, match=r"fusion\.prior_weight: null"):
        recogniser.transcribe(data, "base", fusion=fusion)
    found = recogniser.transcribe(data, "base", fusion=fusion | {"prior_weight": 0.5})
    assert [t.text for t in found] != list(stage6["base"].values())
