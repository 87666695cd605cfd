"""Arms that train nothing: the models of another arm, decoded with other settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechllm.compare.grid import BASE, Cell, Grid
from speechllm.config import as_of_today, changed_keys, parse, read_yaml, with_overrides
from speechllm.decode.config import DecodeConfig
from speechllm.decode.results import SETTINGS
from speechllm.decode.scorers.build import lm_names
from speechllm.errors import ConfigError
from speechllm.files.own import made_again, read_mapping
from speechllm.report.tree import Decoding


@dataclass(frozen=True)
class DecodeJob:
    """Model to decode with other settings.

    Attributes:
        model: its folder; the hypotheses go to `decode_<tag>_<arm>` in it.
        targets: domains whose test sets it is decoded on, besides the source's.
        arm: name of the decoding in the grid.
        changes: changes to the decode config, as key=value.
    """

    model: Path
    targets: tuple[str, ...]
    arm: str
    changes: tuple[str, ...]


def redecode_jobs(
    grid: Grid, cells: Sequence[Cell], base: Path, targets: Sequence[str], decode: Path
) -> Iterator[DecodeJob]:
    """Jobs for the `decodings` of a grid; the base is decoded once for all targets.

    Args:
        grid: the grid.
        cells: the planned cells.
        base: folder of the base model.
        targets: the recipe's domains; the grid may name some of them.
        decode: the decode config to change.

    Raises:
        ConfigError: the changed decode config is invalid, differs by target, or sets `adapted` for
            the base, which has no adaptation.
    """
    for name, decoding in grid.decodings.items():
        where, words = f"decodings: {name}", decoding.words
        config = parse(DecodeConfig, with_overrides(read_yaml(decode), words), where)
        named = [key for key, lm in lm_names(config).items() if "{target}" in lm]
        if by_target := [*config.left_open, *named]:
            raise ConfigError(
                f"{where}: {by_target[0]} would be another one for each target",
                "give one value for all: the cells of a grid are decoded alike",
            )
        if decoding.of == BASE and config.adapted != 1:
            raise ConfigError(
                f"{where}: adapted: the base is no adapted model", "name another arm under `of`"
            )
        if decoding.of == BASE:
            yield DecodeJob(base, tuple(grid.targets or targets), name, words)
        for cell in cells:
            if cell.arm == decoding.of:
                yield DecodeJob(cell.folder, (cell.target,), name, words)


def changed_settings(decoding: Decoding, of: Decoding, changes: Sequence[str]) -> list[str]:
    """Keys in which a decoding differs from another one, apart from the grid's changes.

    Args:
        decoding: decoding of an arm in a grid's `decodings`.
        of: decoding of the same model and set with the unchanged config.
        changes: the grid's changes, as key=value.
    """
    found, usual = _settings(decoding), _settings(of)
    planned = parse(DecodeConfig, with_overrides(usual, changes), of.folder / SETTINGS)
    return changed_keys(found, planned.model_dump(mode="json", exclude={"batch_positions"}))


def _settings(decoding: Decoding) -> dict[str, object]:
    path = decoding.folder / SETTINGS
    settings = as_of_today(DecodeConfig, read_mapping(path, made_again(decoding.folder))["decode"])
    settings.pop("batch_positions", None)  # it changes no hypothesis
    return settings
