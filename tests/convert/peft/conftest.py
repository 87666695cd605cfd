"""Tiny Speech LLMs of every family, as bases."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from speechllm.config import ModelConfig
from tests.helpers import architectures, speech_llms


class Unread:
    """In place of Voxtral's tokenizer, whose package need not be installed: nothing is read."""

    def __len__(self) -> int:
        return 32


@pytest.fixture(params=speech_llms.MAKERS)
def whole(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModelConfig:
    """Config of a whole Speech LLM of each family."""
    if request.param == "voxtral":
        prompts = SimpleNamespace(tokenizer=Unread(), make=lambda: None)
        monkeypatch.setattr("speechllm.model.whole.whole.OwnPrompts", lambda *_: prompts)
        architectures.make_voxtral(tmp_path / "voxtral")
    else:
        speech_llms.MAKERS[request.param](tmp_path / request.param)
    return ModelConfig(speech_llm=str(tmp_path / request.param))
