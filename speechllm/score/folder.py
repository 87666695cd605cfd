"""Score one file of hypotheses into a folder: `wer.json`, alignments and confusions."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import speechllm
from speechllm.data.kaldi import first_ids, read_table
from speechllm.errors import DataError
from speechllm.files import read_json, whole_file, write_json
from speechllm.score.bootstrap import LEVEL, bootstrap_interval, sum_blocks
from speechllm.score.listings import alignment_lines, confusion_lines
from speechllm.score.normalize import describe
from speechllm.score.wer import Counts, Score, score_texts

log = logging.getLogger(__name__)

FEW_SPEAKERS = 10  # below this a bootstrap over speakers is itself unreliable


@dataclass(frozen=True)
class Settings:
    """How to score.

    Attributes:
        normalizers: names; every figure is given once for each.
        resamples: bootstrap resamples behind each interval.
        seed: of the bootstrap.
        by_speaker: resample speakers instead of utterances; needs `utt2spk` beside the reference.
    """

    normalizers: tuple[str, ...] = ("plain", "english")
    resamples: int = 1000
    seed: int = 0
    by_speaker: bool = False


def score_folder(
    reference: Path, hypothesis: Path, out: Path, settings: Settings, force: bool = False
) -> dict[str, Any]:
    """Score `hypothesis` against `reference` into the folder `out`; return what wer.json holds.

    Work that was done with the same inputs, settings and version is not done again. `wer.json`
    (described in docs/scoring.md) is written last: where it is, the listings are too.

    Args:
        reference: Kaldi text file, `utt words...`.
        hypothesis: the same, of the hypotheses.
        out: folder for wer.json, alignments.<normalizer>.txt and confusions.<normalizer>.txt.
        settings: see `Settings`.
        force: score again even if nothing has changed.

    Raises:
        DataError: a file is missing or malformed, or an utterance has no speaker.
        SpeechLLMError: hypotheses with ids that the reference lacks.
    """
    speakers = reference.with_name("utt2spk") if settings.by_speaker else None
    made_from = {
        "reference": _fingerprint(reference),
        "hypothesis": _fingerprint(hypothesis),
        "utt2spk": _fingerprint(speakers) if speakers else None,
        "normalizers": {name: describe(name) for name in settings.normalizers},
        "bootstrap": {
            "unit": "speaker" if speakers else "utterance",
            "resamples": settings.resamples,
            "seed": settings.seed,
            "level": LEVEL,
        },
        "speechllm": speechllm.__version__,
    }
    result_file = out / "wer.json"
    old = read_json(result_file) if result_file.exists() else {}
    if not force and old.get("made_from") == made_from:
        _warn_of_missing(old, hypothesis)
        return old

    references, hypotheses = read_table(reference), read_table(hypothesis)
    blocks = _speaker_of_each(references, speakers) if speakers else None
    scores = [score_texts(references, hypotheses, name) for name in settings.normalizers]
    result = {
        "set": reference.parent.name,
        "utterances": len(references),
        "missing": list(scores[0].missing),
        "scores": {score.normalizer: _figures(score, settings, blocks) for score in scores},
        "made_from": made_from,
    }
    for score in scores:
        _write_lines(out / f"alignments.{score.normalizer}.txt", alignment_lines(score))
        _write_lines(out / f"confusions.{score.normalizer}.txt", confusion_lines(score))
    for name in old.get("scores", {}).keys() - result["scores"].keys():
        for kind in ("alignments", "confusions"):  # they show hypotheses of an earlier run
            (out / f"{kind}.{name}.txt").unlink(missing_ok=True)
    write_json(result_file, result)
    _warn_of_missing(result, hypothesis)
    return result


def kaldi_lines(result: dict[str, Any], what: str | Path) -> list[str]:
    """Return one `%WER ...` line for each normaliser of a wer.json; `what` names the hypotheses."""
    lines = []
    for name, figures in result["scores"].items():
        wer = figures["wer"]
        counts = Counts(**{kind: wer[kind] for kind in asdict(Counts())})
        low_high = wer["interval"]
        interval = "[{:.2f}, {:.2f}]".format(*low_high) if low_high else "[-, -]"
        lines.append(f"{counts.summary()} {interval} {name} {result['set']} {what}")
    return lines


def _figures(score: Score, settings: Settings, blocks: list[str] | None) -> dict[str, Any]:
    def rate(total: Counts, each: list[Counts]) -> dict[str, Any]:
        errors = np.array([counts.errors for counts in each])
        reference = np.array([counts.reference for counts in each])
        if blocks is not None:
            errors, reference = sum_blocks(errors, blocks), sum_blocks(reference, blocks)
        interval = bootstrap_interval(errors, reference, settings.resamples, settings.seed)
        return {
            "percent": total.percent,
            "interval": interval and list(interval),
            "errors": total.errors,
            "reference": total.reference,
            **asdict(total),
        }

    return {
        "wer": rate(score.words, [u.words for u in score.utterances]),
        "cer": rate(score.characters, [u.characters for u in score.utterances]),
        "ser": {
            "percent": score.sentence_percent,
            "errors": score.wrong_utterances,
            "reference": len(score.utterances),
        },
    }


def _fingerprint(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise DataError("no such file", path)
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _speaker_of_each(references: dict[str, str], utt2spk: Path) -> list[str]:
    speakers = read_table(utt2spk)
    ids = sorted(references)
    if orphans := [i for i in ids if i not in speakers]:
        raise DataError(f"utterances have no speaker: {first_ids(orphans)}", utt2spk)
    blocks = [speakers[i] for i in ids]
    if (count := len(set(blocks))) < FEW_SPEAKERS:
        log.warning("%s: only %d speakers; an interval over them is rough", utt2spk, count)
    return blocks


def _warn_of_missing(result: dict[str, Any], hypothesis: Path) -> None:
    if missing := result["missing"]:
        log.warning(
            "%s: of %d utterances these have no hypothesis (counted as deletions): %s",
            hypothesis,
            result["utterances"],
            first_ids(missing),
        )


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as stream:
        stream.writelines(f"{line}\n" for line in lines)
