"""train a tiny Llama on general text, a stand-in for a pretrained LLM (stage 1)"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `speechllm standin llm`."""
    parser.add_argument("--text", required=True, type=Path, help="Kaldi text file: id and words")
    parser.add_argument("--out", required=True, type=Path, help="folder of the model")
    parser.add_argument("--steps", type=whole(1), help="optimiser steps")
    parser.add_argument("--vocab_size", type=whole(1), help="pieces of the tokenizer")
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", help="the user's turn, with <speech> where the slot is")
    prompt.add_argument("--task", help="the task whose prompt it is trained with, e.g. slu")
    parser.add_argument("--seed", type=whole(0), help="of weights, order and noise")


def run(args: argparse.Namespace) -> None:
    """Train the LLM, unless the folder is complete."""
    from speechllm.data.dirs.kaldi import read_table
    from speechllm.standin.llm import LLMOptions, train_llm
    from speechllm.task import load_task

    if args.task:
        args.prompt = load_task(args.task).prompt
    given = {name: getattr(args, name) for name in ("steps", "vocab_size", "prompt", "seed")}
    options = LLMOptions(**{k: v for k, v in given.items() if v is not None})
    train_llm(list(read_table(args.text, strict=False).values()), args.out, options)
