"""This build's training against the published loop's (2402.08846): utterances in a second.

`LLM part` is projector and LLM on cached frames; `first epoch` and `later epochs` hold what the
encoder takes, which the published loop runs in every step and this build once (`first epoch`).
`same config` trains by conf/published, with the published loop's maths: both must begin with the
same mean loss. `recipe` trains by conf/recipe; its text-only items cost time and do not count.

`distance` compares the LLM part with the machine: the arithmetic of valid positions, as a share of
what the machine's fastest product would have done in that time.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from step import CONF, dump, extract, subset, worker
from torch import nn
from transformers import AutoConfig
from turns import BUILD, Worker, figure, in_turn

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
CONFIGS = ("same config", "recipe")
EQUAL = 1e-5  # nats a token


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Steps of both loops in each dtype, in turn, and the encoder's batches."""
    weights = prepare(args)
    return [row for dtype in args.dtypes for row in _rows(args, dtype, weights)]


def prepare(args: argparse.Namespace) -> Path:
    """Make the data dir and its frames, and one random projector for all loops; its tensors."""
    subset(args, "source")
    extract(args, BUILD, "source")
    encoder, llm = (AutoConfig.from_pretrained(folder) for folder in (args.encoder, args.llm))
    torch.manual_seed(0)
    layers = [nn.Linear(5 * encoder.d_model, 2048), nn.ReLU(), nn.Linear(2048, llm.hidden_size)]
    tensors = nn.Sequential(*layers).state_dict()
    path = args.work / "projector.safetensors"
    save_file({f"projector.layers.{name}": tensor for name, tensor in tensors.items()}, path)
    return path


def this_build(args: argparse.Namespace, dtype: str, weights: Path) -> dict[str, Worker]:
    """Its training with each config, and its encoder."""
    features = {
        "encoder": str(args.encoder),
        "data": str(args.work / "data" / "source"),
        "utterances": args.utterances,
        "dtype": DTYPES[dtype],
        "alone": False,
    }
    return {
        "same config": worker(args, BUILD, "published", "base", dtype, weights, first_loss=True),
        "recipe": worker(args, BUILD, "recipe", "base", dtype, args.weights),
        "features": Worker("features_worker.py", BUILD, args.threads, features),
    }


def speeds(workers: dict[str, Worker], rates: dict[str, float]) -> dict[str, dict[str, float]]:
    """Utterances in a second of this build's `later` and `first` epochs, by config."""
    features = rates["features"] / workers["features"].said["mean_seconds"]
    later = {name: rates[name] * workers[name].said["heard"] for name in CONFIGS}
    return {n: {"later": rate, "first": 1 / (1 / rate + 1 / features)} for n, rate in later.items()}


def _rows(args: argparse.Namespace, dtype: str, weights: Path) -> list[dict[str, Any]]:
    workers = {
        "published": _published(args, dtype, weights, encode=False),
        "with encoder": _published(args, dtype, weights, encode=True),
        **this_build(args, dtype, weights),
    }
    rates = in_turn(workers, args.rounds)
    rows = []
    for what, now in speeds(workers, rates).items():
        pairs = {
            "LLM part": (rates["published"], now["later"]),
            "first epoch": (rates["with encoder"], now["first"]),
            "later epochs": (rates["with encoder"], now["later"]),
        }
        rows += [figure("published", f"{p}, {what}", dtype, *r, "utt/s") for p, r in pairs.items()]
    losses = [workers[name].said["first_loss"] for name in ("published", "same config")]
    rows[0] |= {"losses": losses, "note": "first loss {:.6f} and {:.6f}".format(*losses)}
    if dtype == "fp32" and abs(losses[0] - losses[1]) > EQUAL:
        raise SystemExit(f"published: the first losses differ: {losses}")
    return [*rows, _distance(args, dtype, rates, workers["published"].said)]


def _distance(
    args: argparse.Namespace, dtype: str, rates: dict[str, float], said: dict[str, Any]
) -> dict[str, Any]:
    """The LLM part's arithmetic as a share of what the machine multiplies in its time."""
    flops = said["flops"]  # of an utterance, by part
    shares = [
        sum(flops.values()) * rates[name] / (args.gflops[dtype] * 1e9)
        for name in ("published", "same config")
    ]
    row = figure("published", "distance, same config", dtype, *shares, "share of GFLOPS")
    times = [1 / share for share in shares]
    note = "{:.2f} and {:.2f} times its arithmetic".format(*times)
    return {**row, "times": times, "flops": flops, "note": note}


def _published(args: argparse.Namespace, dtype: str, weights: Path, encode: bool) -> Worker:
    settings = {
        "conf": str(CONF / "published"),
        "models": [f"model.encoder={args.encoder}", f"model.llm={args.llm}"],
        "data": str(args.work / "data" / "source"),
        "dump": str(dump(args, BUILD)),
        "weights": str(weights),
        "dtype": dtype,
        "encode": encode,
    }
    return Worker("published_worker.py", BUILD, args.threads, settings)
