"""A packed model of tiny parts, its engine, and speech to send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("openai", reason="the extra `dev` is not installed")

from speechllm.decode.config import DecodeConfig
from speechllm.pack.write import pack
from speechllm.serve.engine import Engine
from speechllm.serve.metrics import ServeMetrics
from speechllm.transcribe.load import load_parts
from tests.helpers.packed import make_exp
from tests.helpers.served import Served
from tests.helpers.tiny import make_set

DECODE = DecodeConfig(beam=2, max_tokens_per_second=8)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed model of the domains base, farm and music."""
    work = tmp_path_factory.mktemp("recipe")
    pack(make_exp(work), work / "packed", decode=DECODE)
    return work / "packed"


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight recordings of half a second to two seconds."""
    return sorted((make_set(tmp_path_factory.mktemp("data") / "set", "u") / "wav").iterdir())


@pytest.fixture(scope="session")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of six pieces: bursts of noise between pauses."""
    rng = np.random.default_rng(1)
    burst, pause = (lambda: rng.normal(0, 0.1, 20000)), np.zeros(11200)
    path = tmp_path_factory.mktemp("visit") / "visit.flac"
    soundfile.write(
        path, np.concatenate([part for _ in range(5) for part in (burst(), pause)]), 16000
    )
    return path


def make_engine(model: Path, **changes: Any) -> Engine:
    """Engine of a packed model."""
    parts = load_parts(model, device="cpu")
    config = DecodeConfig.model_validate(parts.decode.model_dump() | changes)
    configs = dict.fromkeys(parts.switch.domains, config)
    return Engine(parts.switch, parts.encoder, configs, ServeMetrics())


@pytest.fixture(scope="module")
def engine(packed: Path) -> Engine:
    return make_engine(packed)


@pytest.fixture(scope="module")
def served(engine: Engine) -> Iterator[Served]:
    """A server, started once for a file of tests."""
    with Served(engine) as server:
        yield server


@contextmanager
def held(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold the model before each round until the event is set; it is set at the end."""
    let_go, transcribe = threading.Event(), engine.transcribe

    def wait(shares: Any) -> None:
        let_go.wait(20)
        transcribe(shares)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "transcribe", wait)
        try:
            yield let_go
        finally:
            let_go.set()
