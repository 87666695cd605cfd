"""What large.py measures on: a data dir, its features' index, a manifest, two decoded systems."""

import json
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
import soundfile
from text_data import OF_SPEAKER, make_text

from speechllm.data.speech.ark import ArkWriter

SECONDS = 3  # of an utterance; a speaker has one recording
RATE = 8000
SYSTEMS = {"base": "base", "base/denoise_farm": "adapted"}
"""Folder below exp -> kind."""


def make_large(work: Path, lines: int) -> Path:
    """Make everything for so many utterances, unless it is there.

    Returns:
        A folder with data/farm_test (text, wav.scp, segments, utt2spk, spk2utt, utt2dur), dump
        (an index of features, all of which are one record), manifest.jsonl, and exp (two systems
        that have decoded farm_test).
    """
    folder = work / f"large-{lines}"
    if (folder / "done").exists():
        return folder
    text = make_text(work, lines)
    data = folder / "data" / "farm_test"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("text", "utt2spk", "spk2utt"):
        _link(text / "set" / name, data / name)
    speakers = _read_ids(data / "spk2utt")
    _make_recordings(folder / "wav", data / "wav.scp", speakers)
    ids = _read_ids(data / "text")
    cuts = [(utt, speakers[n // OF_SPEAKER], n % OF_SPEAKER * SECONDS) for n, utt in enumerate(ids)]
    _write(data / "segments", (f"{u} {s}-rec {at} {at + SECONDS}" for u, s, at in cuts))
    _write(data / "utt2dur", (f"{utt} {SECONDS}" for utt in ids))
    _make_index(folder / "dump", ids)
    with open(data / "text", encoding="utf-8") as stream:
        said = (line.rstrip("\n").partition(" ")[2] for line in stream)
        _write(
            folder / "manifest.jsonl",
            (
                json.dumps(
                    {
                        "id": utt,
                        "audio_filepath": str(folder / "wav" / f"{speaker}.wav"),
                        "offset": at,
                        "duration": SECONDS,
                        "speaker": speaker,
                        "text": words,
                    }
                )
                for (utt, speaker, at), words in zip(cuts, said, strict=True)
            ),
        )
    _make_systems(folder / "exp", text)
    (folder / "done").touch()
    return folder


def _make_recordings(folder: Path, scp: Path, speakers: Iterable[str]) -> None:
    """One file under many names: 20,000 files are opened, and take no room."""
    folder.mkdir(parents=True, exist_ok=True)
    silence = folder / "silence.wav"
    soundfile.write(silence, np.zeros(OF_SPEAKER * SECONDS * RATE, np.int16), RATE)
    for speaker in speakers:
        _link(silence, folder / f"{speaker}.wav")
    _write(scp, (f"{speaker}-rec {folder / speaker}.wav" for speaker in speakers))


def _make_index(dump: Path, ids: list[str]) -> None:
    """feats.scp, feats.crc and utt2num_frames, whose places are all those of one record."""
    dump.mkdir(parents=True, exist_ok=True)
    with ArkWriter(dump / "one.ark", dump / "one.scp") as ark:
        ark.write("a", np.zeros((150, 4), np.float16))
    place = (dump / "one.scp").read_text().split()[1]
    crc = (dump / "one.crc").read_text().split()[1]
    _write(dump / "feats.scp", (f"{utt} {place}" for utt in ids))
    _write(dump / "feats.crc", (f"{utt} {crc}" for utt in ids))
    lengths = np.random.default_rng(0).integers(50, 151, len(ids)).tolist()
    _write(dump / "utt2num_frames", (f"{u} {n}" for u, n in zip(ids, lengths, strict=True)))


def _make_systems(exp: Path, text: Path) -> None:
    """A base with the hypotheses, and one adapted model that is right in half of the utterances."""
    for name, kind in SYSTEMS.items():
        run = {
            "kind": kind,
            "method": name.rpartition("/")[2].partition("_")[0],
            "target": None if kind == "base" else "farm",
            "steps": 100,
            "audio_hours_target": 0.0,
            "trained_parameters": 1000,
            "config": {"train": {"seed": 1}},
        }
        folder = exp / name
        decoded = folder / "decode_beam" / "farm_test"
        decoded.mkdir(parents=True, exist_ok=True)
        (folder / "model").mkdir(exist_ok=True)
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "model" / "model.json").write_text(json.dumps({"model": {"task": "asr"}}))
        (decoded / "decode.json").write_text(json.dumps({"set": "farm_test", "rtf": 0.01}))
        with (
            open(text / "set" / "text", encoding="utf-8") as right,
            open(text / "hyp", encoding="utf-8") as heard,
            open(decoded / "text", "w", encoding="utf-8") as out,
        ):
            for number, lines in zip(count(), zip(right, heard, strict=True)):
                out.write(lines[kind == "base" or number % 2])


def _read_ids(path: Path) -> list[str]:
    with open(path, encoding="utf-8") as stream:
        return [line.partition(" ")[0].rstrip("\n") for line in stream]


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.link(source, target)


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
