"""Fixtures shared by all tests: synthetic tones and data dirs made of them."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import write_data_dir
from tests.helpers.fake_hub import FakeHub
from tests.helpers.forkserver import command_folder
from tests.helpers.paths import ROOT

SHARED_DATA = ROOT / "../shared/data"


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    """Make a sine: float32 [samples], or [samples, channels] for more than one channel."""

    def make(
        seconds: float = 1.0, rate: int = 16000, hertz: float = 440.0, channels: int = 1
    ) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        wave = (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        return wave if channels == 1 else np.repeat(wave[:, None], channels, axis=1)

    return make


@pytest.fixture
def make_data_dir(tmp_path: Path, tone: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Write a flawless data dir below tmp_path: a second of tone for each utterance."""

    def make(
        name: str = "set_train",
        text: Mapping[str, str] | None = None,
        seconds: float = 1.0,
        with_audio: bool = True,
        **tables: object,
    ) -> Path:
        text = text or {"utt1": "hello world", "utt2": "good morning", "utt3": "two sugar beets"}
        path = tmp_path / "data" / name
        if not with_audio:
            write_data_dir(path, text=text, **tables)
            return path
        folder = tmp_path / "wav" / name
        folder.mkdir(parents=True, exist_ok=True)
        wav = {}
        for number, utt in enumerate(text):
            wav[utt] = str(folder / f"{utt}.wav")
            soundfile.write(wav[utt], tone(seconds, hertz=200 + 50 * number), 16000)
        settings = {
            "wav": wav,
            "utt2spk": {utt: f"spk{number % 2}" for number, utt in enumerate(text)},
            "utt2dur": dict.fromkeys(text, seconds),
            **tables,
        }
        write_data_dir(path, text=text, **settings)
        return path

    return make


@pytest.fixture
def shared_data() -> Path:
    """Folder with real speech; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real speech at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def warm_folder() -> Iterator[Path]:
    """A folder with a `speechllm` that need not import torch each time."""
    with command_folder() as folder:
        yield folder


@pytest.fixture
def command(warm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put that `speechllm` in front of PATH."""
    tools = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{warm_folder}:{tools}:{os.environ['PATH']}")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A model hub on this machine; this process logs in to it, and has an empty cache of it."""
    with FakeHub() as hub:
        hub.seen_by(monkeypatch, tmp_path / "hf")
        yield hub
