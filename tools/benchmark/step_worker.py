"""A worker of step.py: one turn trains once on all utterances. Runs in old builds, too."""

import json
import sys
import tempfile
from pathlib import Path

import torch
from builds import batches_of, module, of_one_process
from safetensors.torch import load_file
from turns import seconds, serve

from speechllm.adapt.method import load_method
from speechllm.config import BaseConfig, load
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.train.loop import Trainer

autocast = module("model.compute.precision").autocast
Corpus = module("slot.corpus").Corpus
Mixture = module("slot.mixing").Mixture
Component = module("slot.mixture").Component
Views = module("slot.views").Views
load_task = module("task").load_task

settings = json.loads(sys.argv[1])
conf = Path(settings["conf"])
config = load(BaseConfig, conf / "base.yaml", [*settings["models"], settings["precision"]])
torch.manual_seed(0)
model = SpeechLLM(config.model)
if settings["weights"]:
    model.load_state_dict(load_file(settings["weights"]), strict=False)

corpora = {}
for name in ("source", "target") if settings["kind"] == "adapt" else ("source",):
    corpora[name] = Corpus.load([Path(settings["data"]) / name], load_task("asr"))
    corpora[name].open_frames(
        Path(settings["dump"]), config.model.audio_model, config.model.encoder_settings
    )
    corpora[name].measure(model.tokenizer, model.projector.output_length)

components = [Component(view, "source", share) for view, share in config.views.items()]
trainable, train = config.trainable, config.train
if settings["kind"] == "adapt":
    method = load_method(conf / "adapt.yaml", [settings["precision"]])
    model.replace_lora(method.lora)
    components = method.components({name: len(c.text) for name, c in corpora.items()})
    trainable, train = method.trainable, method.train
set_trainable(model, trainable)
views = Views(model.tokenizer, corpora)
mixture = of_one_process(Mixture, components, views, model, train)
once = train.model_copy(update={"steps": mixture.steps(), "epochs": None})


@torch.no_grad()
def first_loss() -> float:
    """Mean over all label tokens, before any step."""
    nll, tokens = 0.0, 0
    for items in batches_of(mixture.plan(0)):
        with autocast(train.precision, "cpu"):
            score = model.eval()(mixture.batch(items, 0))
        nll, tokens = nll + float(score.nll), tokens + score.tokens
    return nll / tokens


said = {"first_loss": first_loss() if settings["first_loss"] else None}


def work() -> tuple[float, dict]:
    """Train; returns items in a second, and which part of them are heard."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, mixture.plan, mixture.batch, once, Path(folder))
        started = seconds()
        position = trainer.train()
        took = seconds() - started
    seen = sum(position.seen.values())
    heard = sum(n for c, n in position.seen.items() if components[int(c)].view == "audio")
    return seen / took, said | {"heard": heard / seen}


if __name__ == "__main__":
    serve(work)
