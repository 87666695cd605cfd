"""score hypotheses: error rates with intervals, and listings of the errors"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from speechllm.commands.options.numbers import MOST_RESAMPLES, whole
from speechllm.errors import DataError, SpeechLLMError, bounded
from speechllm.experiment import HYPOTHESES

if TYPE_CHECKING:
    from speechllm.task import Labels, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm score`: all below --exp, or one file of hypotheses."""
    from speechllm.score.inputs import Settings
    from speechllm.score.normalize.normalize import KNOWN
    from speechllm.task import TASKS

    every = parser.add_argument_group("score every decode_*/<set>/text below a folder")
    every.add_argument("--exp", type=Path, help="folder that is searched for hypotheses")
    every.add_argument("--data_root", type=Path, help="references are the sets <data_root>/<set>/")
    one = parser.add_argument_group("score one file")
    one.add_argument(
        "--ref", type=Path, help="reference text file, or another task's table of a data dir"
    )
    one.add_argument("--hyp", type=Path, help="hypothesis text file")
    one.add_argument("--out", type=Path, help="folder for the result")
    one.add_argument("--task", choices=list(TASKS), help="of the hypotheses (default: asr)")
    default = Settings()
    parser.add_argument(
        "--normalizer",
        nargs="+",
        default=list(default.normalizers),
        metavar="NAME|x.yaml",
        help=f"{', '.join(KNOWN)} or files of rules; each gives its own figures "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--train_text",
        nargs="+",
        type=Path,
        default=[],
        metavar="TEXT",
        help="text files that the source model was trained on: gives the recall of words that "
        "they never had (RecOOV), and WER by how often they have a word",
    )
    parser.add_argument(
        "--n_bootstrap",
        type=whole(1, MOST_RESAMPLES),
        default=default.resamples,
        help="bootstrap resamples (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole(0),
        default=default.seed,
        help="of the bootstrap (default: %(default)s)",
    )
    parser.add_argument(
        "--by_speaker",
        action="store_true",
        help="resample speakers, not utterances; needs utt2spk beside the reference",
    )
    parser.add_argument(
        "--trn", action="store_true", help="write both sides as sclite reads them, too"
    )
    parser.add_argument("--force", action="store_true", help="score again what is scored already")


def run(args: argparse.Namespace) -> None:
    """Score the hypotheses, and print one line for each file and normaliser."""
    from speechllm.files.garbage import uncollected
    from speechllm.score.inputs import Settings
    from speechllm.score.write import score_set

    settings = Settings(
        tuple(dict.fromkeys(args.normalizer)),
        args.n_bootstrap,
        args.seed,
        args.by_speaker,
        tuple(dict.fromkeys(args.train_text)),
        args.trn,
    )
    for job in _jobs(args):
        with uncollected():
            result = score_set(
                job.task,
                job.reference,
                job.hypothesis,
                job.out,
                settings,
                job.labels,
                args.force,
            )
        what = job.hypothesis.parent.parent if args.exp else job.hypothesis
        for line in job.task.lines(result, what):
            print(bounded(line), flush=True)


class _Job(NamedTuple):
    """A file of hypotheses, its reference, the output folder, the task and its labels."""

    reference: Path
    hypothesis: Path
    out: Path
    task: "Task"
    labels: "Labels | None"


def _jobs(args: argparse.Namespace) -> list[_Job]:
    """List the files to score; each model records its task."""
    from speechllm.model.description import labels_of, task_of
    from speechllm.task import load_task

    every, one = (args.exp, args.data_root), (args.ref, args.hyp, args.out)
    if all(one) and not any(every):
        return [_Job(*one, load_task(args.task or "asr"), None)]
    if not all(every) or any(one) or args.task:
        raise SpeechLLMError(
            "give --exp and --data_root, or --ref and --hyp and --out (and --task)"
        )
    hypotheses = sorted(args.exp.rglob(HYPOTHESES))
    if not hypotheses:
        raise DataError(
            "no decode_*/<set>/text below this folder", args.exp, remedy="run stage 6 (decode)"
        )
    jobs = []
    for hypothesis in hypotheses:
        model = hypothesis.parents[2]
        task = task_of(model)
        reference = args.data_root / hypothesis.parent.name / task.table
        if not reference.is_file():
            raise DataError(
                f"no reference for {hypothesis}",
                reference,
                remedy="make the data (stage 1), or name its folder with --data_root",
            )
        jobs.append(
            _Job(reference, hypothesis, hypothesis.parent / "score", task, labels_of(model))
        )
    return jobs
