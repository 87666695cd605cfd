"""make the base model: train a projector (and more) on source pairs, or take a Speech LLM"""

import argparse
import logging
from pathlib import Path

from speechllm.commands.options.duration import add_max_time, deadline_of

log = logging.getLogger(__name__)

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm base`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml of BaseConfig")
    add_model_arguments(parser)
    parser.add_argument("--dump", required=True, type=Path, help="root of the feature cache")
    parser.add_argument("--train", required=True, nargs="+", type=Path, help="paired data dirs")
    parser.add_argument("--dev", required=True, nargs="+", type=Path, help="paired dev data dirs")
    parser.add_argument("--exp", required=True, type=Path, help="folder of the model")
    add_max_time(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that override the models of a config, for commands that recipes call."""
    parser.add_argument("--encoder", help="overrides model.encoder: folder or hub id")
    parser.add_argument("--llm", help="overrides model.llm")
    parser.add_argument("--speech_llm", help="overrides model.speech_llm")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that need only the models of the base config."""
    parser.add_argument("--config", type=Path, help="base config, which names the models")
    add_model_arguments(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="key=value",
        help="overrides another key of the config; may be given again",
    )


def model_overrides(args: argparse.Namespace) -> list[str]:
    """Overrides of the base config from the options of `add_model_arguments`."""
    names = {name: getattr(args, name) for name in ("encoder", "llm", "speech_llm")}
    return [f"model.{name}={value}" for name, value in names.items() if value]


def run(args: argparse.Namespace) -> None:
    """Train the base model, or resume; do nothing if the model is finished."""
    from speechllm.adapt.folder import base_inputs, claimed
    from speechllm.config import BaseConfig, load
    from speechllm.task import load_task

    deadline = deadline_of(args)
    config = load(BaseConfig, args.config, [*args.overrides, *model_overrides(args)])
    task = load_task(config.model.task)
    config = config.model_copy(update={"model": task.with_prompt(config.model)})
    inputs = base_inputs(config, task, args.train, args.dev, args.dump)
    with claimed(args.exp, config, inputs) as is_ours:
        if not is_ours:
            log.info("%s is made already", args.exp)
            return

        from speechllm.adapt.base import train_base

        train_base(config, args.train, args.dev, args.dump, args.exp, deadline)
