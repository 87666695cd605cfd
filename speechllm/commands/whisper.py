"""transcribe test sets with a Whisper alone, for comparison in RESULTS.md"""

import argparse
from pathlib import Path

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm whisper`."""
    parser.add_argument("--model", required=True, help="folder or hub id of a whole Whisper")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="data dirs with audio")
    parser.add_argument("--out", required=True, type=Path, help="its folder, e.g. exp/whisper-base")
    parser.add_argument(
        "--tag",
        default="decode",
        help="writes <out>/decode_<tag>/<set>/text; that of the models it stands beside "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--language",
        default="en",
        help="of the speech, for a multilingual one (default: %(default)s)",
    )
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands of wav.scp"
    )


def run(args: argparse.Namespace) -> None:
    """Transcribe the sets that are not transcribed yet."""
    from speechllm.decode.whisper_alone import decode_alone

    decode_alone(args.model, args.data, args.out, args.tag, args.language, args.allow_pipes)
