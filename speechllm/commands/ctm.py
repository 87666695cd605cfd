"""write the words of a decoded set with their times, as NIST's ctm

Decode with word_times (and confidence, for a last column). sclite compares a ctm with a reference
in stm or ctm form.
"""

import argparse
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm ctm`."""
    parser.add_argument("--decode", required=True, type=Path, help="<model>/decode_<tag>/<set>")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    parser.add_argument(
        "--data",
        type=Path,
        help="data dir of the set: times then count from the beginning of its recordings",
    )


def run(args: argparse.Namespace) -> None:
    """Write the ctm; log the utterances in which some word times were guessed.

    Raises:
        DataError: the data dir lacks decoded utterances, or a file is damaged.
    """
    from speechllm.data.dirs.kaldi import DataDir, first_ids
    from speechllm.decode.record import LINES
    from speechllm.decode.words.ctm import ctm_lines, read_words
    from speechllm.errors import DataError
    from speechllm.files.guarded import guarded
    from speechllm.files.own import made_again
    from speechllm.files.whole import whole_file

    words = read_words(args.decode)
    audio = DataDir.load(args.data).audio if args.data else {}
    if audio and (unknown := sorted(words.keys() - audio.keys())):
        message = f"utterances that {args.data} does not have: {first_ids(unknown)}"
        raise DataError(message, args.decode, remedy="name the data dir that was decoded")
    place = args.decode / LINES
    with guarded(place, "is damaged", remedy=made_again(args.decode)):
        lines, guessed = ctm_lines(words, audio)
    with whole_file(args.out) as stream:
        stream.writelines(f"{line}\n" for line in lines)
    if guessed:
        log.warning("words between two others whose times are guessed: %s", first_ids(guessed))
    log.info("%s: %d words of %d utterances", args.out, len(lines), len(words))
