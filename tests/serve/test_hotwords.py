"""A prompt is a bias list, where the search takes one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.helpers.served import Served
from tests.serve.conftest import make_engine


@pytest.fixture(scope="module")
def served(packed: Path) -> Iterator[Served]:
    with Served(make_engine(packed, biasing={"trie": {"boost": 30.0}})) as server:
        yield server


def asked(served: Served, path: Path, **fields: str) -> str:
    return served.client().audio.transcriptions.create(model="base", file=path, **fields).text


def test_a_prompt_boosts_its_words(served: Served, recordings: list[Path]) -> None:
    prompts = ["", "tractor, green  grass", "wheat\nsheep"]
    asks = [(path, prompt) for path in recordings[:4] for prompt in prompts]
    alone = [asked(served, path, prompt=prompt) for path, prompt in asks]
    assert alone[0] == asked(served, recordings[0])
    assert any("tractor" in text or "green grass" in text for text in alone[1::3])
    with ThreadPoolExecutor(12) as pool:
        together = pool.map(lambda ask: asked(served, ask[0], prompt=ask[1]), asks)
        assert list(together) == alone


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("a <speech>", "marker"), (",".join(map(str, range(1001))), "1000 are the most")],
)
def test_a_prompt_that_cannot_be_a_list(
    served: Served, recordings: list[Path], prompt: str, said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        asked(served, recordings[0], prompt=prompt)
    assert caught.value.param == "prompt"
