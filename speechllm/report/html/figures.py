"""The figures of a system on a set, as its score and decode.json have them."""

from collections.abc import Iterator, Mapping
from typing import Any

from speechllm.report.tree import Decoding

# Where wer.json has them (docs/scoring.md), in the order in which they are shown.
FIGURES = {
    ("wer",): ("WER", "word error rate"),
    ("cer",): ("CER", "character error rate"),
    ("ser",): ("SER", "utterances with an error"),
    ("entities", "error"): ("entity", "entity error rate"),
    ("entities", "f1"): ("F1", "F1 of whole entities; higher is better"),
    ("biasing", "b_wer"): ("B-WER", "word error rate of biased words"),
    ("biasing", "u_wer"): ("U-WER", "word error rate of the other words"),
    ("oov", "recall"): ("RecOOV", "recall of words that the source text never had"),
    ("loops",): ("loops", "utterances that repeat themselves"),
}


def system_figures(decoding: Decoding, normalizer: str) -> list[dict[str, Any]]:
    """Return `{"name", "title", "percent", "interval"}` of each rate, main one first, and RTF."""
    task = decoding.task
    paths = FIGURES if task.has_words else {(f.key,): (f.title, f.says) for f in task.figures}
    figures = [
        {
            "name": name,
            "title": title,
            "percent": rate["percent"],
            "interval": rate.get("interval"),
            "counts": _counts(rate),
        }
        for name, title, rate in _rates(decoding.figures(normalizer), paths)
    ]
    rtf = decoding.info.get("rtf")
    if isinstance(rtf, (int, float)):
        title = "real-time factor: seconds of encoding and decoding per second of audio"
        figures.append({"name": "RTF", "title": title, "value": rtf})
    return figures


def _rates(
    figures: Mapping[str, Any], paths: Mapping[tuple[str, ...], tuple[str, str]]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, (name, title) in paths.items():
        rate: Any = figures
        for key in path:
            rate = rate.get(key) if isinstance(rate, Mapping) else None
        if isinstance(rate, Mapping) and rate.get("percent") is not None:
            yield name, title, rate


def _counts(rate: Mapping[str, Any]) -> str:
    """What the percentage is made of, in words."""
    kinds = ("substitutions", "deletions", "insertions")
    if all(kind in rate for kind in kinds):
        return ", ".join(f"{rate[kind]:,} {kind}" for kind in kinds)
    if "errors" in rate and "reference" in rate:
        return f"{rate['errors']:,} of {rate['reference']:,}"
    return ""
