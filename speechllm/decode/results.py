"""Hypotheses on disk: written as they come, keyed by id, and refused if made otherwise."""

import json
import logging
from pathlib import Path
from typing import Any

from speechllm.config import DecodeConfig, changed_keys
from speechllm.data.features import audio_hash
from speechllm.data.kaldi import DataDir, read_table, write_table
from speechllm.errors import SpeechLLMError
from speechllm.files import read_json, sha256_of, write_json
from speechllm.layout import DESCRIPTION, TENSORS

log = logging.getLogger(__name__)

SETTINGS, LINES, TEXT, SUMMARY = "settings.json", "hyp.jsonl", "text", "decode.json"


def is_decoded(data_dir: DataDir, bundle: Path, config: DecodeConfig, out: Path) -> bool:
    """Whether every utterance has its hypothesis by this model and these settings."""
    if not (out / SUMMARY).is_file():
        return False
    _check_settings(out, _settings(data_dir, bundle, config))
    return read_table(out / TEXT).keys() == data_dir.text.keys()


def _settings(data_dir: DataDir, bundle: Path, config: DecodeConfig) -> dict[str, Any]:
    """What hypotheses depend on; the size of batches is not among it."""
    return {
        "model": sha256_of([bundle / TENSORS, bundle / DESCRIPTION]),
        "audio": audio_hash(data_dir),
        "decode": config.model_dump(mode="json", exclude={"batch_positions"}),
    }


def claim(
    data_dir: DataDir, bundle: Path, config: DecodeConfig, out: Path
) -> dict[str, dict[str, Any]]:
    """Make `out` the place of these hypotheses; return the records that are there already.

    A last line that a killed run left half written is cut off.

    Raises:
        SpeechLLMError: the folder holds hypotheses of another model or other settings.
    """
    settings = _settings(data_dir, bundle, config)
    _check_settings(out, settings)
    write_json(out / SETTINGS, settings)
    return _read_lines(out / LINES)


def write_results(
    out: Path,
    name: str,
    done: dict[str, dict[str, Any]],
    config: DecodeConfig,
    encode_seconds: float,
) -> None:
    """Write `text` (id, words) and the summary with the real-time factor.

    The factor counts the encoder's time (of stage 3) and the search's, each as it ran: with its
    batches, threads and device.
    """
    write_table(out / TEXT, {utt: record["text"] for utt, record in done.items()})
    audio = sum(record["seconds"] for record in done.values())
    decode = sum(record["decode_seconds"] for record in done.values())
    truncated = sorted(utt for utt, record in done.items() if record["truncated"])
    if truncated:
        log.warning(
            "%s: %d hypotheses reached their bound on tokens: %s",
            name,
            len(truncated),
            ", ".join(truncated[:5]),
        )
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
            **config.model_dump(mode="json"),
        },
    )


def _check_settings(out: Path, settings: dict[str, Any]) -> None:
    if (out / SETTINGS).is_file():
        changed = changed_keys(read_json(out / SETTINGS), settings)
        if changed:
            raise SpeechLLMError(
                f"{out} holds hypotheses made with another {', '.join(changed)}",
                f"rm -r {out}, then decode again",
            )


def _read_lines(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    records = [json.loads(line) for line in whole.decode("utf-8").split("\n")[:-1]]
    return {record["id"]: record for record in records}
