"""What a task is, and the register of all of them.

A task is a prompt, a form of answers and a scorer. It says them here, and nothing outside of this
package knows which task runs. A new one is a subclass in a file of its own and a line in `TASKS`
(docs/tasks.md).
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel

from speechllm.data.tables import first_ids, read_table
from speechllm.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from speechllm.data.kaldi import DataDir
    from speechllm.data.prompt import Prompt
    from speechllm.decode.source import Source
    from speechllm.score.counted import Counted
    from speechllm.score.inputs import Settings

TASKS = {
    "asr": "speechllm.tasks.asr:Recognition",
    "slu": "speechllm.tasks.slu:Understanding",
    "slots": "speechllm.tasks.slots:SlotFilling",
}

Config = TypeVar("Config", bound=BaseModel)
Labels = Mapping[str, Sequence[str]]
"""Names that answers are made of, by kind, sorted; those that stood in training."""


@dataclass(frozen=True)
class Figure:
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


class Task:
    """What the LLM is asked, what it answers, and how that is scored.

    A subclass sets the first four attributes and implements `count`; the rest has defaults that
    suit answers of plain text.
    """

    name: ClassVar[str]
    prompt: ClassVar[str]
    """The user's turn where the config gives none; `<speech>` stands where the speech goes."""
    figures: ClassVar[tuple[Figure, ...]]
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
    has_words: ClassVar[bool] = False
    """`count` gives word alignments, so that tests look inside utterances."""
    is_read: ClassVar[bool] = True
    """Answers are for people to read, as in subtitles."""
    pipeline_tag: ClassVar[str] = "audio-text-to-text"
    """Of a packed model on the Hugging Face hub."""
    published: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Ways of adapting by name, from the highest to the lowest error, as papers have them."""

    @property
    def main(self) -> Figure:
        """The error rate by which models are compared."""
        return self.figures[0]

    @property
    def tables(self) -> tuple[str, ...]:
        """The data dir's tables that `targets` are made of."""
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

    def targets(self, data_dir: "DataDir") -> dict[str, str]:
        """What the LLM has to answer, by utterance id, in the order of `data_dir.ids`.

        Raises:
            DataError: no such table, a line of it that cannot be read, or an utterance without one.
        """
        path = data_dir.path / self.table
        if not path.is_file():
            remedy = f"the task {self.name} needs it; or name another task in model.task"
            raise DataError("no such file", path, remedy=remedy)
        rows = read_table(path)
        if absent := [utt for utt in data_dir.ids if utt not in rows]:
            remedy = "add a line for each, or take the utterances out: speechllm subset"
            message = f"no line for utterances of text: {first_ids(absent)}"
            raise DataError(message, path, remedy=remedy)
        # read_table refuses empty lines, so the n-th entry stands on line n.
        numbers = {utt: number for number, utt in enumerate(rows, 1)}
        answers = {}
        for utt in data_dir.ids:
            try:
                answers[utt] = self.answer(rows[utt], data_dir.text[utt])
            except ValueError as error:
                message = f"{utt}: {error}"
                raise DataError(message, path, numbers[utt], "mend the line") from error
        return answers

    def remarks(self, value: str, transcript: str) -> Iterable[str]:
        """What is odd about a line of `table`, though it can be used: for `speechllm check`.

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

    # ---- decoding

    def suit(self, config: Config) -> Config:
        """A DecodeConfig with this task's defaults for what was not set."""
        given = config.model_fields_set
        return config.model_copy(update={k: v for k, v in self.decode.items() if k not in given})

    def constraint(self, tokenizer: Any, prompt: "Prompt", labels: Labels) -> "Source | None":
        """What keeps hypotheses to the form of answers, where the decode config says `constrained`.

        Args:
            tokenizer: the LLM's.
            prompt: whose ends stand after an answer.
            labels: of the training data.

        Returns:
            A source for the search; None: answers have no form.

        Raises:
            ConfigError: the tokenizer cannot write such answers, or there are no labels.
        """
        return None

    # ---- scores

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
    ) -> "Counted":
        """Count the errors of hypotheses, by utterance.

        Args:
            references: answers as `targets` gives them.
            hypotheses: what the model wrote; an utterance without one counts as wholly wrong.
            normalizer: applied to words on both sides.
            labels: of the model's training data; None where they are not known.

        Raises:
            SpeechLLMError: no references, or hypotheses whose ids have no reference.
        """
        raise NotImplementedError

    def count_set(
        self,
        data_dir: "DataDir",
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
    ) -> "Counted":
        """The same, of a data dir, with what else it has to be scored against."""
        return self.count(self.targets(data_dir), hypotheses, normalizer, labels)

    def score(
        self,
        reference: Path,
        hypothesis: Path,
        out: Path,
        settings: "Settings",
        labels: Labels | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Score a file of hypotheses into the folder `out`; what its `score_file` holds.

        Args:
            reference: `table` of a data dir.
            hypothesis: Kaldi table of hypotheses.
            out: folder of the score.
            settings: normalisers and bootstrap.
            labels: see `count`.
            force: score again even if nothing has changed.

        Raises:
            DataError: a file is missing or malformed.
            SpeechLLMError: hypotheses with ids that the references lack.
        """
        from speechllm.score.task_folder import score_answers

        return score_answers(self, reference, hypothesis, out, settings, labels, force)

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        """A line for each normaliser of a score; `what` names the hypotheses."""
        from speechllm.score.task_folder import figure_lines

        return figure_lines(self, result, what)

    def details(self, figures: Mapping[str, Any]) -> Mapping[str, str]:
        """Cells that stand beside the main error in tables, by their column's title.

        Args:
            figures: of a score; empty where there is none.
        """
        from speechllm.report.table import rate

        further = self.figures[1:]
        return {f"{figure.title} [95 %]": rate(figures.get(figure.key)) for figure in further}

    def legend(self) -> str:
        """What the main error and the cells of `details` are, for below a table."""
        return "; ".join(f"{figure.title}: {figure.says}" for figure in self.figures)

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


@lru_cache
def _made(place: str) -> Task:
    module, cls = place.split(":")
    return getattr(importlib.import_module(module), cls)()
