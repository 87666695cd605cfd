"""score hypotheses: WER, CER, SER with intervals, alignments and confusions"""

import argparse
from pathlib import Path

from speechllm.errors import DataError, SpeechLLMError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two forms: everything below --exp, or one file of hypotheses."""
    from speechllm.score.folder import Settings
    from speechllm.score.normalize import NORMALIZERS

    every = parser.add_argument_group("score every decode_*/<set>/text below a folder")
    every.add_argument("--exp", type=Path, help="folder that is searched for hypotheses")
    every.add_argument("--data_root", type=Path, help="references are <data_root>/<set>/text")
    one = parser.add_argument_group("score one file")
    one.add_argument("--ref", type=Path, help="reference text file")
    one.add_argument("--hyp", type=Path, help="hypothesis text file")
    one.add_argument("--out", type=Path, help="folder for the result")
    default = Settings()
    parser.add_argument(
        "--normalizer",
        nargs="+",
        default=list(default.normalizers),
        choices=list(NORMALIZERS),
        help="text normalisers, each gives its own figures (default: %(default)s)",
    )
    parser.add_argument(
        "--n_bootstrap",
        type=int,
        default=default.resamples,
        help="bootstrap resamples (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="of the bootstrap (default: %(default)s)"
    )
    parser.add_argument(
        "--by_speaker",
        action="store_true",
        help="resample speakers, not utterances; needs utt2spk beside the reference",
    )
    parser.add_argument("--force", action="store_true", help="score again what is scored already")


def run(args: argparse.Namespace) -> None:
    """Score, and print one line for each file and normaliser."""
    from speechllm.score.folder import Settings, kaldi_lines, score_folder

    if args.n_bootstrap < 1:
        raise SpeechLLMError(f"--n_bootstrap must be at least 1, not {args.n_bootstrap}")
    settings = Settings(
        tuple(dict.fromkeys(args.normalizer)), args.n_bootstrap, args.seed, args.by_speaker
    )
    for reference, hypothesis, out in _jobs(args):
        result = score_folder(reference, hypothesis, out, settings, args.force)
        what = hypothesis.parent.parent if args.exp else hypothesis
        for line in kaldi_lines(result, what):
            print(line, flush=True)


def _jobs(args: argparse.Namespace) -> list[tuple[Path, Path, Path]]:
    """Return (reference, hypothesis, output folder) of every file to score."""
    every, one = (args.exp, args.data_root), (args.ref, args.hyp, args.out)
    if all(one) and not any(every):
        return [one]
    if not all(every) or any(one):
        raise SpeechLLMError("give --exp and --data_root, or --ref and --hyp and --out")
    hypotheses = sorted(args.exp.rglob("decode_*/*/text"))
    if not hypotheses:
        raise DataError("no decode_*/<set>/text below this folder", args.exp, remedy="decode first")
    jobs = [(args.data_root / h.parent.name / "text", h, h.parent / "score") for h in hypotheses]
    for reference, hypothesis, _ in jobs:
        if not reference.is_file():
            raise DataError(
                f"no reference for {hypothesis}",
                reference,
                remedy="make the data (stage 1), or name its folder with --data_root",
            )
    return jobs
