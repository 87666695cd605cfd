"""Notes of the report: what is absent, out of date, or not comparable."""

from collections.abc import Iterator
from pathlib import Path

from speechllm.data.dirs.kaldi import first_ids
from speechllm.experiment import target_set
from speechllm.report.gains import has_gap
from speechllm.report.tree import BaseRuns, Model, unfinished


def notes(
    exp: Path, families: list[BaseRuns], normalizer: str, tag: str | None = None
) -> list[str]:
    """Return one sentence for each thing that the tables cannot say.

    Args:
        exp: the recipe's exp folder.
        families: all families below it.
        normalizer: name of the main table's normaliser.
        tag: tag of the main table's decoding (see `BaseRuns.main_tag`).
    """
    remarks = [f"{folder.relative_to(exp)}: training has not ended" for folder in unfinished(exp)]
    for family in families:
        if family.base is None:
            remarks.append(f"{family.folder.relative_to(exp)}: the base model has no run.json")
        main = family.main_tag(tag)
        for model in family.models:
            name = str(model.folder.relative_to(exp))
            remarks += (f"{name}: {what}" for what in _of_model(model, family, normalizer, main))
        remarks += _of_targets(family, normalizer, main)
    return remarks + list(_of_references(families))


def _of_model(model: Model, family: BaseRuns, normalizer: str, main: str) -> Iterator[str]:
    # Further decodings exist for some models only, and only on target sets.
    targets = [target_set(target) for target in model.own_targets(family.targets)]
    further = {tag: targets for tag in sorted(model.tags - {main})}
    if not family.tags:
        yield "not decoded"
    else:
        for tag, expected in {
            main: model.expected_sets(family.source, family.targets),
            **further,
        }.items():
            if absent := [name for name in expected if (tag, name) not in model.decodings]:
                yield f"not decoded ({tag}): {', '.join(absent)}"
    for (tag, name), decoding in model.decodings.items():
        if truncated := decoding.info.get("truncated"):
            yield f"{tag}/{name}: hypotheses cut at their bound on tokens: {first_ids(truncated)}"
        if not decoding.result:
            yield f"{tag}/{name} is decoded but not scored (stage score)"
            continue
        if decoding.is_stale:
            yield f"{tag}/{name} has changed since it was scored (stage score)"
        if not decoding.figures(normalizer):
            yield f"{tag}/{name} was not scored with the normaliser {normalizer}"
        if missing := decoding.result["missing"]:
            total = decoding.result["utterances"]
            yield (
                f"{tag}/{name}: of {total} utterances these have no hypothesis "
                f"(counted as wholly wrong): {first_ids(missing)}"
            )
        for what, about in decoding.figures(normalizer).get("remarks", {}).items():
            yield f"{tag}/{name}: {what}: {first_ids(about)}"
        for warning in decoding.figures(normalizer).get("warnings", ()):
            yield f"{tag}/{name}: {normalizer}: {warning}"


def _of_targets(family: BaseRuns, normalizer: str, tag: str) -> Iterator[str]:
    for target in family.targets:
        audio = family.audio_reference(target)
        if audio is None:
            yield f"{target}: no model fine-tuned on its audio, so no share of the gap"
            continue
        if family.base is None:
            continue
        base_error, audio_error = (
            model.error(tag, target_set(target), normalizer).get("percent")
            for model in (family.base, audio)
        )
        if None not in (base_error, audio_error) and not has_gap(base_error, audio_error):
            yield (
                f"{target} ({tag}): {audio.name} is not better than the base, "
                "so no share of the gap"
            )


def _of_references(families: list[BaseRuns]) -> Iterator[str]:
    """Notes on sets whose models were scored against different references."""
    digests: dict[str, set[str]] = {}
    for family in families:
        for model in family.models:
            for (_, name), decoding in model.decodings.items():
                if decoding.result:
                    digest = decoding.result["made_from"]["reference"]["sha256"]
                    digests.setdefault(name, set()).add(digest)
    for name, found in sorted(digests.items()):
        if len(found) > 1:
            yield (
                f"{name}: models were scored against {len(found)} different references, "
                "so their figures cannot be compared (stage score)"
            )
