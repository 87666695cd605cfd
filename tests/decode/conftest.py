"""Random models whose LM heads are sharpened, so that hypotheses are long and varied."""

from pathlib import Path

import pytest

from tests.helpers.tiny import make_ctc_encoder, make_encoder, make_llm


def sharpened(encoder: Path, llm: Path, **projector):
    import torch

    from speechllm.config import ModelConfig, ProjectorConfig
    from speechllm.model.speech_llm import SpeechLLM

    projector = ProjectorConfig(downsampling=2, hidden=16, **projector)
    torch.manual_seed(0)
    model = SpeechLLM(ModelConfig(encoder=str(encoder), llm=str(llm), projector=projector)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def tune(model, *targets: str) -> None:
    """Give a model LoRA that changes what it writes."""
    import torch

    from speechllm.config import LoraConfig
    from speechllm.model.compute.cpu_layers import with_cpu_layers
    from speechllm.model.llm import add_lora

    model.llm = with_cpu_layers(add_lora(model.llm, LoraConfig(rank=2, targets=targets))).eval()
    with torch.no_grad():
        for part, weight in model.llm.named_parameters():
            if "lora_B" in part:
                weight.normal_(generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    work = tmp_path_factory.mktemp("model")
    return sharpened(make_encoder(work / "encoder"), make_llm(work / "llm"))


@pytest.fixture(scope="module")
def ctc_model(tmp_path_factory: pytest.TempPathFactory):
    """With an encoder that has a CTC head over letters."""
    work = tmp_path_factory.mktemp("model")
    return sharpened(make_ctc_encoder(work / "encoder"), make_llm(work / "llm"))


@pytest.fixture(scope="module")
def expected_model(tmp_path_factory: pytest.TempPathFactory):
    """Whose speech becomes expected embeddings."""
    work = tmp_path_factory.mktemp("model")
    ctc = {"vectors": "expected", "temperature": 0.5}
    return sharpened(make_encoder(work / "encoder"), make_llm(work / "llm"), ctc=ctc)
