"""Spoken language understanding: the answer is what an utterance means, as JSON.

Scored by intent accuracy and SLU-F1, as SLURP defines them (Bastianelli et al., EMNLP 2020).
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from speechllm.data.dirs.forms import bare
from speechllm.errors import ConfigError
from speechllm.score.count.answers import read_answer
from speechllm.score.count.slu import F1, SluScore, score_slu
from speechllm.score.counts import Counted, Rate
from speechllm.task import Entities, Form, Labels, Metric
from speechllm.tasks.counted import CountedTask
from speechllm.tasks.semantics import (
    LABELS,
    answer_pattern,
    in_order,
    parse_semantics,
    strange_fillers,
    write_answer,
)


class Understanding(CountedTask):
    """Scenario, action and entities of what was said (speechllm.tasks.semantics)."""

    name = "slu"
    prompt = "Answer with the meaning of the speech as JSON. Speech: <speech>."
    instruction = "Answer with the meaning of the speech as JSON: scenario, action, entities."
    table = "semantics"
    metrics = (
        Metric(
            "intent",
            "intent error",
            "utterances whose scenario or action is wrong: 100 - intent accuracy",
        ),
        Metric("slu_f1", "SLU-F1 error", "100 - SLU-F1 of the entities"),
    )
    # Braces and keys take tokens whatever the duration: one for each byte in an odd tokenizer.
    decode = MappingProxyType({"min_tokens": 200})

    is_read = False
    by_type = "SLU-F1 error"
    # For adaptation with little speech (Choi et al., 2509.15389).
    published = MappingProxyType(
        {
            "base": "base",
            "text_only": "text-only",
            "direct_mixing": "direct mixing",
            "curriculum": "curriculum",
            "audio": "full audio",
        }
    )

    def answer(self, value: str, transcript: str) -> str:
        return write_answer(in_order(parse_semantics(value), transcript))

    def remarks(self, value: str, transcript: str) -> Iterable[str]:
        for filler in strange_fillers(parse_semantics(value), transcript):
            yield f"filler does not occur in the transcript: {filler}"

    def labels(self, answers: Iterable[str]) -> Labels:
        kinds: dict[str, set[str]] = {kind: set() for kind in LABELS}
        for semantics in map(parse_semantics, answers):
            kinds["scenario"].add(semantics["scenario"])
            kinds["action"].add(semantics["action"])
            kinds["type"] |= {entity["type"] for entity in semantics["entities"]}
        return {kind: sorted(names) for kind, names in kinds.items()}

    def fields(self, hypothesis: str) -> Mapping[str, Any]:
        """Field `semantics`: the meaning, read leniently; None if the answer has none."""
        found = read_answer(hypothesis)
        if found.state == "invalid":
            return {"semantics": None}
        entities = [{"type": kind, "filler": filler} for kind, filler in found.entities]
        meaning = {"scenario": found.scenario, "action": found.action, "entities": entities}
        return {"semantics": meaning}

    def is_answer(self, hypothesis: str) -> bool:
        try:
            parse_semantics(hypothesis)
        except ValueError:
            return False
        return True

    def form(self, labels: Labels) -> Form:
        if not labels.get("scenario") or not labels.get("action"):
            raise ConfigError(
                "constrained: the model has seen no semantics in training, so there are no labels",
                "decode without `constrained`",
            )
        entities = [{"type": name, "filler": "a 'b'"} for name in labels["type"][:1]]
        first = {kind: labels[kind][0] for kind in ("scenario", "action")}
        sample = write_answer({**first, "entities": entities})
        return Form(answer_pattern(labels), sample)

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
        entities: Entities = MappingProxyType({}),
    ) -> Counted:
        semantics = {utt: parse_semantics(answer) for utt, answer in references.items()}
        return _counted(score_slu(semantics, hypotheses, labels, normalizer), labels or {})


def _counted(score: SluScore, labels: Labels) -> Counted:
    right = ("intent", "scenario", "action", "exact")
    f1 = {"slu_f1": "slu", "word_f1": "words", "char_f1": "characters", "entity_f1": "entities"}
    remarks: dict[str, Sequence[str]] = {
        "answers without any JSON, scored as empty ones": score.invalid,
        "answers that were mended before they were scored": score.repaired,
        "labels of answers that training did not have": _times(score.unknown, labels),
        "labels of references that training did not have": _times(score.unknown_references, labels),
    }
    return Counted(
        ids=score.ids,
        rates={
            **{key: Rate(~getattr(score, key), np.ones(len(score.ids))) for key in right},
            **{key: _rate(getattr(score, name)) for key, name in f1.items()},
        },
        answers_key=score.answers,
        missing=score.missing,
        by_type={name: _rate(of) for name, of in score.by_type.items()},
        remarks={what: about for what, about in remarks.items() if about},
    )


def _rate(f1: F1) -> Rate:
    return Rate(f1.errors, f1.reference, is_common=False)


def _times(unknown: Mapping[tuple[str, str], int], labels: Labels) -> list[str]:
    """Labels with their counts, and the label of training that differs only in form."""
    alike = {(kind, bare(name)): name for kind, names in labels.items() for name in names}
    found = []
    for (kind, label), times in unknown.items():
        other = alike.get((kind, bare(label)))
        found.append(f"{kind} {label} {times}x{f', {other} in training' if other else ''}")
    return found
