"""Sets at another speed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import DataDir, read_table, write_data_dir, write_table
from speechllm.data.speech.audio import load_audio
from speechllm.data.speech.speed import perturb
from speechllm.errors import DataError


def strongest(samples: np.ndarray) -> float:
    """Frequency in Hz."""
    return np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples)


def test_length_and_pitch_change_and_labels_stay(make_data_dir, tmp_path: Path) -> None:
    usual = make_data_dir("usual", seconds=1.8)
    write_table(usual / "phones", {utt: "AH" for utt in read_table(usual / "text")})
    write_table(usual / "spk2gender", {"spk0": "f", "spk1": "m"})
    write_table(usual / "feats.scp", {utt: "old.ark:1" for utt in read_table(usual / "text")})
    perturb(usual, 0.9, tmp_path / "slow")
    before, after = DataDir.load(usual), DataDir.load(tmp_path / "slow")
    assert after.ids == [f"sp0.9-{utt}" for utt in before.ids]
    assert not (tmp_path / "slow/feats.scp").exists()
    assert read_table(tmp_path / "slow/spk2gender") == {"sp0.9-spk0": "f", "sp0.9-spk1": "m"}
    assert list(read_table(tmp_path / "slow/phones").values()) == ["AH"] * 3
    for utt in before.ids:
        new = f"sp0.9-{utt}"
        assert after.text[new] == before.text[utt]
        assert after.utt2spk[new] == f"sp0.9-{before.utt2spk[utt]}"
        slow, fast = load_audio(after.audio[new]), load_audio(before.audio[utt])
        assert after.utt2dur[new] == len(slow) / 16000 == pytest.approx(2.0, abs=0.001)
        assert strongest(slow) == pytest.approx(0.9 * strongest(fast), abs=1)


def test_cuts_become_files_of_their_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.full((32000, 2), [0.1, 0.5]), 16000)
    write_data_dir(
        tmp_path / "cut",
        text={"u1": "yes", "u2": "no"},
        wav={"long": str(tmp_path / "long.wav")},
        channels={"long": 1},
        segments={"u1": ("long", 0.0, 0.5), "u2": ("long", 0.5, None)},
    )
    perturb(tmp_path / "cut", 2.0, tmp_path / "fast")
    fast = DataDir.load(tmp_path / "fast")
    assert fast.utt2dur == {"sp2-u1": 0.25, "sp2-u2": 0.75}
    assert (
        not (tmp_path / "fast/segments").exists() and not (tmp_path / "fast/reco2channel").exists()
    )
    assert np.median(load_audio(fast.audio["sp2-u2"])) == pytest.approx(0.5, abs=0.01)


def test_it_may_be_made_again_but_not_over_its_source(make_data_dir, tmp_path: Path) -> None:
    usual = make_data_dir()
    for _ in range(2):
        perturb(usual, 1.1, tmp_path / "fast")
    assert len(list((tmp_path / "fast/audio").iterdir())) == 3
    with pytest.raises(DataError, match="this folder is to be written, and holds"):
        perturb(usual, 1.1, usual)
    with pytest.raises(DataError, match="no audio, and it is needed"):
        perturb(make_data_dir("words", with_audio=False), 1.1, tmp_path / "none")
    assert not (tmp_path / "none").exists()
