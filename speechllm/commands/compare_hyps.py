"""compare two systems on the same utterances: WER, difference, two tests, what b fixed and broke

`speechllm compare hyps a b`: each is a decode folder, `<model>/decode_<tag>/<set>`, or a text file.
"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import MOST_RESAMPLES, whole
from speechllm.errors import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm compare hyps`."""
    parser.add_argument("a", type=Path, help="the baseline: decode folder or text file")
    parser.add_argument("b", type=Path, help="the other system")
    parser.add_argument(
        "--ref", type=Path, help="reference text; needed where no folder has been scored"
    )
    parser.add_argument(
        "--normalizer", default="plain", metavar="NAME|x.yaml", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--n_bootstrap",
        type=whole(1, MOST_RESAMPLES),
        default=10_000,
        help="resamples (default: %(default)s)",
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="of the bootstrap (default: 0)")


def run(args: argparse.Namespace) -> None:
    """Score both systems and print the comparison."""
    from speechllm.data.dirs.forms import count_words, unlike
    from speechllm.data.dirs.kaldi import first_ids, read_table
    from speechllm.score.count.wer import score_texts
    from speechllm.score.inputs import refuse_strangers, warn_of_unseen
    from speechllm.score.normalize.normalize import normalizer
    from speechllm.score.paired import compare_pair, comparison_lines
    from speechllm.score.trn import refuse_trn

    reference = args.ref or _reference(args.a, args.b)
    refuse_trn(reference, ())
    references = read_table(reference, strict=False)
    warn_of_unseen({reference: references})
    normalize = normalizer(args.normalizer)
    words = count_words(map(normalize, references.values()))
    scores = []
    for name, path in (("a", args.a), ("b", args.b)):
        file = path / "text" if path.is_dir() else path
        refuse_trn(file, references)
        hypotheses = read_table(file, strict=False)
        refuse_strangers(reference, references, file, hypotheses)
        warn_of_unseen({path: hypotheses})
        score = score_texts(references, hypotheses, normalize)
        if score.missing:
            lacking = f"lacks hypotheses, counted as deletions: {first_ids(score.missing)}"
            print(bounded(f"{name} {lacking}"))
        if said := unlike(
            map(normalize, hypotheses.values()), words, f"the reference ({normalize})"
        ):
            print(bounded(f"{name}: {said}"))
        scores.append(score)
    beside = compare_pair(*scores, args.n_bootstrap, args.seed)
    for line in comparison_lines(beside, str(args.a), str(args.b), args.seed):
        print(bounded(line))


def _reference(*systems: Path) -> Path:
    """Find the reference that the decode folders among `systems` were scored against."""
    from speechllm.errors import DataError, SpeechLLMError
    from speechllm.files.guarded import guarded
    from speechllm.files.own import read_mapping
    from speechllm.score.inputs import fingerprint

    found = {}
    for system in systems:
        score = system / "score" / "wer.json"
        if not score.is_file():
            continue
        again = "score it again: stage 7 (score); or name the reference text with --ref"
        with guarded(score, "does not say what was scored", remedy=again):
            reference = read_mapping(score, again)["made_from"]["reference"]
            found[reference["sha256"]] = Path(reference["path"])
    remedy = "name the reference text with --ref"
    if not found:
        raise SpeechLLMError("neither a nor b is a decode folder that has been scored", remedy)
    if len(found) > 1:
        message = "a and b were scored against different references: "
        raise SpeechLLMError(message + ", ".join(map(str, found.values())), remedy)
    ((digest, path),) = found.items()
    if fingerprint(path)["sha256"] != digest:
        message = "has changed since the hypotheses were scored"
        raise DataError(message, path, remedy=f"score again: stage 7 (score); or {remedy}")
    return path
