"""make a domain of a base, or another base, of a PEFT adapter that was trained elsewhere"""

import argparse
from pathlib import Path

NOTES = """\
The adapter is LoRA of the LLM, in adapter_config.json and adapter_model.safetensors. It is taken as
PEFT computes it on the pretrained model: a base's own LoRA is taken out of the domain again.

  speechllm import-adapter ~/lora/farm exp/base/lora_farm --base exp/base --target farm
  speechllm import-adapter ~/lora/general exp/base_lora --base exp/base

The result is the folder of a run, which decodes, packs and transcribes like any other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm import-adapter`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = NOTES
    parser.add_argument("adapter", type=Path, help="folder of the adapter")
    parser.add_argument("out", type=Path, help="folder of the run to write; whole, or not at all")
    parser.add_argument("--base", required=True, type=Path, help="folder of the base model")
    parser.add_argument(
        "--target", help="domain that it adapts to; without, the result is a base itself"
    )


def run(args: argparse.Namespace) -> None:
    """Import the adapter."""
    from speechllm.convert.peft.import_adapter import import_adapter

    import_adapter(args.adapter, args.out, args.base, args.target)
