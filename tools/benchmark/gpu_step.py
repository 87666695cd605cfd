"""Training steps of the projector and LoRA: the share of the device's matrix products they reach.

The share is FLOPs of valid positions / seconds / FLOPs in a second of bf16 products (gpu_matmul).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from arithmetic import llm_flops
from gpu_common import DEVICE, GIB, Settings, figure, forget_peak, now, peak, profiled, say
from gpu_features import cache
from gpu_model import load_corpus, load_model

from speechllm.config import TrainConfig
from speechllm.model.memory import training_memory
from speechllm.model.speech_llm import set_trainable
from speechllm.slot.collate import IGNORED, Batch
from speechllm.slot.mixing import Mixture
from speechllm.slot.mixture import Component, Item
from speechllm.slot.views import Views
from speechllm.train.distributed import World
from speechllm.train.loop import Trainer

WARM_UP = 3  # steps


def measure(settings: Settings) -> None:
    """Steps of the product's own loop."""
    cache(settings, settings.dump)
    model = load_model(settings)
    set_trainable(model, ("projector.*", "llm.*lora_*"))
    say("the model is loaded")
    train = TrainConfig(
        seconds=settings.seconds, batch_positions=settings.batch_positions, warmup_steps=0
    )
    corpora = {"source": load_corpus(settings, model)}
    views = Views(model.tokenizer, corpora)
    mixture = Mixture([Component("audio", "source")], views, model, train)
    made: list[tuple[list[int], int]] = []  # of each batch: lengths of its rows, labels

    def make_batch(items: Sequence[Item], epoch: int) -> Batch:
        batch = mixture.batch(items, epoch)
        labels = int((batch.labels != IGNORED).sum())
        made.append((batch.attention_mask.sum(1).tolist(), labels))
        return batch

    def run(config: TrainConfig) -> tuple[int, float]:
        """Steps, and the seconds that they took."""
        made.clear()
        with tempfile.TemporaryDirectory() as folder:
            world = World(device=DEVICE)
            trainer = Trainer(model, mixture.plan, make_batch, config, Path(folder), world=world)
            started = now()
            steps = trainer.train().step
            return steps, now() - started

    few = train.model_copy(update={"seconds": None, "steps": WARM_UP})
    run(few)
    figure("step, peak memory while trying out half precision", peak() / GIB, "GiB")
    forget_peak()
    steps, took = run(train)
    say(f"{steps} steps in {took:.1f} s")
    consumed = made[:steps]
    flops = sum(sum(llm_flops(model.llm, *batch).values()) for batch in consumed) / steps
    rows = [length for lengths, _ in consumed for length in lengths]
    figure("step, seconds", took / steps, "s")
    figure("step, valid positions", sum(rows) / steps)
    figure("step, utterances", len(rows) / took, "utt/s")
    figure("step, FLOPs of valid positions", flops, "FLOP")
    if settings.rate:
        figure("step, share of matmul bf16", flops / (took / steps) / settings.rate, "", 0.45)
    figure("step, peak memory", peak() / GIB, "GiB")
    figure("step, memory by speechllm info", training_memory(model, train).total / GIB, "GiB")
    with profiled(settings, "step"):
        run(few)
