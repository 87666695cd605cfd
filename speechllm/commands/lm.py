"""train a language model of domain text, for fusion and rescoring (stage lm)"""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechllm.task import Task

log = logging.getLogger(__name__)

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm lm`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml: kind, sizes, training")
    parser.add_argument(
        "--text",
        required=True,
        nargs="+",
        type=Path,
        help="data dirs, or files like their text, to learn from",
    )
    parser.add_argument(
        "--dev", required=True, nargs="+", type=Path, help="the same, to choose by and to measure"
    )
    parser.add_argument(
        "--base",
        type=Path,
        help="folder of a model: of data dirs its task's answers are learnt, by a network in its "
        "tokens; an n-gram of transcripts needs none",
    )
    parser.add_argument("--exp", required=True, type=Path, help="folder of the language model")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Train the language model; do nothing if it is finished.

    Raises:
        ConfigError: a neural language model without `--base`.
        DataError: there is no sentence in the text or in the dev text.
    """
    from speechllm.adapt.folder import RunInputs, claimed
    from speechllm.errors import ConfigError, DataError
    from speechllm.files.layout import DESCRIPTION, MODEL
    from speechllm.files.whole import sha256_of
    from speechllm.lm.config import NGramConfig, load_lm_config
    from speechllm.model.description import task_of
    from speechllm.task import load_task

    config = load_lm_config(args.config, args.overrides)
    task = task_of(args.base) if args.base else load_task("asr")
    text = [file for path in args.text for file in _files(path, task)]
    dev = [file for path in args.dev for file in _files(path, task)]
    inputs = {
        "text": [str(path) for path in text],
        "dev": [str(path) for path in dev],
        "sha256": [sha256_of([path]) for path in [*text, *dev]],
    }
    if not isinstance(config, NGramConfig):
        if args.base is None:
            raise ConfigError(f"kind {config.kind} needs the tokens of a recogniser", "give --base")
        inputs["base"] = str(args.base)
        inputs["base_sha256"] = sha256_of([args.base / MODEL / DESCRIPTION])
    with claimed(args.exp, config, RunInputs(inputs)) as is_ours:
        if not is_ours:
            log.info("%s is made already", args.exp)
            return

        from speechllm.lm.make import make_lm

        sentences, held_out = (
            [line for path in paths for line in _sentences(path, task)]
            for paths in (args.text, args.dev)
        )
        for paths, found in ((args.text, sentences), (args.dev, held_out)):
            if not found:
                raise DataError("there is no sentence to learn from", paths[0])
        _warn_of_form(sentences, args, task)
        make_lm(config, sentences, held_out, args.base, args.exp)


def _warn_of_form(sentences: list[str], args: argparse.Namespace, task: "Task") -> None:
    """Warn if the text is written in another form than the recogniser's training text."""
    from speechllm.adapt.folder import training_sets
    from speechllm.data.dirs.forms import count_words, unlike

    sets = training_sets(args.base) if args.base else []
    learnt = count_words(line for path in sets for line in _sentences(path, task))
    where = f"what {args.base} learnt to write"
    if learnt and (said := unlike(sentences, learnt, where)):
        log.warning("%s: %s; write it as the recogniser does", args.text[0], said)


def _files(path: Path, task: "Task") -> list[Path]:
    """Files that the sentences of a data dir or a text file come from."""
    return [path / name for name in task.tables] if path.is_dir() else [path]


def _sentences(path: Path, task: "Task") -> Iterable[str]:
    """Sentences: the reference answers of a data dir, or a file's lines without their ids."""
    from speechllm.data.dirs.answers import read_targets
    from speechllm.data.dirs.kaldi import DataDir, read_table

    if path.is_dir():
        return read_targets(task, DataDir.load(path)).values()
    return read_table(path, strict=False).values()
