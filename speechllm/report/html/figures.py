"""Metrics of a system on a set, from its score file and decode.json."""

from collections.abc import Iterator, Mapping
from typing import Any

from speechllm.report.tree import Decoding


def system_figures(decoding: Decoding, normalizer: str) -> list[dict[str, Any]]:
    """Return the rates of a decoding, the main one first, and its RTF.

    A rate is `{"name", "title", "percent", "interval", "counts"}`, the RTF is `{"name", "title",
    "value"}`.
    """
    figures = [
        {
            "name": name,
            "title": title,
            "percent": rate["percent"],
            "interval": rate.get("interval"),
            "counts": _counts(rate),
        }
        for name, title, rate in _rates(decoding.figures(normalizer), decoding.task.shown)
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
    """Counts behind a percentage, in words."""
    kinds = ("substitutions", "deletions", "insertions")
    if all(kind in rate for kind in kinds):
        return ", ".join(f"{rate[kind]:,} {kind}" for kind in kinds)
    if "errors" in rate and "reference" in rate:
        return f"{rate['errors']:,} of {rate['reference']:,}"
    return ""
