"""Hypotheses on disk: written as they come, keyed by id; refused if made with other settings."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechllm.config import as_of_today, changed_keys
from speechllm.data.dirs.kaldi import DataDir, first_ids, read_table, write_table
from speechllm.data.speech.feature_records import audio_hash
from speechllm.decode.config import DecodeConfig
from speechllm.decode.guard import FLAGS
from speechllm.decode.record import LINES, HypothesisRecord, read_records
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.made_from import digest
from speechllm.files.own import cut_half_line, made_again, read_by_id, read_mapping
from speechllm.files.whole import sha256_of, whole_file, write_json
from speechllm.task import Task

log = logging.getLogger(__name__)

SETTINGS, TEXT, SUMMARY = "settings.json", "text", "decode.json"
NBEST = "nbest.jsonl"
WRITTEN = "written"
"""Key of decode.json that holds the hashes of hyp.jsonl, nbest.jsonl and text."""
AGAIN = "then decode again"


def is_decoded(
    data_dir: DataDir, bundle: Path, config: DecodeConfig, hashes: Mapping[str, str], out: Path
) -> bool:
    """Whether every utterance has its hypothesis by this model and these settings.

    Args:
        data_dir: the set.
        bundle: the model's folder.
        config: of the decoding.
        hashes: of the language models that it names, by key.
        out: folder of the results.

    Raises:
        SpeechLLMError, DataError: see `claim`.
    """
    if not (out / SUMMARY).is_file():
        return False
    check_settings(out, settings_of(data_dir, bundle, config, hashes))
    return check_written(out) and read_table(out / TEXT).keys() == data_dir.text.keys()


def check_written(out: Path) -> bool:
    """Whether the files of finished hypotheses are unchanged; True if nothing is finished.

    False means that only `text` has changed or is missing; it can be written again.

    Raises:
        DataError: hyp.jsonl or nbest.jsonl has changed or is missing.
    """
    summary = read_mapping(out / SUMMARY, made_again(out)) if (out / SUMMARY).is_file() else {}
    odd = [
        name
        for name, sha256 in summary.get(WRITTEN, {}).items()
        if not (out / name).is_file() or digest(out / name) != sha256
    ]
    if records := [name for name in odd if name != TEXT]:
        raise DataError(
            "is not what was decoded", out / records[0], remedy=f"rm -r {shell_word(out)}, {AGAIN}"
        )
    return not odd


def settings_of(
    data_dir: DataDir, bundle: Path, config: DecodeConfig, hashes: Mapping[str, str]
) -> dict[str, Any]:
    """Settings that hypotheses depend on; the size of batches is left out.

    Args:
        data_dir: the set.
        bundle: the model's folder.
        config: of the decoding.
        hashes: of the language models that it names, by key.
    """
    lists = {"bias_lists": data_dir.bias_lists.sha256} if config.biasing else {}
    return {
        **lists,
        **({"samples": data_dir.samples} if data_dir.samples else {}),
        "language_models": dict(hashes),
        "model": sha256_of([bundle / TENSORS, bundle / DESCRIPTION]),
        "audio": audio_hash(data_dir),
        "decode": config.model_dump(mode="json", exclude={"batch_positions"}),
    }


def tuning_settings(
    dev: DataDir, bundle: Path, config: DecodeConfig, hashes: Mapping[str, str], task: Task
) -> dict[str, Any]:
    """Settings that tuned weights depend on: those of the hypotheses, and the references' hash.

    Args:
        dev: the dev set.
        bundle: the model's folder.
        config: of the decoding.
        hashes: of the language models that it names, by key.
        task: says which tables are the references.
    """
    references = [dev.path / table for table in task.tables]
    return settings_of(dev, bundle, config, hashes) | {"references": sha256_of(references)}


def claim(
    data_dir: DataDir, bundle: Path, config: DecodeConfig, hashes: Mapping[str, str], out: Path
) -> dict[str, HypothesisRecord]:
    """Make `out` the folder of these hypotheses; return the records that it already has, by id.

    A last line that a killed run left half written is cut off. With n-best lists, an utterance is
    done only if its list is there too.

    Args:
        data_dir: the set.
        bundle: the model's folder.
        config: of the decoding.
        hashes: of the language models that it names, by key.
        out: folder of the results.

    Raises:
        SpeechLLMError: the folder holds hypotheses of another model or other settings.
        DataError: its files were changed.
    """
    settings = settings_of(data_dir, bundle, config, hashes)
    check_settings(out, settings)
    check_written(out)
    (out / SUMMARY).unlink(missing_ok=True)  # it is about what is there now, and comes last
    write_json(out / SETTINGS, settings)
    for path in (out / LINES, out / NBEST):
        if path.is_file():
            cut_half_line(path)
    done = read_records(out)
    if config.nbest == 1:
        return done
    # Lists are written first: a killed run may have left some whose utterances it had not done.
    path = out / NBEST
    lists = read_by_id(path, made_again(out)) if path.is_file() else {}
    kept = [lists[utt] for utt in done if utt in lists]
    with whole_file(out / NBEST) as stream:
        stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    return {line["id"]: done[line["id"]] for line in kept}


def write_results(
    out: Path,
    name: str,
    done: Mapping[str, HypothesisRecord],
    config: DecodeConfig,
    encode_seconds: float,
    extra: Mapping[str, Any],
    times_by: str = "none",
) -> None:
    """Write `text` (id, words) and decode.json with the real-time factor; log the guard's flags.

    The factor counts the time of the encoder (stage 3) and of the search, each with the batches,
    threads and device that it ran with. The search includes scorers and rescoring.

    Args:
        out: folder of the results.
        name: name of the set.
        done: all records by utterance id.
        config: of the decoding.
        encode_seconds: time that stage 3 took.
        extra: further fields of decode.json.
        times_by: source of word times.
    """
    write_table(out / TEXT, {utt: record.text for utt, record in done.items()})
    audio = sum(record.seconds for record in done.values())
    decode = sum(record.decode_seconds for record in done.values())
    truncated = sorted(utt for utt, record in done.items() if record.truncated)
    if truncated:
        log.warning("%s: reached their bound on tokens: %s", name, first_ids(truncated))
    flagged = {utt: r.guard.flags for utt, r in sorted(done.items()) if r.guard}
    guard = _count(flagged)
    for flag in guard:
        ids = first_ids([utt for utt, flags in flagged.items() if flag in flags])
        log.warning("%s: guard: %s: %s", name, flag, ids)
    write_json(
        out / SUMMARY,
        {
            "set": name,
            "utterances": len(done),
            "audio_seconds": round(audio, 3),
            "decode_seconds": round(decode, 3),
            "encode_seconds": round(encode_seconds, 3),
            "rtf": (encode_seconds + decode) / audio,
            "truncated": truncated,
            **extra,
            **config.model_dump(mode="json"),
            # In the places of their settings, which stand in settings.json:
            "guard": guard,
            "word_times": times_by,
            WRITTEN: {
                name: digest(out / name) for name in (LINES, NBEST, TEXT) if (out / name).is_file()
            },
        },
    )


def _count(flagged: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Number of hypotheses with each flag, before any retry."""
    counts = Counter(flag for flags in flagged.values() for flag in flags)
    return {flag: counts[flag] for flag in FLAGS if counts[flag]}


def check_settings(out: Path, settings: dict[str, Any]) -> None:
    """Raise SpeechLLMError, naming what changed, if a folder belongs to other settings."""
    if any((out / name).is_file() for name in (SETTINGS, LINES)):
        # Keys that are younger than the folder had their defaults.
        before = read_mapping(out / SETTINGS, made_again(out))
        before.setdefault("language_models", {})
        before["decode"] = as_of_today(DecodeConfig, before["decode"])
        with guarded(out / SETTINGS, "is damaged", remedy=made_again(out)):
            before["decode"].pop("batch_positions", None)
        if "samples" not in before or "samples" not in settings:  # features of an older version
            before, settings = ({**s, "samples": None} for s in (before, settings))
        changed = changed_keys(before, settings)
        if changed:
            raise SpeechLLMError(
                f"{out} holds hypotheses made with another {', '.join(changed)}",
                f"rm -r {shell_word(out)}, {AGAIN}",
            )
