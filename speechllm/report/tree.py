"""Reader of an exp folder: its models, their decodings and their scores.

    <model>/run.json                                 a model; speechllm/experiment.py names them
    exp/<reference>/run.json                         a recogniser that was not trained here
    <model>/decode_<tag>/<set>/{text,decode.json}    hypotheses, decoding time
    <model>/decode_<tag>/<set>/score/wer.json        their score; the task gives the name
    <model>/perplexity.json                          perplexity of the sets' texts

Cells of a grid are left to `speechllm compare report`, and language models are no recognisers.
Whatever is absent is None or an empty dict here; the report shows it as absent.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from speechllm.errors import DataError, shell_word
from speechllm.experiment import (
    HYPOTHESES,
    is_cell,
    is_set_of,
    method_of,
    tag_of,
    target_of,
    target_set,
)
from speechllm.files.layout import CONFIG, LANGUAGE_MODEL, REFERENCE, RUN
from speechllm.files.made_from import check_seal
from speechllm.files.own import made_again, read_mapping
from speechllm.model.description import task_of
from speechllm.task import Task

SOURCE_SET = "source_test"  # default of the recipes (`source_test` of run.sh)
MAIN_TAG = "decode"  # tag of conf/decode.yaml
RUN_WORDS = ("kind", "method", "target")
RUN_NUMBERS = ("steps", "kept_step", "seconds", "audio_hours_target", "trained_parameters")
"""Keys of run.json that reports read as words and as numbers."""


def source_set(names: Iterable[str], targets: Iterable[str]) -> str:
    """Source test set, which shows what adaptation forgets.

    SOURCE_SET if it is among `names` or only targets' sets are; else the first other set by name.
    """
    others = sorted(set(names) - {target_set(target) for target in targets})
    return SOURCE_SET if SOURCE_SET in others or not others else others[0]


@dataclass(frozen=True)
class Decoding:
    """Hypotheses of a model for one set.

    Attributes:
        folder: `<model>/decode_<tag>/<set>`.
        info: content of decode.json.
        result: content of the task's score file, such as wer.json (docs/scoring.md).
        task: the model's task.
    """

    folder: Path
    info: dict[str, Any]
    result: dict[str, Any]
    task: Task

    @property
    def set(self) -> str:
        return self.folder.name

    @property
    def tag(self) -> str:
        return tag_of(self.folder.parent.name)

    @cached_property
    def is_stale(self) -> bool:
        """Whether the hypotheses have changed since they were scored."""
        if not self.result:
            return False
        digest = hashlib.sha256((self.folder / "text").read_bytes()).hexdigest()
        return digest != self.result["made_from"]["hypothesis"]["sha256"]

    def figures(self, normalizer: str) -> dict[str, Any]:
        """All metrics with a normaliser (`wer`, `cer` ...); empty if not scored with it."""
        return self.result.get("scores", {}).get(normalizer, {})

    def error(self, normalizer: str) -> dict[str, Any]:
        """Main error of the task (percent, interval, counts); empty if not scored so."""
        return self.figures(normalizer).get(self.task.main.key) or {}

    def utterance_errors(self, normalizer: str) -> dict[str, tuple[float, float]]:
        """Errors and reference count of each utterance by id; empty if not scored with it.

        Raises:
            DataError: the listing `utterances.<normalizer>.tsv` is malformed.
        """
        path = self.folder / "score" / f"utterances.{normalizer}.tsv"
        if not self.result or not path.is_file():
            return {}
        rows: dict[str, tuple[float, float]] = {}
        for line, row in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], 2):
            try:
                utt, words, _, *errors = row.split("\t")
                rows[utt] = sum(map(float, errors)), float(words)
            except ValueError as error:
                model = shell_word(self.folder.parents[1])
                remedy = f"speechllm score --force --exp {model} --data_root DATA"
                raise DataError(str(error), path, line, remedy) from error
        return rows


@dataclass(frozen=True)
class Model:
    """Model of an exp folder, with its decodings.

    Attributes:
        folder: its folder.
        run: content of run.json.
        decodings: its decodings, by (tag, set).
        perplexity: content of perplexity.json: set -> `empty_slot` or `speech` -> perplexity
            per token and per word.
        task: its task.
    """

    folder: Path
    run: dict[str, Any]
    decodings: dict[tuple[str, str], Decoding]
    perplexity: dict[str, Any]
    task: Task

    @property
    def is_base(self) -> bool:
        return self.run.get("kind") == "base"

    @property
    def is_reference(self) -> bool:
        """Whether it was not trained here and is shown beside the base, such as a plain Whisper."""
        return self.run.get("kind") == REFERENCE

    @property
    def target(self) -> str | None:
        return self.run.get("target")

    @property
    def audio_hours(self) -> float:
        """Hours of the target's own audio that it was trained on."""
        return self.run.get("audio_hours_target") or 0.0

    @property
    def seed(self) -> int | None:
        """Seed of its training; None for a base that was not trained here."""
        training = self.run.get("config", {}).get("train") or {}
        return training.get("seed")

    @property
    def name(self) -> str:
        """Stem of its config: the folder's name without the target."""
        return method_of(self.folder.name, self.target)

    def expected_sets(self, source: str, targets: list[str]) -> list[str]:
        """Sets on which the recipe decodes this model."""
        return [source, *map(target_set, self.own_targets(targets))]

    def own_targets(self, targets: list[str]) -> list[str]:
        """Targets that it is tested on: `targets` for a base or a reference, else its own."""
        if self.is_base or self.is_reference:
            return targets
        return [self.target] if self.target else []

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.decodings}

    def error(self, tag: str, name: str, normalizer: str) -> dict[str, Any]:
        """Main error of the task on a set; empty if not decoded or not scored so.

        Args:
            tag: tag of the decoding.
            name: name of the set.
            normalizer: name of the normaliser.
        """
        decoding = self.decodings.get((tag, name))
        return decoding.error(normalizer) if decoding else {}


@dataclass(frozen=True)
class BaseRuns:
    """Base model and the models adapted from it.

    Attributes:
        folder: the base's folder.
        base: the base model; None if it has no run.json.
        adapted: models adapted from it.
        source_sets: the recipe's sets that show what adaptation forgets; empty if not known.
        references: recognisers that were not trained here; the same for all bases.
    """

    folder: Path
    base: Model | None
    adapted: list[Model]
    source_sets: tuple[str, ...] = ()
    references: tuple[Model, ...] = ()

    @property
    def task(self) -> Task:
        """Task of all these models."""
        return self.models[0].task

    @property
    def models(self) -> list[Model]:
        """All models: the base, references, then adapted ones by target, audio used, and name."""
        adapted = sorted(self.adapted, key=lambda m: (m.target or "", m.audio_hours, m.name))
        return [*([self.base] if self.base else []), *self.references, *adapted]

    @property
    def tags(self) -> list[str]:
        return sorted({tag for model in self.models for tag in model.tags})

    def main_tag(self, wanted: str | None) -> str:
        """Tag that models are compared under: `wanted`, else "decode", else the first."""
        if wanted or not self.tags:
            return wanted or MAIN_TAG
        return MAIN_TAG if MAIN_TAG in self.tags else self.tags[0]

    @property
    def targets(self) -> list[str]:
        """Targets of adapted models, and those on which only the base was decoded."""
        targets = {model.target for model in self.adapted if model.target}
        sources = {self.source, *self.source_sets}
        for _, name in self.base.decodings if self.base else ():
            if name not in sources and (target := target_of(name)):
                targets.add(target)
        return sorted(targets)

    def further_sets(self, target: str) -> list[str]:
        """Test sets of `target`, named `<target>_<part>`, besides the one for comparisons."""
        names = {name for model in self.models for _, name in model.decodings}
        return sorted(
            name
            for name in names - {self.source, *self.source_sets}
            if is_set_of(target, name) and not target_of(name)
        )

    @property
    def source(self) -> str:
        """Name of the set that shows what adaptation forgets.

        The first of `source_sets`, else a set besides the target's that adapted models decoded.
        """
        if self.source_sets:
            return self.source_sets[0]
        foreign = {
            name
            for model in self.adapted
            for _, name in model.decodings
            if model.target and name != target_set(model.target)
        }
        return source_set(foreign, ())

    def audio_reference(self, target: str) -> Model | None:
        """Model fine-tuned on the most audio of `target`: it marks the end of the audio gap."""
        models = [m for m in self.adapted if m.target == target and m.run.get("method") == "audio"]
        return max(models, key=lambda m: m.audio_hours, default=None)


def read_families(exp: Path, source_sets: Sequence[str] = ()) -> list[BaseRuns]:
    """Read all models below `exp`, except cells of comparisons, in the order of their folders.

    Args:
        exp: the recipe's exp folder.
        source_sets: sets that show what adaptation forgets, if the caller knows them.

    Raises:
        DataError: there is no model below `exp`.
    """
    models = {
        file.parent: read_model(file) for file in sorted(exp.rglob(RUN)) if not is_cell(file.parent)
    }
    models = {folder: m for folder, m in models.items() if m.run.get("kind") != LANGUAGE_MODEL}
    references = tuple(model for model in models.values() if model.is_reference)
    models = {folder: m for folder, m in models.items() if not m.is_reference}
    if not models:
        raise DataError(f"no {RUN}, hence no trained model, below this folder", exp)
    families: dict[Path, BaseRuns] = {}
    for folder, model in models.items():
        home = folder if model.is_base else folder.parent
        base = models.get(home)
        base = base if base and base.is_base else None
        family = families.setdefault(home, BaseRuns(home, base, [], tuple(source_sets), references))
        if not model.is_base:
            family.adapted.append(model)
    return list(families.values())


def unfinished(exp: Path) -> list[Path]:
    """Model folders whose training has not ended: they have a config, but no run.json."""
    return [
        config.parent
        for config in sorted(exp.rglob(CONFIG))
        if not (config.parent / RUN).exists() and not is_cell(config.parent)
    ]


def read_model(run_file: Path) -> Model:
    """Read a model and its decodings."""
    task = task_of(run_file.parent)
    decodings = {}
    for text in sorted(run_file.parent.glob(HYPOTHESES)):
        decoding = Decoding(
            text.parent,
            _decode_info(text.parent),
            _sealed_or_empty(text.with_name("score") / task.score_file),
            task,
        )
        decodings[decoding.tag, decoding.set] = decoding
    perplexity = _sealed_or_empty(run_file.with_name("perplexity.json"))
    return Model(run_file.parent, _run_info(run_file), decodings, perplexity, task)


def _sealed_or_empty(path: Path) -> dict[str, Any]:
    if path.exists():
        check_seal(path)
    return _json_or_empty(path)


def _json_or_empty(path: Path, folder: Path | None = None) -> dict[str, Any]:
    if not path.exists():
        return {}
    return read_mapping(path, made_again(folder or path))


def _decode_info(folder: Path) -> dict[str, Any]:
    """Content of decode.json; a real-time factor that is no number is an error."""
    info = _json_or_empty(folder / "decode.json", folder)
    _check_numbers(info, ("rtf",), folder / "decode.json")
    return info


def _run_info(path: Path) -> dict[str, Any]:
    """Content of run.json; values that reports read are what they have to be, or absent."""
    run = _json_or_empty(path, path.parent)
    _check_numbers(run, RUN_NUMBERS, path)
    phases = run.get("phases") or []
    if not isinstance(phases, list) or not all(isinstance(phase, dict) for phase in phases):
        message = "is damaged: `phases` is no list of mappings"
        raise DataError(message, path, remedy=made_again(path.parent))
    words = [run.get(key) or "" for key in RUN_WORDS] + [phase.get("name", "") for phase in phases]
    if not all(isinstance(word, str) for word in words):
        message = f"is damaged: {', '.join(RUN_WORDS)} and names of phases are words"
        raise DataError(message, path, remedy=made_again(path.parent))
    return run


def _check_numbers(info: dict[str, Any], keys: Iterable[str], path: Path) -> None:
    for key in keys:
        value = info.get(key)
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise DataError(
                f"is damaged: `{key}` is no number", path, remedy=made_again(path.parent)
            )
