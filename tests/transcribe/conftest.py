"""A packed model of tiny parts, moved away from all that it was made of; and speech."""

import shutil
from pathlib import Path

import pytest

from speechllm.decode.config import DecodeConfig
from speechllm.model.bundle_record import write_bundle_record
from speechllm.pack.write import pack
from tests.helpers.packed import make_exp
from tests.helpers.tiny import make_set

DECODE = DecodeConfig(beam=2, max_tokens_per_second=8)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that was packed; in its folder's parents' parent are encoder/, llm/ and data/."""
    work = tmp_path_factory.mktemp("recipe")
    make_set(work / "data/some_test", "u")
    return make_exp(work)


@pytest.fixture(scope="session")
def packed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed folder; nothing else of its recipe is there."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(base.parents[1], copy / "work")
    run = copy / "work/exp/base"
    for file in (copy / "work/exp").rglob("model.json"):  # which name models by absolute paths
        file.write_text(file.read_text().replace(str(base.parents[1]), str(copy / "work")))
        write_bundle_record(file.parent)
    pack(run, copy / "packed", decode=DECODE)
    shutil.rmtree(copy / "work")
    return Path(shutil.move(copy / "packed", tmp_path_factory.mktemp("elsewhere") / "model"))


@pytest.fixture(scope="session")
def data(base: Path) -> Path:
    """A data dir of eight utterances, half a second to two seconds long."""
    return base.parents[1] / "data/some_test"
