"""A made-up exp folder with data dirs, for pages: systems that garble words at a known rate."""

import json
import random
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechllm.commands import report as command
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.score.inputs import Settings
from speechllm.score.write import score_set
from speechllm.task import load_task

WORDS = (
    *("the", "a", "of", "to", "in", "field", "barley", "wheat", "tractor", "next", "summer"),
    *("will", "we", "you", "plant", "soil", "cold", "rain", "price", "seven", "thirty", "hundred"),
    *("sugar", "beet", "potato", "harvest", "spray", "early", "late", "morning", "when", "water"),
)
CROPS = ("barley", "wheat", "sugar beet", "potato")


def make_texts(utterances: int, seed: int = 0) -> dict[str, str]:
    """Transcripts of 3 to 24 words; the id tells the speaker."""
    draw = random.Random(seed)
    return {
        f"spk{number % 40:02d}-{number:06d}": " ".join(draw.choices(WORDS, k=draw.randint(3, 24)))
        for number in range(utterances)
    }


def garble(text: str, rate: float, draw: random.Random) -> str:
    """Substitute, delete and insert words, each for a third of `rate`."""
    words = []
    for word in text.split():
        chance = draw.random()
        if chance < rate / 3:
            words.append(draw.choice(WORDS))
        elif chance < 2 * rate / 3:
            words += [word, draw.choice(WORDS)]
        elif chance > rate:
            words.append(word)
    return " ".join(words)


def make_set(
    root: Path,
    texts: Mapping[str, str],
    name: str = "farm_test",
    audio: bool = True,
    **tables: Any,
) -> Path:
    """Write `data/<name>`: one recording of 0.4 s that all utterances share, entities of CROPS."""
    if audio:
        wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(6400) / 16000)
        (root / "wav").mkdir(exist_ok=True)
        soundfile.write(root / "wav/tone.wav", wave, 16000, "PCM_16")
        tables = {
            "wav": dict.fromkeys(texts, str(root / "wav/tone.wav")),
            "utt2spk": {utt: utt.split("-")[0] for utt in texts},
            "utt2dur": dict.fromkeys(texts, 0.4),
            **tables,
        }
    entities = {
        utt: found
        for utt, text in texts.items()
        if (found := [{"type": "crop", "text": c} for c in CROPS if c in text])
    }
    path = root / "data" / name
    write_data_dir(path, text=texts, **{"entities": entities, **tables})
    return path


def make_system(
    root: Path,
    model: str,
    hypotheses: Mapping[str, str],
    name: str = "farm_test",
    records: Sequence[Mapping[str, Any]] = (),
    score: bool = True,
    task: str = "asr",
) -> Path:
    """Write a model's run.json, its hypotheses for a set, and their score."""
    folder = root / "exp" / model
    folder.mkdir(parents=True, exist_ok=True)
    method, _, target = Path(model).name.partition("_")
    run = {
        "kind": "adapted" if target else "base",
        "method": method,
        "target": target or None,
        "steps": 100,
        "audio_hours_target": 0.0,
        "trained_parameters": 1000,
        "config": {"train": {"seed": 1}},
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/model.json").write_text(json.dumps({"model": {"task": task}}))
    decoded = folder / "decode_beam" / name
    decoded.mkdir(parents=True)
    lines = "".join(f"{utt} {text}".rstrip() + "\n" for utt, text in sorted(hypotheses.items()))
    (decoded / "text").write_text(lines, encoding="utf-8")
    (decoded / "decode.json").write_text(json.dumps({"set": name, "rtf": 0.0123}))
    if records:
        (decoded / "hyp.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    if score:
        scorer = load_task(task)
        reference = root / "data" / name / scorer.table
        score_set(scorer, reference, decoded / "text", decoded / "score", Settings(resamples=20))
    return decoded


def make_exp(root: Path, utterances: int) -> None:
    """A base and two models of the domain `farm` on one set of that many utterances."""
    texts = make_texts(utterances)
    make_set(root, texts)
    for seed, (model, rate) in enumerate(
        {"base": 0.3, "base/denoise_farm": 0.2, "base/audio_farm": 0.1}.items()
    ):
        draw = random.Random(seed)
        make_system(root, model, {utt: garble(text, rate, draw) for utt, text in texts.items()})


def write_report(root: Path, **changes: Any) -> Path:
    """Run `speechllm report --html` on it; return the folder of pages."""
    settings = {
        "exp": root / "exp",
        "out": root / "RESULTS.md",
        "title": "Results of farm",
        "normalizer": "plain",
        "tag": None,
        "source_sets": (),
        "command": "./run.sh",
        "html": root / "exp/report",
        "data": root / "data",
        "audio": "link",
        "audio_mb": 500,
        "allow_pipes": False,
    }
    command.run(Namespace(**{**settings, **changes}))
    return root / "exp/report"


def until(page: Any, condition: str, seconds: float = 5.0) -> None:
    """Wait until a condition in JavaScript holds: what playwright offers needs `unsafe-eval`."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)
