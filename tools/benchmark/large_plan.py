"""Reads a set of large.py with its features' index, and plans an epoch of two views of it."""

import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from speechllm.config import TrainConfig
from speechllm.data.dirs.tables import read_table, share_keys
from speechllm.data.speech.ark import ArkReader
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixing import Mixture
from speechllm.slot.mixture import Component
from speechllm.slot.views import Views
from speechllm.standin.llm import train_tokenizer
from speechllm.task import load_task


def main() -> None:
    data, dump = map(Path, sys.argv[1:])
    with open(data / "text", encoding="utf-8") as stream:
        sample = [line.partition(" ")[2] for line in islice(stream, 200)]
    corpus = Corpus.load([data], load_task("asr"))
    corpus.frames = ArkReader(dump / "feats.scp")
    counts = read_table(dump / "utt2num_frames")
    counts = share_keys(counts, corpus.text)  # as `open_features` does
    corpus.frame_counts = {utt: int(frames) for utt, frames in counts.items()}
    tokenizer = train_tokenizer(sample, 1000)
    corpus.measure(tokenizer, lambda frames: frames // 5)
    views = Views(tokenizer, {"target": corpus})
    model: Any = SimpleNamespace(prompt=SimpleNamespace(overhead=20))  # all that planning asks of
    shown = [Component("audio", "target", 0.5), Component("empty", "target")]
    mixture = Mixture(shown, views, model, TrainConfig(steps=1))
    print(mixture.plan(0).counts())


if __name__ == "__main__":
    main()
