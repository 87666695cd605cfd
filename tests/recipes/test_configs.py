"""Every config of every recipe is read against its schema, and none takes a mistyped key."""

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from speechllm.adapt.method import METHODS, Method
from speechllm.compare.grid import Grid
from speechllm.compare.plan import load_grid, plan
from speechllm.config import BaseConfig, load, parse
from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError
from speechllm.files.strict_yaml import load_yaml
from speechllm.jobs.resources import SlurmConfig
from speechllm.lm.config import KINDS
from tests.helpers.paths import ROOT

EGS = ROOT / "egs"
CONFIGS = sorted(str(path.relative_to(EGS)) for path in EGS.glob("*/conf/**/*.yaml"))
FREE = {"views", "methods", "decodings", "set", "say"}  # mappings whose keys the user chooses


def schema_of(values: dict[str, Any]) -> type[BaseModel]:
    """The schema that the stage which takes such a config reads it with."""
    if "method" in values:
        module, name = METHODS[values["method"]].split(":")
        return getattr(importlib.import_module(module), name)
    if "methods" in values:
        return Grid
    if "default" in values:
        return SlurmConfig
    if values.get("kind") in KINDS:
        return KINDS[values["kind"]]
    return DecodeConfig if "beam" in values else BaseConfig


def keys(values: dict[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """Paths of all keys that a schema knows."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict) and key not in FREE:
            yield from keys(value, *above, key)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_what_its_place_says(name: str) -> None:
    schema = schema_of(load_yaml((EGS / name).read_text()))
    load(schema, EGS / name)
    recipe, _, *folders, file = Path(name).parts
    if {"adapt", "methods"} & set(folders):
        assert issubclass(schema, Method), recipe
    elif "lm" in folders:
        assert schema in KINDS.values()
    elif file.startswith(("decode", "bias_prompt")) or "decode" in folders:
        assert schema is DecodeConfig
    elif file == "slurm.yaml":
        assert schema is SlurmConfig
    else:
        assert schema is (BaseConfig if file.startswith("base") else Grid)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_mistyped_key_is_refused(name: str) -> None:
    values = load_yaml((EGS / name).read_text())
    schema = schema_of(values)
    for path in keys(values):
        changed = copy.deepcopy(values)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[f"{path[-1]}x"] = place.pop(path[-1])
        with pytest.raises(ConfigError, match=f"{path[-1]}"):
            parse(schema, changed, name)


@pytest.mark.parametrize("name", [name for name in CONFIGS if "sweep" in name])
def test_a_sweep_has_a_cell_for_each_published_point(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EGS / Path(name).parts[0])  # where a grid's configs start
    cells = plan(load_grid(EGS / name), Path("exp"), ["agriculture"])
    assert len(cells) == 21 and len({cell.folder for cell in cells}) == 21
