"""Interface of tasks (a prompt, a form of answers, a count of errors), and the register of tasks.

A new task is a subclass in a file of its own and a line in `TASKS` (docs/tasks.md). Its own file
imports what it needs of the package. This file imports nothing but errors, so that configs, data
and the search depend on the interface but on no task. Commands load a task by its name and pass it
on.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel

from speechllm.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from speechllm.score.counts import Counted
    from speechllm.score.inputs import Settings
    from speechllm.score.write import Scored

TASKS = {
    "asr": "speechllm.tasks.asr:Recognition",
    "slu": "speechllm.tasks.slu:Understanding",
    "slots": "speechllm.tasks.slots:SlotFilling",
}

Config = TypeVar("Config", bound=BaseModel)
Labels = Mapping[str, Sequence[str]]
"""Label names that occur in the answers of the training data: by kind, sorted."""
Entities = Mapping[str, Sequence[Mapping[str, Any]]]
"""Annotated entities by utterance id (docs/data-formats.md)."""


@dataclass(frozen=True)
class Metric:
    """An error rate of a task, in percent; lower is better.

    Attributes:
        key: its name in files.
        title: its name in tables.
        says: what it counts, for the legend of a table.
        unit: what it is a share of, such as words, if that is the same for all systems.
    """

    key: str
    title: str
    says: str
    unit: str = ""


@dataclass(frozen=True)
class Form:
    """Form of all answers of a task, for constrained decoding.

    Attributes:
        pattern: regular expression that a whole answer matches.
        sample: an example of an answer.
    """

    pattern: str
    sample: str


class Task:
    """Interface of a task: what the LLM is asked, what it answers, and how answers are scored.

    A subclass sets the first three attributes and implements `count`, `scores` and `lines`
    (`speechllm.tasks.counted` derives the last two from `count`). The defaults of the rest suit
    answers in plain text.
    """

    name: ClassVar[str]
    prompt: ClassVar[str]
    """User's turn if the config gives none, with `<speech>` where the speech goes."""
    metrics: ClassVar[tuple[Metric, ...]]
    """Error rates; the first is the main one, by which models are compared."""
    table: ClassVar[str] = "text"
    """Data dir table that the reference answers are made of."""
    instruction: ClassVar[str | None] = None
    """Instruction for a trained Speech LLM, whose own template places the speech; None is the usual
    one of its family, which asks for a transcript."""
    decode: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Defaults of DecodeConfig keys that this task changes."""

    by_type: ClassVar[str] = ""
    """Title of the error rate that `count` gives by type; empty if it gives none."""
    is_aligned: ClassVar[bool] = False
    """Whether references and hypotheses are aligned word by word (`Counted.words`). If so, tests
    look inside utterances, and reports show alignments."""
    is_read: ClassVar[bool] = True
    """Whether answers are text for people to read, as in subtitles."""
    missing: ClassVar[str] = "as wholly wrong"
    """Phrase for reports that says how a missing hypothesis counts."""
    pipeline_tag: ClassVar[str] = "audio-text-to-text"
    """Hub `pipeline_tag` of a packed model."""
    published: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Titles of adaptation methods by name, from the highest to the lowest error in the papers."""

    @property
    def main(self) -> Metric:
        """Error rate by which models are compared."""
        return self.metrics[0]

    @property
    def tables(self) -> tuple[str, ...]:
        """Data dir tables that training targets are made of."""
        return tuple(dict.fromkeys(("text", self.table)))

    @property
    def score_file(self) -> str:
        """Name of the file below `score/` that is written last."""
        return f"{self.name}.json"

    # ---- answers

    def answer(self, value: str, transcript: str) -> str:
        """Make the reference answer, one line, from a line of `table`.

        Args:
            value: the line without its id.
            transcript: transcript of the utterance.

        Raises:
            ValueError: the line cannot be read.
        """
        return value

    def remarks(self, value: str, transcript: str) -> Iterable[str]:
        """Oddities of a line of `table` that can be used all the same, for `speechllm data check`.

        Each is a message for all such lines, and after ": " what it is about in this one.
        """
        return ()

    def fields(self, hypothesis: str) -> Mapping[str, Any]:
        """Parse an answer into further fields for a line of `transcribe --format jsonl`."""
        return {}

    def is_answer(self, hypothesis: str) -> bool:
        """Whether a hypothesis has the form of an answer, so that a model can be trained on it."""
        return bool(hypothesis)

    def labels(self, answers: Iterable[str]) -> Labels:
        """Collect the label names in a training set's answers; they are stored with the model."""
        return {}

    # ---- model and decoding

    def with_prompt(self, model: Config) -> Config:
        """Fill in this task's prompt in a ModelConfig that gives none."""
        if model.prompt is not None:
            return model
        prompt = self.prompt if model.speech_llm is None else self.instruction
        return model.model_copy(update={"prompt": prompt})

    def with_decode_defaults(self, config: Config) -> Config:
        """Fill in this task's defaults for keys of a DecodeConfig that were not set."""
        given = config.model_fields_set
        return config.model_copy(update={k: v for k, v in self.decode.items() if k not in given})

    def form(self, labels: Labels) -> Form | None:
        """Form of all answers, for a decode config with `constrained`; None if anything is allowed.

        Args:
            labels: labels of the training data.

        Raises:
            ConfigError: there are no labels.
        """
        return None

    # ---- scores

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
        entities: Entities = MappingProxyType({}),
    ) -> "Counted":
        """Count the errors of hypotheses, by utterance.

        Args:
            references: answers by utterance id, as `answer` writes them.
            hypotheses: answers of the model; an utterance without one counts as wholly wrong.
            normalizer: applied to words on both sides.
            labels: labels of the model's training data; None if they are not known.
            entities: entities annotated in the transcripts.

        Raises:
            SpeechLLMError: there are no references, or a hypothesis has no reference.
        """
        raise NotImplementedError

    def scores(
        self, reference: Path, hypothesis: Path, settings: "Settings", labels: Labels | None
    ) -> "Mapping[str, Scored]":
        """Score a file of hypotheses: contents of `score_file` and of the listings, by normaliser.

        Args:
            reference: file `table` of a data dir.
            hypothesis: Kaldi table of hypotheses.
            settings: normalisers and bootstrap.
            labels: see `count`.

        Raises:
            DataError: a file is missing or malformed.
            SpeechLLMError: a hypothesis has no reference.
        """
        raise NotImplementedError

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        """Describe a score in one line for each normaliser; `what` names the hypotheses.

        Raises:
            NotImplementedError: a subclass lacks it.
        """
        raise NotImplementedError

    @property
    def details(self) -> Mapping[str, tuple[str, ...]]:
        """Further columns of tables, beside the main error: keys of a score by column title.

        The keys are that of an error rate, alone or followed by those of some of its counts.
        """
        return {f"{metric.title} [95 %]": (metric.key,) for metric in self.metrics[1:]}

    def legend(self) -> str:
        """Legend below a table: explains the main error and the columns of `details`."""
        return "; ".join(f"{metric.title}: {metric.says}" for metric in self.metrics)

    @property
    def shown(self) -> Mapping[tuple[str, ...], tuple[str, str]]:
        """Rates that the web page of a score shows: (title, meaning) by path of keys."""
        return {(metric.key,): (metric.title, metric.says) for metric in self.metrics}

    def listings(self, counted: "Counted") -> Mapping[str, Iterable[str]]:
        """Listings of the errors, by name: lines of `<name>.<normalizer>.txt` beside the score."""
        return {}


def load_task(name: str) -> Task:
    """Load the task of a name.

    Raises:
        ConfigError: there is no such task.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task '{name}'{did_you_mean(name, TASKS)}")
    return _made(TASKS[name])


def load_tasks() -> list[Task]:
    """Load all tasks, in the order of the register."""
    return [load_task(name) for name in TASKS]


@lru_cache
def _made(place: str) -> Task:
    module, cls = place.split(":")
    return getattr(importlib.import_module(module), cls)()
