"""Read an exp folder: which models there are, what they decoded, how it scored.

    exp/<base>/run.json                              a base model
    exp/<base>/<method>_<target>/run.json            a model adapted from it
    exp/<base>/<comparison>/<cell>/run.json          left to `speechllm compare report`
    exp/lm/<lm>_<target>/run.json                    a language model, which is no recogniser
    exp/<reference>/run.json                         a recogniser that was not trained here
    <model>/decode_<tag>/<set>/{text,decode.json}    hypotheses, how long they took
    <model>/decode_<tag>/<set>/score/wer.json        their score, named after the task
    <model>/perplexity.json                          of the sets' texts

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
from speechllm.files.layout import CONFIG, LANGUAGE_MODEL, REFERENCE, RUN
from speechllm.files.made_from import check_seal
from speechllm.files.own import made_again, read_mapping
from speechllm.model.description import task_of
from speechllm.task import Task

SOURCE_SET = "source_test"  # its name in recipes that do not name another (`source_test` of run.sh)
MAIN_TAG = "decode"  # of conf/decode.yaml


def source_set(names: Iterable[str], targets: Iterable[str]) -> str:
    """Which of some decoded sets shows what adaptation forgets.

    SOURCE_SET where it is among them, else the first that is no target's.
    """
    others = sorted(set(names) - {target_set(target) for target in targets})
    return SOURCE_SET if SOURCE_SET in others or not others else others[0]


def target_set(target: str) -> str:
    """Name of the set on which models of `target` are compared."""
    return f"{target}_test"


@dataclass(frozen=True)
class Decoding:
    """A model's hypotheses for one set.

    Attributes:
        folder: `<model>/decode_<tag>/<set>`.
        info: decode.json.
        result: the task's score, such as wer.json (docs/scoring.md).
        task: of the model.
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
        return self.folder.parent.name.removeprefix("decode_")

    @cached_property
    def is_stale(self) -> bool:
        """The hypotheses have changed since they were scored."""
        if not self.result:
            return False
        digest = hashlib.sha256((self.folder / "text").read_bytes()).hexdigest()
        return digest != self.result["made_from"]["hypothesis"]["sha256"]

    def figures(self, normalizer: str) -> dict[str, Any]:
        """All figures with that normaliser (`wer`, `cer` ...); empty if it was not scored so."""
        return self.result.get("scores", {}).get(normalizer, {})

    def error(self, normalizer: str) -> dict[str, Any]:
        """The task's main error (percent, interval, counts); empty if it was not scored so."""
        return self.figures(normalizer).get(self.task.main.key) or {}

    def utterance_errors(self, normalizer: str) -> dict[str, tuple[float, float]]:
        """Main errors of each utterance, and of how much; empty if it was not scored so.

        Raises:
            DataError: the listing is malformed.
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
    """A trained model.

    Attributes:
        folder: where it lies.
        run: its run.json.
        decodings: by (tag, set).
        perplexity: perplexity.json: set -> what the slot held -> per token and per word.
        task: what it answers, and how that is scored.
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
        """Not trained here, and shown beside the base: a Whisper alone."""
        return self.run.get("kind") == REFERENCE

    @property
    def target(self) -> str | None:
        return self.run.get("target")

    @property
    def audio_hours(self) -> float:
        """Hours of the target's own audio that it was trained on."""
        return self.run.get("audio_hours_target") or 0.0

    @property
    def name(self) -> str:
        """The stem of its config: the folder's name without the target."""
        return self.folder.name.removesuffix(f"_{self.target}" if self.target else "")

    def expected_sets(self, source: str, targets: list[str]) -> list[str]:
        """Sets on which the recipe decodes this model."""
        return [source, *map(target_set, self.own_targets(targets))]

    def own_targets(self, targets: list[str]) -> list[str]:
        """Those of `targets` that it is tested on: all for a base or a reference."""
        if self.is_base or self.is_reference:
            return targets
        return [self.target] if self.target else []

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.decodings}

    def error(self, tag: str, name: str, normalizer: str) -> dict[str, Any]:
        """The task's main error on the set `name`, empty where there is none."""
        decoding = self.decodings.get((tag, name))
        return decoding.error(normalizer) if decoding else {}


@dataclass(frozen=True)
class BaseRuns:
    """A base model (None if it has no run.json) and the models adapted from it.

    Attributes:
        source_sets: the recipe's sets that show what adaptation forgets; empty if not known.
        references: recognisers that were not trained here; the same for all families.
    """

    folder: Path
    base: Model | None
    adapted: list[Model]
    source_sets: tuple[str, ...] = ()
    references: tuple[Model, ...] = ()

    @property
    def task(self) -> Task:
        """What this family's models answer."""
        return self.models[0].task

    @property
    def models(self) -> list[Model]:
        """The base first, then references, then by target audio used, then by name."""
        adapted = sorted(self.adapted, key=lambda m: (m.target or "", m.audio_hours, m.name))
        return [*([self.base] if self.base else []), *self.references, *adapted]

    @property
    def tags(self) -> list[str]:
        return sorted({tag for model in self.models for tag in model.tags})

    def main_tag(self, wanted: str | None) -> str:
        """The decoding that models are compared under: `wanted`, else "decode", else the first."""
        if wanted or not self.tags:
            return wanted or MAIN_TAG
        return MAIN_TAG if MAIN_TAG in self.tags else self.tags[0]

    @property
    def targets(self) -> list[str]:
        """Targets of adapted models, and those on which only the base was decoded."""
        targets = {model.target for model in self.adapted if model.target}
        sources = {self.source, *self.source_sets}
        for _, name in self.base.decodings if self.base else ():
            if name not in sources and name.endswith("_test"):
                targets.add(name.removesuffix("_test"))
        return sorted(targets)

    def further_sets(self, target: str) -> list[str]:
        """Test sets of `target` beside that on which models are compared: `<target>_<part>`."""
        names = {name for model in self.models for _, name in model.decodings}
        return sorted(
            name
            for name in names - {self.source, *self.source_sets}
            if name.startswith(f"{target}_") and not name.endswith("_test")
        )

    @property
    def source(self) -> str:
        """The set that shows what adaptation forgets.

        The first of `source_sets`, else what adapted models were decoded on beside their target's.
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
        """The model fine-tuned on the most audio of `target`: the end of the audio gap."""
        models = [m for m in self.adapted if m.target == target and m.run.get("method") == "audio"]
        return max(models, key=lambda m: m.audio_hours, default=None)


def read_families(exp: Path, source_sets: Sequence[str] = ()) -> list[BaseRuns]:
    """Read everything below `exp` but the cells of comparisons, in the order of the folders' names.

    Args:
        exp: the recipe's exp folder.
        source_sets: those that show what adaptation forgets, where the caller knows them.

    Raises:
        DataError: there is no model below `exp`.
    """
    models = {
        file.parent: read_model(file)
        for file in sorted(exp.rglob(RUN))
        if not _is_cell(file.parent)
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
    """Model folders whose training has not ended: a config, but no run.json."""
    return [
        config.parent
        for config in sorted(exp.rglob(CONFIG))
        if not (config.parent / RUN).exists() and not _is_cell(config.parent)
    ]


def _is_cell(folder: Path) -> bool:
    """Whether the comparison's folder lies between a model and its base (speechllm.compare)."""
    return not (folder.parent / CONFIG).exists() and (folder.parent.parent / CONFIG).exists()


def read_model(run_file: Path) -> Model:
    """Read a model and what it decoded."""
    task = task_of(run_file.parent)
    decodings = {}
    for text in sorted(run_file.parent.glob("decode_*/*/text")):
        decoding = Decoding(
            text.parent,
            _decode_info(text.parent),
            _sealed_or_empty(text.with_name("score") / task.score_file),
            task,
        )
        decodings[decoding.tag, decoding.set] = decoding
    perplexity = _sealed_or_empty(run_file.with_name("perplexity.json"))
    return Model(
        run_file.parent, _json_or_empty(run_file, run_file.parent), decodings, perplexity, task
    )


def _sealed_or_empty(path: Path) -> dict[str, Any]:
    if path.exists():
        check_seal(path)
    return _json_or_empty(path)


def _json_or_empty(path: Path, folder: Path | None = None) -> dict[str, Any]:
    if not path.exists():
        return {}
    return read_mapping(path, made_again(folder or path))


def _decode_info(folder: Path) -> dict[str, Any]:
    """decode.json of a decoded set; its real-time factor is a number, if it is there."""
    path = folder / "decode.json"
    info = _json_or_empty(path, folder)
    rtf = info.get("rtf", 0.0)
    if rtf is not None and not (isinstance(rtf, int | float) and math.isfinite(rtf)):
        raise DataError("is damaged: `rtf` is no number", path, remedy=made_again(folder))
    return info
