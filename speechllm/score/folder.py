"""Score one file of hypotheses into a folder: `wer.json`, alignments and confusions."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from speechllm.data.kaldi import first_ids
from speechllm.files import whole_file, write_json
from speechllm.locks import locked_folder
from speechllm.made_from import all_sealed, seal_all
from speechllm.own_files import read_mapping
from speechllm.score.figures import figures
from speechllm.score.forms import form_warnings
from speechllm.score.inputs import (
    Settings,
    made_from,
    read_inputs,
    warn_of_few_speakers,
    word_frequencies,
)
from speechllm.score.listings import alignment_lines, confusion_lines, utterance_lines
from speechllm.score.normalize import normalizer
from speechllm.score.rates import Rates
from speechllm.score.trn import trn_lines
from speechllm.score.wer import Counts, score_texts

log = logging.getLogger(__name__)

LISTINGS = (
    "alignments.{}.txt",
    "confusions.{}.txt",
    "utterances.{}.tsv",
    "ref.{}.trn",
    "hyp.{}.trn",
)


def score_folder(
    reference: Path, hypothesis: Path, out: Path, settings: Settings, force: bool = False
) -> dict[str, Any]:
    """Score `hypothesis` against `reference` into the folder `out`; return what wer.json holds.

    Work that was done with the same inputs, settings and version is not done again, unless it is
    damaged. `wer.json` (described in docs/scoring.md) comes after the listings, and last of all the
    hashes of all of them.

    Args:
        reference: Kaldi text file, `utt words...`; `entities`, `biasing`, `bias_words` and
            `utt2spk` beside it are used.
        hypothesis: the same, of the hypotheses.
        out: folder for wer.json and the listings of each normaliser.
        settings: see `Settings`.
        force: score again even if nothing has changed.

    Raises:
        DataError: a file is missing or malformed, or an utterance has no speaker.
        SpeechLLMError: hypotheses with ids that the reference lacks.
        ConfigError: a normaliser that does not exist or cannot be read.
    """
    source = made_from(reference, hypothesis, settings)
    result_file = out / "wer.json"
    old = read_mapping(result_file) if result_file.exists() and all_sealed(out) else {}
    if not force and old.get("made_from") == source:
        warn_of_missing(old, hypothesis)
        return old

    inputs = read_inputs(reference, hypothesis)
    rates = Rates(settings.resamples, settings.seed)
    if settings.by_speaker and inputs.speakers:
        blocks = [inputs.speakers[i] for i in sorted(inputs.references)]
        warn_of_few_speakers(blocks, reference)
        rates = Rates(settings.resamples, settings.seed, blocks)
    scores: dict[str, Any] = {}
    listings: dict[str, Iterable[str]] = {}
    missing: tuple[str, ...] = ()
    for normalize in map(normalizer, settings.normalizers):
        score = score_texts(inputs.references, inputs.hypotheses, normalize)
        train = settings.train_text
        frequencies = word_frequencies(train, normalize) if train else None
        scores[normalize.name] = figures(score, inputs, frequencies, rates)
        scores[normalize.name]["warnings"] = list(form_warnings(score, inputs, frequencies))
        missing = score.missing
        lines = [alignment_lines(score), confusion_lines(score), utterance_lines(score)]
        if settings.trn:
            lines += [trn_lines(score, side, inputs.speakers) for side in ("ref", "hyp")]
        listings |= dict(zip((n.format(normalize) for n in LISTINGS), lines, strict=False))
    result = {
        "set": reference.parent.name,
        "utterances": len(inputs.references),
        "missing": list(missing),
        "scores": scores,
        "made_from": source,
    }
    with locked_folder(out):
        for name, lines in listings.items():
            write_lines(out / name, lines)
        for name in old.get("scores", {}).keys() | scores.keys():
            for left in {listing.format(name) for listing in LISTINGS} - listings.keys():
                (out / left).unlink(missing_ok=True)  # it shows hypotheses of an earlier run
        write_json(result_file, result)
        seal_all(out, [*listings, result_file.name])
    warn_of_missing(result, hypothesis)
    return result


def kaldi_lines(result: Mapping[str, Any], what: str | Path) -> list[str]:
    """Return one `%WER ...` line for each normaliser of a wer.json; `what` names the hypotheses."""
    lines = []
    for name, found in result["scores"].items():
        wer = found["wer"]
        counts = Counts(**{kind: wer[kind] for kind in Counts._fields})
        low_high = wer["interval"]
        interval = "[{:.2f}, {:.2f}]".format(*low_high) if low_high else "[-, -]"
        lines.append(f"{counts.summary()} {interval} {name} {result['set']} {what}")
    return lines


def warn_of_missing(
    result: Mapping[str, Any], hypothesis: Path, counted: str = "as deletions"
) -> None:
    """Log which references have no hypothesis, and what is in another form than the references."""
    if missing := result["missing"]:
        log.warning(
            "%s: of %d utterances these have no hypothesis (counted %s): %s",
            hypothesis,
            result["utterances"],
            counted,
            first_ids(missing),
        )
    for name, found in result["scores"].items():
        for warning in found.get("warnings", ()):
            log.warning("%s: %s: %s", hypothesis, name, warning)
        if unplaced := (found.get("entities") or {}).get("unplaced"):
            log.warning(
                "%s: entities that the reference (%s) does not hold are not counted: %s",
                result["made_from"]["reference"]["path"],
                name,
                first_ids(f"{utt}: {', '.join(texts)}" for utt, texts in unplaced.items()),
            )


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as stream:
        stream.writelines(f"{line}\n" for line in lines)
