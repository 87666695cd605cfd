"""A worker of features.py: one turn encodes all utterances."""

import json
import sys

from builds import module
from turns import seconds, serve

DataDir = module("data.dirs.kaldi").DataDir
SAMPLE_RATE = module("data.speech.audio").SAMPLE_RATE
load_audio = module("data.speech.audio").load_audio
Encoder = module("model.encoder.encoder").Encoder


settings = json.loads(sys.argv[1])
encoder = Encoder(settings["encoder"], window="cut", dtype=settings["dtype"])
audio = DataDir.load(settings["data"], with_text=False).audio
waves = sorted([load_audio(a) for a in list(audio.values())[: settings["utterances"]]], key=len)
batches = [[wave] for wave in waves] if settings["alone"] else [waves]


mean_seconds = sum(map(len, waves)) / len(waves) / SAMPLE_RATE


def work() -> tuple[float, dict]:
    """Encode; returns seconds of audio in a second, and how long an utterance is."""
    started = seconds()
    for batch in batches:
        encoder.encode(batch)
    rate = mean_seconds * len(waves) / (seconds() - started)
    return rate, {"mean_seconds": mean_seconds}


if __name__ == "__main__":
    serve(work)
