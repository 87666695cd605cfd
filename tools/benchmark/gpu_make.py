"""Models and data of gpu.py, unless they are there."""

from gpu_common import DEVICE, Settings, now, say
from shapes import SHAPES, make_encoder, make_llm, make_noise
from transformers.utils import logging


def measure(settings: Settings) -> None:
    """Make them; nothing is measured."""
    logging.disable_progress_bar()
    shape, done = SHAPES[settings.shape], settings.data / "made"
    if done.is_file():
        say(f"models and data are in {settings.work}")
        return
    started = now()
    size = make_encoder(settings.encoder, shape.encoder, DEVICE)
    say(f"encoder of {size:,} parameters in {now() - started:.1f} s")
    size = make_llm(settings.llm, shape.llm, DEVICE)
    say(f"LLM of {size:,} parameters in {now() - started:.1f} s")
    seconds = make_noise(settings.data, shape, settings.tokens_per_second)
    say(f"{shape.utterances} utterances, {seconds:.0f} s, in {now() - started:.1f} s")
    done.touch()
