"""A random model whose LM head is sharpened, so that hypotheses are long and varied."""

from pathlib import Path

import pytest

from tests.tiny import make_ctc_encoder, make_llm


@pytest.fixture(scope="module")
def ctc_model(tmp_path_factory: pytest.TempPathFactory):
    """With an encoder that has a CTC head over letters."""
    import torch

    from speechllm.config import ModelConfig, ProjectorConfig
    from speechllm.model.speech_llm import SpeechLLM

    work: Path = tmp_path_factory.mktemp("model")
    config = ModelConfig(
        encoder=str(make_ctc_encoder(work / "encoder")),
        llm=str(make_llm(work / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    torch.manual_seed(0)
    model = SpeechLLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model
