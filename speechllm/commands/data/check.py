"""validate data dirs, their audio, the lengths of transcripts, and the models (stage 2)"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from speechllm.commands.base import add_config_arguments, model_overrides
from speechllm.commands.options.numbers import real, whole
from speechllm.errors import ConfigError, SpeechLLMError, bounded

if TYPE_CHECKING:
    from speechllm.config import ModelConfig
    from speechllm.data.check.findings import Finding
    from speechllm.data.check.summary import SetSummary
    from speechllm.task import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data check`."""
    parser.add_argument("data", nargs="+", type=Path, help="data dirs to check")
    add_config_arguments(parser)
    parser.add_argument(
        "--audio_positions",
        type=whole(0),
        default=300,
        help="LLM positions kept free for the speech of the longest utterance, at most half of "
        "the context (default: %(default)s, that is 30 s at 10 a second)",
    )
    parser.add_argument(
        "--max_seconds",
        type=real(0.0),
        default=30.0,
        help="warn about longer utterances (default: %(default)s)",
    )
    parser.add_argument("--full", action="store_true", help="decode all audio, not just headers")
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands in wav.scp"
    )
    parser.add_argument("--force", action="store_true", help="check again what is checked already")


def run(args: argparse.Namespace) -> None:
    """Check each set, print complaints and a table of the sets.

    Raises:
        SpeechLLMError: some sets have errors.
    """
    from speechllm.data.check.flawless import flawless
    from speechllm.data.check.summary import read_mark, summarise, write_mark
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.task import load_task, load_tasks

    models, task, tasks = _models(args), None, load_tasks()
    if models:
        task = load_task(models.task)
        models = task.with_prompt(models)
    options = {
        "models": models and models.model_dump(mode="json"),
        "llm": args.llm,
        "described": _described(models),
        "audio_positions": args.audio_positions,
        "max_seconds": args.max_seconds,
        "full": args.full,
        "allow_pipes": args.allow_pipes,
    }
    paths = list(dict.fromkeys(args.data))
    answers = {task.table for task in tasks}
    marks = {} if args.force else {path: read_mark(path, options, answers) for path in paths}
    limit = None
    sizes: dict[Path, SetSummary] = {}
    failed: list[str] = []
    for path in paths:
        if mark := marks.get(path):
            sizes[path], warnings = mark
            print(f"{path}: already checked, {warnings} warnings")
            continue
        limit = limit or _transcript_limit(args, models)
        warnings = 0
        if size := flawless(path, limit, task, tasks):
            print(f"{path}: 0 errors, 0 warnings", flush=True)
        else:
            complaints = _complaints(path, args, models, limit, task, tasks)
            errors = sum(complaint.severity == "error" for complaint in complaints)
            warnings = len(complaints) - errors
            print(f"{path}: {errors} errors, {warnings} warnings", flush=True)
            if errors:
                failed.append(str(path))
                continue
            size = summarise(DataDir.load(path), args.allow_pipes)
        sizes[path] = size
        write_mark(path, options, size, warnings, answers)
    for line in (*_overlaps(list(sizes)), *_forms(list(sizes)), *_table(sizes)):
        print(bounded(line))
    if failed:
        raise SpeechLLMError(
            f"{len(failed)} of {len(paths)} sets have errors: {', '.join(failed)}",
            "every complaint above says what mends it; then run stage 2 (check) again",
        )


def _complaints(
    path: Path,
    args: argparse.Namespace,
    models: "ModelConfig | None",
    limit: Callable[..., str | None],
    task: "Task | None",
    others: "list[Task]",
) -> "list[Finding]":
    """Check a set thoroughly, and print and return what is wrong with it."""
    from speechllm.data.check.findings import group_findings
    from speechllm.data.check.validate import check_data_dir

    complaints = check_data_dir(
        path,
        allow_pipes=args.allow_pipes,
        full=args.full,
        max_seconds=args.max_seconds,
        transcript_limit=limit,
        task=task,
        others=others,
        least_seconds=lambda: _least_seconds(models),
    )
    for line in group_findings(complaints):
        print(bounded(line))
    return complaints


def _described(models: "ModelConfig | None") -> dict[str, str]:
    """Hashes of the files beside the weights in the models' folders, such as tokenizers."""
    from speechllm.files.made_from import digest
    from speechllm.model.bundle_record import pretrained_files

    files = pretrained_files(models, weights=False) if models else {}
    return {name: digest(path) for name, path in files.items()}


def _models(args: argparse.Namespace) -> "ModelConfig | None":
    """Read which models are given; raise ConfigError unless all of them exist."""
    from speechllm.config import BaseConfig, ModelConfig, load
    from speechllm.pretrained import resolve_folder

    if args.config is None and (args.encoder or args.set):
        raise ConfigError("--encoder and --set change a config", "give one as --config")
    if args.config is None:
        return ModelConfig(speech_llm=args.speech_llm) if args.speech_llm else None
    models = load(BaseConfig, args.config, [*args.set, *model_overrides(args)]).model
    for name in ("encoder", "llm"):
        if folder := getattr(models, name):
            resolve_folder(folder, f"model.{name}")
    return models


def _transcript_limit(
    args: argparse.Namespace, models: "ModelConfig | None"
) -> Callable[..., str | None]:
    from speechllm.pretrained import resolve_folder

    if models is None and args.llm is None:
        return lambda transcript, answer=None: None
    from speechllm.slot.context import transcript_limit

    if models is None:
        folder = resolve_folder(args.llm, "--llm")
        return transcript_limit(folder, audio_positions=args.audio_positions)
    if models.speech_llm:
        from speechllm.model.whole.own_prompt import load_prompt

        return transcript_limit(
            resolve_folder(models.speech_llm, "model.speech_llm"),
            prompt=load_prompt(models),
            trust_remote_code=models.trust_remote_code,
            audio_positions=args.audio_positions,
        )
    return transcript_limit(
        resolve_folder(models.llm, "model.llm"),
        prompt=models.prompt,
        chat_template=models.chat_template,
        trust_remote_code=models.trust_remote_code,
        audio_positions=args.audio_positions,
    )


@cache
def _encoder_least(name: str, trust_remote_code: bool, window: str) -> float:
    from speechllm.data.speech.audio import SAMPLE_RATE
    from speechllm.model.encoder.encoder import Encoder
    from speechllm.pretrained import quietly

    with quietly():  # no weights are loaded, on purpose
        return Encoder.sketch(name, trust_remote_code, window).least_samples / SAMPLE_RATE


def _least_seconds(models: "ModelConfig | None") -> float:
    """Length of the shortest utterance that the encoder takes, or a default without an encoder."""
    from speechllm.data.speech.audio_error import LEAST_SECONDS

    if models is None:
        return LEAST_SECONDS
    window = models.encoder_settings.get("window", "padded")
    return _encoder_least(models.audio_model, models.trust_remote_code, window)


def _overlaps(paths: list[Path]) -> Iterator[str]:
    """Warn about test transcripts that also occur in a training set of the same call."""
    from speechllm.data.check.summary import shared_transcripts
    from speechllm.data.dirs.kaldi import DataDir, first_ids

    tests = [DataDir.load(path) for path in paths if path.name.endswith("_test")]
    trains = [path for path in paths if path.name.endswith("_train")] if tests else []
    for train in map(DataDir.load, trains):
        for test in tests:
            if shared := shared_transcripts(train, test):
                yield (
                    f"{test.path}/text: warning: transcripts also in {train.path}: "
                    f"{first_ids(shared)}\n  -> take them out of the training text, or say so "
                    "beside the result"
                )


def _forms(paths: list[Path]) -> Iterator[str]:
    """Warn about sets written in another form than the source, which the model is trained on."""
    from speechllm.data.dirs.forms import count_words, unlike
    from speechllm.data.dirs.kaldi import DataDir

    sources = [path for path in paths if path.name == "source_train"]
    for source in sources:
        known = count_words(DataDir.load(source).text.values())
        for path in paths:
            texts = DataDir.load(path).text.values() if path != source else ()
            if said := unlike(texts, known, f"{source}/text"):
                yield (
                    f"{path}/text: warning: {said}\n  -> write its text as the source is written, "
                    "which the base model learns to write"
                )


def _table(sizes: "dict[Path, SetSummary]") -> Iterator[str]:
    if not sizes:
        return
    width = max(len(path.name) for path in sizes)
    yield f"{'set':<{width}} {'utts':>8} {'hours':>8} {'speakers':>8} {'words':>9} {'distinct':>8}"
    for path, size in sizes.items():
        hours = f"{size.seconds / 3600:.2f}" if size.seconds else "-"
        yield (
            f"{path.name:<{width}} {size.utterances:>8} {hours:>8} {size.speakers or '-':>8} "
            f"{size.words:>9} {size.distinct_words:>8}"
        )
