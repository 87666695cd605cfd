"""What a task is: a prompt, a form of answers and a count of errors. And the register of all.

A new task is a subclass in a file of its own and a line in `TASKS` (docs/tasks.md). What it needs
of the rest of the package its own file imports; this one imports nothing but errors, so that
configs, data and the search can know what a task is without knowing which there are. Commands load
a task by its name and hand it down.
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
"""Names that answers are made of, by kind, sorted; those that stood in training."""
Entities = Mapping[str, Sequence[Mapping[str, Any]]]
"""Annotated entities by utterance id (docs/data.md)."""


@dataclass(frozen=True)
class Metric:
    """An error rate of a task, in percent; lower is better.

    Attributes:
        key: its name in files.
        title: its name in tables.
        says: what it counts, for the legend of a table.
        unit: what errors are a share of, where that is the same for all systems.
    """

    key: str
    title: str
    says: str
    unit: str = ""


@dataclass(frozen=True)
class Form:
    """What all answers of a task look like.

    Attributes:
        pattern: a regular expression for whole answers.
        sample: an answer.
    """

    pattern: str
    sample: str


class Task:
    """What the LLM is asked, what it answers, and how that is scored.

    A subclass sets the first three attributes and implements `count`, `scores` and `lines`
    (`speechllm.tasks.counted` does the last two from the first); the rest has defaults that suit
    answers of plain text.
    """

    name: ClassVar[str]
    prompt: ClassVar[str]
    """The user's turn where the config gives none; `<speech>` stands where the speech goes."""
    metrics: ClassVar[tuple[Metric, ...]]
    """Error rates; the first is the main one, by which models are compared."""
    table: ClassVar[str] = "text"
    """The data dir's table of what is to be answered."""
    instruction: ClassVar[str | None] = None
    """The prompt of a trained Speech LLM, whose own template places the speech; None is its
    family's usual one, which asks for a transcript."""
    decode: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Keys of DecodeConfig whose defaults do not suit the answers."""

    by_type: ClassVar[str] = ""
    """Title of the rate that `count` gives by type, if it does."""
    is_aligned: ClassVar[bool] = False
    """References and hypotheses are aligned word by word (`Counted.words`), so that tests look
    inside utterances, and reports show alignments."""
    is_read: ClassVar[bool] = True
    """Answers are for people to read, as in subtitles."""
    missing: ClassVar[str] = "as wholly wrong"
    """How a missing hypothesis counts, in words."""
    pipeline_tag: ClassVar[str] = "audio-text-to-text"
    """Kind of model that a packed one is on the Hugging Face hub."""
    published: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Ways of adapting by name, from the highest to the lowest error, as papers have them."""

    @property
    def main(self) -> Metric:
        """The error rate by which models are compared."""
        return self.metrics[0]

    @property
    def tables(self) -> tuple[str, ...]:
        """The data dir's tables that targets are made of."""
        return tuple(dict.fromkeys(("text", self.table)))

    @property
    def score_file(self) -> str:
        """Name of the file below `score/` that is written last."""
        return f"{self.name}.json"

    # ---- answers

    def answer(self, value: str, transcript: str) -> str:
        """The answer, in one line, that a line of `table` asks for.

        Args:
            value: of the line.
            transcript: of the utterance.

        Raises:
            ValueError: the line cannot be read.
        """
        return value

    def remarks(self, value: str, transcript: str) -> Iterable[str]:
        """What is odd about a line of `table`, though it can be used: for `speechllm data check`.

        Each is a message for all such lines, and after ": " what it is about in this one.
        """
        return ()

    def fields(self, hypothesis: str) -> Mapping[str, Any]:
        """What an answer says, for programs: further fields of a line of `transcribe --format
        jsonl`."""
        return {}

    def is_answer(self, hypothesis: str) -> bool:
        """Whether a hypothesis has the form of an answer, so that a model could learn from it."""
        return bool(hypothesis)

    def labels(self, answers: Iterable[str]) -> Labels:
        """The names that answers of a training set are made of; they travel with the model."""
        return {}

    # ---- model and decoding

    def with_prompt(self, model: Config) -> Config:
        """A ModelConfig with this task's prompt where it gives none."""
        if model.prompt is not None:
            return model
        prompt = self.prompt if model.speech_llm is None else self.instruction
        return model.model_copy(update={"prompt": prompt})

    def with_decode_defaults(self, config: Config) -> Config:
        """A DecodeConfig with this task's defaults for what was not set."""
        given = config.model_fields_set
        return config.model_copy(update={k: v for k, v in self.decode.items() if k not in given})

    def form(self, labels: Labels) -> Form | None:
        """What all answers look like, where the decode config says `constrained`; None: anything.

        Args:
            labels: of the training data.

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
            hypotheses: what the model wrote; an utterance without one counts as wholly wrong.
            normalizer: applied to words on both sides.
            labels: of the model's training data; None where they are not known.
            entities: annotated in the transcripts.

        Raises:
            SpeechLLMError: no references, or hypotheses whose ids have no reference.
        """
        raise NotImplementedError

    def scores(
        self, reference: Path, hypothesis: Path, settings: "Settings", labels: Labels | None
    ) -> "Mapping[str, Scored]":
        """Score a file of hypotheses: what its `score_file` and its listings hold, by normaliser.

        Args:
            reference: `table` of a data dir.
            hypothesis: Kaldi table of hypotheses.
            settings: normalisers and bootstrap.
            labels: see `count`.

        Raises:
            DataError: a file is missing or malformed.
            SpeechLLMError: hypotheses with ids that the references lack.
        """
        raise NotImplementedError

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        """A line for each normaliser of a score; `what` names the hypotheses."""
        raise NotImplementedError

    @property
    def details(self) -> Mapping[str, tuple[str, ...]]:
        """What stands beside the main error in tables, by the column's title.

        Where a score has it: the key of a rate, or that and the keys of counts of it.
        """
        return {f"{metric.title} [95 %]": (metric.key,) for metric in self.metrics[1:]}

    def legend(self) -> str:
        """What the main error and the cells of `details` are, for below a table."""
        return "; ".join(f"{metric.title}: {metric.says}" for metric in self.metrics)

    @property
    def shown(self) -> Mapping[tuple[str, ...], tuple[str, str]]:
        """Rates of a score that its web page shows: (title, meaning) by the keys on the way."""
        return {(metric.key,): (metric.title, metric.says) for metric in self.metrics}

    def listings(self, counted: "Counted") -> Mapping[str, Iterable[str]]:
        """What shows the errors themselves: lines of `<name>.<normalizer>.txt` beside the score."""
        return {}


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task '{name}'{did_you_mean(name, TASKS)}")
    return _made(TASKS[name])


def load_tasks() -> list[Task]:
    """All tasks, in the order of the register."""
    return [load_task(name) for name in TASKS]


@lru_cache
def _made(place: str) -> Task:
    module, cls = place.split(":")
    return getattr(importlib.import_module(module), cls)()
