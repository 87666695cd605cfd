"""Decoder: all steps of decoding a batch; the same for sets and for recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.biasing.biasing import Biasing
from speechllm.decode.config import DecodeConfig
from speechllm.decode.form.constraint import constraint_of
from speechllm.decode.guard import GuardConfig, flags_of, prefers_retry
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.record import GuardRecord, HypothesisRecord, RecordedWord
from speechllm.decode.requirements import check_suits
from speechllm.decode.scorers.build import knowledge_hashes, make_scorers
from speechllm.decode.scorers.joint_ctc import JointCtc
from speechllm.decode.scorers.scorer import Scorer
from speechllm.decode.search.search import search, token_bound
from speechllm.decode.words.ctc import CtcReader
from speechllm.decode.words.word_records import WordRecords
from speechllm.errors import ConfigError
from speechllm.model.compute.precision import autocast
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate


@dataclass(frozen=True)
class Candidate:
    """Hypothesis of an n-best list, with its score and the parts of it.

    Attributes:
        hypothesis: as the search found it.
        score: score of the search plus weighted scores of the rescorers, in nats.
        scores: parts without weights, by name: `llm` for the LLM, and each scorer's.
    """

    hypothesis: Hypothesis
    score: float
    scores: dict[str, float]

    def listed(self) -> dict[str, Any]:
        """Serialise for nbest.jsonl."""
        return {
            "text": self.hypothesis.text,
            "score": round(self.score, 4),
            "tokens": self.hypothesis.tokens,
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
        }


@dataclass
class Decoded:
    """One utterance's result.

    Attributes:
        best: the hypothesis chosen.
        nbest: what it was chosen from, best first; empty where only one was asked for.
        hotwords: bias words that stood in its prompt.
        guard: flags that the guard raised, and its second decode.
        confidence, words: a second look at `best`, where the config asks for it.
    """

    best: Hypothesis
    nbest: list[Candidate]
    hotwords: tuple[str, ...] = ()
    guard: GuardRecord | None = None
    confidence: float | None = None
    words: tuple[RecordedWord, ...] | None = None

    def record(self, seconds: float = 0.0, took: float = 0.0) -> HypothesisRecord:
        """Line of hyp.jsonl.

        Args:
            seconds: duration of the utterance.
            took: seconds of its decoding.
        """
        return HypothesisRecord(
            id=self.best.utt_id,
            text=self.best.text,
            tokens=self.best.tokens,
            truncated=self.best.truncated,
            guard=self.guard,
            hotwords=self.hotwords,
            confidence=self.confidence,
            words=self.words,
            seconds=seconds,
            decode_seconds=round(took, 4),
        )


class Decoder:
    """Decodes batches with a model and all its scorers, which are loaded once.

    Args:
        model: in eval mode, on its device.
        config: of the decoding.
        sources: scorers inside the search, in their order.
        rescorers: scorers after the search; one with a weight of 0 is only listed.
        hashes: of the language models among them, by config key.

    Attributes:
        times_by: source of word times: `ctc`, `attention` or `none`.

    Raises:
        ConfigError: the model does not suit the config (`check_suits`), it was loaded with another
            `adapted`, or its task or tokenizer cannot do constrained decoding.
        SpeechLLMError: decoding is to be constrained, and outlines-core is not installed.
    """

    def __init__(
        self,
        model: SpeechLLM,
        config: DecodeConfig,
        sources: Sequence[Scorer] = (),
        rescorers: Sequence[Scorer] = (),
        hashes: dict[str, str] | None = None,
    ):
        self.model, self.config = model, config
        check_suits(model.config, config, model.task)
        if config.adapted != model.adapted:
            raise ConfigError(
                f"adapted: of this model's adaptation counts {model.adapted:g}, not "
                f"{config.adapted:g}",
                "in Python: load the model anew, and call `keep_to` (a recogniser's) or "
                "`speechllm.model.adaptation_weight.weigh_adaptation` before the search",
            )
        self.sources, self.rescorers, self.hashes = list(sources), rescorers, hashes or {}
        if config.joint_ctc:
            self.sources.insert(0, JointCtc(model, config.joint_ctc))
        hotwords = config.biasing.prompt if config.biasing else None
        by_ctc = hotwords is not None and hotwords.filter == "ctc"
        reader = CtcReader(model, config.ctc) if by_ctc else None
        self._reader, self._words = reader, WordRecords(model, config, reader)
        self._own, self._biasing = self.sources, Biasing(model)
        self.times_by = self._words.times_by
        self._form: Scorer | None = None
        if config.constrained and (form := model.task.form(model.labels)):
            self._form = constraint_of(form, model.tokenizer, model.prompt)

    @property
    def growth(self) -> int:
        """LLM positions that bias words of the present set add to a prompt."""
        return self._biasing.growth

    @classmethod
    def load(cls, model: SpeechLLM, config: DecodeConfig) -> "Decoder":
        """Make a decoder with all scorers that the config names.

        Raises:
            ConfigError: a weight is null and must be tuned first, or a language model cannot be
                used.
        """
        if config.left_open:
            raise ConfigError(
                f"{' and '.join(config.left_open)}: null, which has to be tuned on a dev set",
                "give the weight, or decode with `speechllm decode --dev data/<target>_dev`",
            )
        made = make_scorers(config, model)
        return cls(model, config, made["fusion"], made["rescore"], knowledge_hashes(config))

    def use_lists(self, lists: BiasLists) -> None:
        """Set the bias lists of the set that is decoded next, if the config asks for biasing.

        A set without lists is decoded without biasing.
        """
        self._biasing = Biasing(self.model, self.config.biasing, lists, self._reader)
        self.sources = [*self._own, *self._biasing.inside()]

    def decode(self, examples: Sequence[Example], seconds: Sequence[float]) -> list[Decoded]:
        """Decode one batch.

        Args:
            examples: utterances; their transcripts are not used.
            seconds: duration of each.

        Returns:
            One result for each example, in the same order.
        """
        if self.model.ctc:  # which other decoders share
            own = self.model.ctc.config.temperature
            self.model.ctc.temperature = self.config.speech_temperature or own
        biased = self._biasing.before(examples, lambda: self._greedy(examples, seconds))
        examples = [one.example for one in biased]
        decoded = self._decoded(examples, seconds, self.config)
        if self.config.guard:
            self._guard(self.config.guard, decoded, examples, seconds)
        records = self._words.of(examples, [d.best for d in decoded], seconds)
        for one, given, looked in zip(decoded, biased, records, strict=True):
            one.hotwords = given.words
            one.confidence, one.words = looked
        return decoded

    def _decoded(
        self, examples: Sequence[Example], seconds: Sequence[float], config: DecodeConfig
    ) -> list[Decoded]:
        found = self._search(examples, seconds, config, self.sources)
        if config.nbest == 1:
            return [Decoded(nbest[0], []) for nbest in found]
        lists = self._rescored(found)
        return [Decoded(nbest[0].hypothesis, nbest) for nbest in lists]

    def _search(
        self,
        examples: Sequence[Example],
        seconds: Sequence[float],
        config: DecodeConfig,
        sources: Sequence[Scorer],
    ) -> list[list[Hypothesis]]:
        model = self.model
        batch = collate(examples, model.prompt, model.projector.output_length, with_target=False)
        batch = batch.to(model.device)
        sources = [*sources, self._form] if self._form else sources  # last, as it only forbids
        for source in sources:
            source.bounds = [token_bound(s, config) for s in seconds]
            source.begin(batch)
        return search(model, batch, seconds, config, sources)

    def _greedy(self, examples: Sequence[Example], seconds: Sequence[float]) -> list[str]:
        """Transcripts of a first pass: by greedy search, without scorers."""
        greedy = self.config.model_copy(update={"beam": 1, "nbest": 1})
        return [best.text for best, *_ in self._search(examples, seconds, greedy, ())]

    def _guard(
        self,
        guard: GuardConfig,
        decoded: list[Decoded],
        examples: Sequence[Example],
        seconds: Sequence[float],
    ) -> None:
        """Flag hypotheses that are no transcripts, decode again, keep the better; record all."""

        def flags(place: int, best: Hypothesis) -> list[str]:
            prompt = self._prompt_text(examples[place])
            return flags_of(best.text, seconds[place], best.truncated, prompt, guard)

        # A prescribed form repeats itself; what forbids that would leave it no way on.
        retry = None if self.config.constrained else guard.retry
        seen = {place: flags(place, one.best) for place, one in enumerate(decoded)}
        places = [place for place, found in seen.items() if found]
        for place in places:
            first = decoded[place].best.text
            decoded[place].guard = GuardRecord(tuple(seen[place]), retry is not None, first)
        if not (places and retry):
            return
        again = self._decoded(
            [examples[place] for place in places],
            [seconds[place] for place in places],
            self.config.safer(retry),
        )
        for place, second in zip(places, again, strict=True):
            kept = prefers_retry(seen[place], flags(place, second.best))
            note = decoded[place].guard
            assert note is not None
            text, which = second.best.text, "retry" if kept else "first"
            if kept:
                decoded[place] = second
            decoded[place].guard = replace(note, retry=text, kept=which)

    def _prompt_text(self, example: Example) -> str:
        prompt = example.prompt or self.model.prompt
        decode = self.model.tokenizer.decode
        sides = (list(prompt.prefix), list(prompt.suffix))
        return " ".join(decode(side, skip_special_tokens=True) for side in sides)

    def _rescored(self, found: Sequence[Sequence[Hypothesis]]) -> list[list[Candidate]]:
        """N-best list of each utterance with the parts of the scores, best first."""
        flat = [hypothesis for nbest in found for hypothesis in nbest]
        with autocast(self.config.precision, str(self.model.device)):
            known = {s.name: (s, s.score(flat)) for s in [*self.sources, *self.rescorers]}
        candidates = []
        for number, hypothesis in enumerate(flat):
            parts = {name: scores[number] for name, (_, scores) in known.items()}
            fused = sum(source.weight * parts[source.name] for source in self.sources)
            added = sum(rescorer.weight * parts[rescorer.name] for rescorer in self.rescorers)
            parts = {"llm": hypothesis.score - fused, **parts}
            candidates.append(Candidate(hypothesis, hypothesis.score + added, parts))
        rest = iter(candidates)
        lists = [[next(rest) for _ in nbest] for nbest in found]
        return [sorted(nbest, key=self._rank) for nbest in lists]

    def _rank(self, candidate: Candidate) -> float:
        """Sort key: length-normalised score, as in `search`."""
        return -candidate.score / candidate.hypothesis.length**self.config.length_penalty
