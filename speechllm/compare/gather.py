"""Results of a grid's cells, and why some of them cannot be used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from speechllm.adapt.folder import adapt_files
from speechllm.adapt.method import Method, load_method
from speechllm.compare.grid import BASE, Cell, Redecoding
from speechllm.compare.redecode import changed_settings
from speechllm.config import as_of_today, changed_keys
from speechllm.errors import DataError
from speechllm.experiment import arm_tag, target_set
from speechllm.files.layout import CONFIG, LOG, MODEL, RUN, TENSORS
from speechllm.files.made_from import MADE_FROM, changed_since
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import sha256_of
from speechllm.report.tree import Model, read_model, source_set


def gather(
    cells: Sequence[Cell],
    base: Path,
    tag: str,
    decodings: Mapping[str, Redecoding] = MappingProxyType({}),
) -> list[Cell]:
    """Fill in the results; the base comes first, as a cell of each target, and decodings last.

    Args:
        cells: the planned cells.
        base: folder of the base model.
        tag: tag of the decoding, the stem of its config.
        decodings: arms that only change the decoding, by name.

    Raises:
        DataError: there is no base model.
    """
    if not (base / RUN).is_file():
        raise DataError("no finished base model", base, remedy="run the stages from base on")
    digest = sha256_of([base / MODEL / TENSORS])
    source = _source_of(cells, tag)
    found = []
    for target in dict.fromkeys(cell.target for cell in cells):
        model = read_model(base / RUN)
        seed = model.run["config"]["train"]["seed"]
        found.append(_with_results(Cell(BASE, None, seed, target, base), model, tag, source))
    for cell in cells:
        if problem := _training_problem(cell, digest, source):
            found.append(replace(cell, problem=problem))
        else:
            found.append(_with_results(cell, read_model(cell.folder / RUN), tag, source))
    for name, decoding in decodings.items():
        of = [cell for cell in found if cell.arm == decoding.of]
        found += [_redecoded(cell, name, decoding, tag, source) for cell in of]
    return found


def _redecoded(cell: Cell, name: str, decoding: Redecoding, tag: str, source: str) -> Cell:
    """Cell for the model of `cell`, decoded with other settings."""
    arm = {"label": name, "fraction": None, "control_of": None, "decoding_of": decoding.of}
    cell = replace(cell, **arm, decodings={})
    if not cell.run:
        return cell
    model, own = read_model(cell.folder / RUN), arm_tag(tag, name)
    for test in (target_set(cell.target), source):
        it, usual = model.decodings.get((own, test)), model.decodings.get((tag, test))
        if it and usual and (changed := changed_settings(it, usual, decoding.words)):
            problem = f"decoded with other settings ({own}, {test}): {', '.join(changed)}"
            return replace(cell, problem=problem)
    return _with_results(cell, model, own, source)


def _source_of(cells: Sequence[Cell], tag: str) -> str:
    """Name of the set that cells are tested on besides their targets'."""
    runs = [cell.folder / RUN for cell in cells if (cell.folder / RUN).is_file()]
    names = {name for run in runs for made, name in read_model(run).decodings if made == tag}
    return source_set(names, [cell.target for cell in cells])


def _training_problem(cell: Cell, base_sha256: str, source: str) -> str | None:
    """Reason why a cell's model is not what the grid plans; None if it is."""
    path = cell.folder / CONFIG
    if not path.is_file() or not any(cell.folder.rglob(LOG)):
        return "not trained yet"
    made = read_mapping(path, made_again(cell.folder))
    planned = load_method(cell.config, cell.overrides)
    before = as_of_today(type(planned), made.get("config", {}))
    if changed := changed_keys(before, planned.model_dump(mode="json")):
        return f"trained with other settings: {', '.join(changed)}"
    inputs = made.get("inputs", {})
    if inputs["base_sha256"] != base_sha256:
        return "adapted from another base model than the one that is there now"
    dirs = [path for sets in inputs.values() if isinstance(sets, list) for path in sets]
    if names := _changed_files(cell.folder / MADE_FROM, planned, inputs):
        return f"trained on other files than are there now: {', '.join(names[:3])}"
    if tests := sorted({Path(path).name for path in dirs} & {target_set(cell.target), source}):
        return f"{', '.join(tests)} was seen in training"
    if not (cell.folder / RUN).is_file():
        return "training has not ended"
    return None


def _changed_files(record: Path, method: Method, inputs: Mapping[str, Any]) -> list[str] | None:
    """Names of training files that have changed since; None if there is no record.

    Only files that the inputs have now are compared.
    """
    if not record.is_file():
        return None
    sets = {role: [*map(Path, paths)] for role, paths in inputs.items() if isinstance(paths, list)}
    return changed_since(record, adapt_files(method, Path(inputs["base"]), sets, None), partly=True)


def _with_results(cell: Cell, model: Model, tag: str, source: str) -> Cell:
    tests = (target_set(cell.target), source)
    decodings = {name: model.decodings.get((tag, name)) for name in tests}
    problem = None
    if absent := [name for name, decoding in decodings.items() if not decoding]:
        problem = f"not decoded ({tag}): {', '.join(absent)}"
    elif unscored := [n for n, d in decodings.items() if not d.result or d.is_stale]:
        problem = f"not scored as it is now ({tag}): {', '.join(unscored)}"
    usable = {n: d.folder for n, d in decodings.items() if d and d.result and not d.is_stale}
    return replace(cell, run=model.run, decodings=usable, problem=problem)
