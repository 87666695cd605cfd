"""Scores of a file of transcripts: contents of wer.json and its listings (docs/scoring.md)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechllm.score.count.wer import Counts, score_texts
from speechllm.score.figures import figures
from speechllm.score.forms import form_warnings
from speechllm.score.inputs import Settings, read_inputs, word_frequencies
from speechllm.score.listings import alignment_lines, confusion_lines, utterance_lines
from speechllm.score.normalize.normalize import normalizer
from speechllm.score.rates import rates_of
from speechllm.score.trn import trn_lines
from speechllm.score.write import Scored, interval_text


def word_scores(reference: Path, hypothesis: Path, settings: Settings) -> dict[str, Scored]:
    """Score `hypothesis` against `reference`, by normaliser.

    Args:
        reference: Kaldi text file, `utt words...`; `entities`, `biasing`, `bias_words` and
            `utt2spk` beside it are used.
        hypothesis: Kaldi text file of the hypotheses.
        settings: see `Settings`.

    Raises:
        DataError: a file is missing or malformed, or an utterance has no speaker.
        SpeechLLMError: ids of hypotheses have no reference.
        ConfigError: a normaliser does not exist or cannot be read.
    """
    inputs = read_inputs(reference, hypothesis)
    rates = rates_of(settings, inputs.references, reference)
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
