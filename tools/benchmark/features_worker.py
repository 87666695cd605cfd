"""A worker of features.py: one turn encodes all utterances."""

import json
import sys

from turns import seconds, serve

from speechllm.data.audio import SAMPLE_RATE, load_audio
from speechllm.data.kaldi import DataDir
from speechllm.model.encoder import Encoder

settings = json.loads(sys.argv[1])
encoder = Encoder(settings["encoder"], window="cut", dtype=settings["dtype"])
audio = DataDir.load(settings["data"], with_text=False).audio
waves = sorted([load_audio(a) for a in list(audio.values())[: settings["utterances"]]], key=len)
batches = [[wave] for wave in waves] if settings["alone"] else [waves]


def work() -> float:
    """Encode; returns seconds of audio in a second."""
    started = seconds()
    for batch in batches:
        encoder.encode(batch)
    return sum(map(len, waves)) / SAMPLE_RATE / (seconds() - started)


if __name__ == "__main__":
    serve(work)
