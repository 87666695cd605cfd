"""A worker of plan.py: one turn reads, measures and plans a set. Runs in old builds, too."""

import json
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

from builds import module, of_one_process
from turns import seconds, serve

from speechllm.config import TrainConfig
from speechllm.standin.llm import train_tokenizer

Corpus = module("slot.corpus").Corpus
Mixture = module("slot.mixing").Mixture
Component = module("slot.mixture").Component
Views = module("slot.views").Views
load_task = module("task").load_task

data = Path(json.loads(sys.argv[1])["data"])
with open(data / "text", encoding="utf-8") as stream:
    tokenizer = train_tokenizer([line.partition(" ")[2] for line in islice(stream, 2000)], 1000)
model = SimpleNamespace(prompt=SimpleNamespace(overhead=20))  # all that planning asks of one
components = [Component("empty", "target", 0.5), Component("noisy_text", "target")]


def work() -> float:
    """Plan one epoch; returns utterances in a second."""
    started = seconds()
    corpus = Corpus.load([data], load_task("asr")).measure(tokenizer, lambda frames: frames)
    views = Views(tokenizer, {"target": corpus})
    of_one_process(Mixture, components, views, model, TrainConfig(steps=1)).plan(0)
    return len(corpus.text) / (seconds() - started)


if __name__ == "__main__":
    serve(work)
