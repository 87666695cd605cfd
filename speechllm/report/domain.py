"""Table of domain metrics: entities, biased and unseen words, perplexity."""

from typing import Any

from speechllm.experiment import target_set
from speechllm.report.comparison import contenders
from speechllm.report.table import Table, number, rate
from speechllm.report.tree import BaseRuns, Model

HEADER = (
    *("target", "model", "entity error [95 %]", "recall", "precision", "F1"),
    *("B-WER [95 %]", "U-WER [95 %]", "RecOOV [95 %]", "PPL text", "PPL speech"),
)
LEGEND = """\
- entity error: wrong, missing and inserted words in annotated entities, of all entity words;
  recall, precision, F1: of whole entities, where those of the hypothesis are found by the set's own
  list of entities.
- B-WER, U-WER: WER of words in the set's bias lists, and of all others. RecOOV: recall of words
  that the training text of the source never had. docs/scoring.md has all definitions.
- PPL: perplexity per word of the transcripts, with an empty speech slot (text) and with the speech
  in it."""


def domain_table(family: BaseRuns, tag: str, normalizer: str) -> Table:
    """Return a row for each target and model; metrics that no model has are left out.

    Args:
        family: a base and its models.
        tag: tag of the decoding.
        normalizer: name of the normaliser.
    """
    rows = [
        [target, model.name, *_figures(model, target_set(target), tag, normalizer)]
        for target in family.targets
        for model in contenders(family, target)
    ]
    return Table(HEADER, rows).without_absent()


def special_rates(figures: dict[str, Any]) -> list[str]:
    """Return cells of entity error, B-WER, U-WER and RecOOV, with their intervals."""
    parts = [
        (figures.get(group) or {}).get(key)
        for group, key in (
            *(("entities", "error"), ("biasing", "b_wer"), ("biasing", "u_wer")),
            ("oov", "recall"),
        )
    ]
    return [rate(part) for part in parts]


def _figures(model: Model, name: str, tag: str, normalizer: str) -> list[str]:
    decoding = model.decodings.get((tag, name))
    figures = decoding.figures(normalizer) if decoding else {}
    entities = figures.get("entities") or {}
    error, b_wer, u_wer, unseen = special_rates(figures)
    whole = [
        number((entities.get(key) or {}).get("percent")) for key in ("recall", "precision", "f1")
    ]
    perplexity = model.perplexity.get(name) or {}
    words = [number((perplexity.get(slot) or {}).get("word")) for slot in ("empty_slot", "speech")]
    return [error, *whole, b_wer, u_wer, unseen, *words]
