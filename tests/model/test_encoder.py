from pathlib import Path

import numpy as np
import pytest

from speechllm.errors import ConfigError
from speechllm.model.encoder import Encoder, encoder_width
from tests.tiny import make_encoder, make_llm


def test_frames_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    encoder = Encoder(str(make_encoder(tmp_path / "encoder")))
    rng = np.random.default_rng(0)
    lengths = (8000, 8100, 8450, 9999, 16000, 23457)
    waves = [rng.normal(0, 0.1, n).astype(np.float32) for n in lengths]
    together = encoder.encode(waves)
    for wave, frames in zip(waves, together, strict=True):
        alone = encoder.encode([wave])[0]
        assert frames.shape == alone.shape
        np.testing.assert_allclose(frames, alone, atol=2e-3)
        assert frames.dtype == np.float16 and frames.shape[1] == 16
        assert abs(len(frames) - len(wave) / 16000 * 25) <= 1


def test_width_is_read_without_loading_the_model(tmp_path: Path) -> None:
    assert encoder_width(str(make_encoder(tmp_path / "encoder"))) == 16


def test_a_folder_that_holds_no_encoder_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.encoder"):
        Encoder(str(make_llm(tmp_path / "llm")))
