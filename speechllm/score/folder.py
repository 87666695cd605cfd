"""Score one file of hypotheses into a folder: `wer.json`, alignments and confusions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from speechllm.score.write import Scored, interval_text, write_scores


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
    return write_scores(
        out / "wer.json",
        hypothesis,
        made_from(reference, hypothesis, settings),
        lambda: _scored(reference, hypothesis, settings),
        "as deletions",
        force,
    )


def _scored(reference: Path, hypothesis: Path, settings: Settings) -> dict[str, Scored]:
    inputs = read_inputs(reference, hypothesis)
    rates = Rates(settings.resamples, settings.seed)
    if settings.by_speaker and inputs.speakers:
        blocks = [inputs.speakers[i] for i in sorted(inputs.references)]
        warn_of_few_speakers(blocks, reference)
        rates = Rates(settings.resamples, settings.seed, blocks)
    found = {}
    for normalize in map(normalizer, settings.normalizers):
        score = score_texts(inputs.references, inputs.hypotheses, normalize)
        train = settings.train_text
        frequencies = word_frequencies(train, normalize) if train else None
        warnings = list(form_warnings(score, inputs, frequencies))
        listings = {
            "alignments.txt": alignment_lines(score),
            "confusions.txt": confusion_lines(score),
            "utterances.tsv": utterance_lines(score),
        }
        if settings.trn:
            listings |= {
                f"{side}.trn": trn_lines(score, side, inputs.speakers) for side in ("ref", "hyp")
            }
        found[normalize.name] = Scored(
            len(inputs.references),
            score.missing,
            {**figures(score, inputs, frequencies, rates), "warnings": warnings},
            listings,
        )
    return found


def kaldi_lines(result: Mapping[str, Any], what: str | Path) -> list[str]:
    """Return one `%WER ...` line for each normaliser of a wer.json; `what` names the hypotheses."""
    lines = []
    for name, found in result["scores"].items():
        wer = found["wer"]
        counts = Counts(**{kind: wer[kind] for kind in Counts._fields})
        interval = interval_text(wer["interval"])
        lines.append(f"{counts.summary()} {interval} {name} {result['set']} {what}")
    return lines
