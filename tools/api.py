#!/usr/bin/env python3
"""Write docs/api.md: what users of the library call, by the docstrings of the code.

tools/api.py            # writes docs/api.md
"""

import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs/api.md"
CALLED = {
    "Transcribe": {
        "transcribe.recogniser": ["Recogniser.from_pretrained", "Recogniser.transcribe"],
        "transcribe.transcript": ["Transcript", "Piece"],
    },
    "Serve": {
        "serve.engine": ["Engine"],
        "serve.limits": ["ServeLimits"],
        "serve.run": ["serve"],
    },
    "Data": {
        "data.dirs.kaldi": ["DataDir", "read_table", "write_table", "write_data_dir"],
        "data.check.validate": ["check_data_dir"],
        "data.speech.audio": ["load_audio"],
        "data.speech.segmentation": ["cut_at_pauses"],
        "slot.corpus": ["Corpus"],
    },
    "The slot": {
        "slot.views": ["View", "Views"],
        "slot.mixture": ["Component", "plan_epoch", "subset"],
        "slot.mixing": ["Mixture"],
        "slot.collate": ["Example", "collate"],
    },
    "Models": {
        "model.speech_llm": ["SpeechLLM"],
        "model.bundle": ["load_bundle", "save_bundle"],
        "model.encoder.encoder": ["Encoder"],
    },
    "PEFT": {
        "convert.peft.export": ["write_adapters"],
        "convert.peft.merge": ["write_merged"],
        "convert.peft.import_adapter": ["import_adapter"],
    },
    "Adapt": {
        "adapt.method": ["Method", "Phase", "load_method"],
        "adapt.base": ["train_base"],
        "adapt.run": ["adapt"],
    },
    "Decode": {
        "decode.config": ["DecodeConfig"],
        "decode.decoder": ["Decoder"],
        "decode.decode_sets": ["decode_corpus"],
        "decode.record": ["HypothesisRecord", "read_records"],
        "decode.scorers.scorer": ["Scorer"],
    },
    "Score": {
        "score.count.wer": ["score_texts"],
        "score.write": ["score_set"],
        "score.chance.bootstrap": ["bootstrap_interval"],
        "score.chance.significance": ["matched_pairs", "paired_bootstrap", "holm"],
        "score.normalize.normalize": ["normalizer"],
    },
    "Tasks": {"task": ["Task", "Metric", "load_task"]},
}


def page() -> str:
    """The text of docs/api.md."""
    parts = [
        "# What the library offers",
        "Made of the docstrings by `tools/api.py`; a test says where it is out of date. Import "
        "from `speechllm.<module>`.",
    ]
    for title, modules in CALLED.items():
        parts.append(f"## {title}")
        for module, names in modules.items():
            parts += [entry(module, name) for name in names]
    return "\n\n".join(parts) + "\n"


def entry(module: str, name: str) -> str:
    """Heading, signature and docstring of a class or a function."""
    found: Any = importlib.import_module(f"speechllm.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    doc = inspect.getdoc(found) or ""
    shown = f"{name}{signature(found)}"
    block = textwrap.indent(f"{shown}\n\n{doc}", "    ")
    return f"### {module}: {name}\n\n{block.rstrip()}"


def signature(found: Any) -> str:
    """Parameters of a function, or of a class that documents them; without annotations."""
    if inspect.isclass(found) and "Args:" not in (found.__doc__ or ""):
        return ""
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:
        return ""
    kept = [p.replace(annotation=inspect.Parameter.empty) for p in parameters if p.name != "self"]
    text = str(inspect.Signature(kept))
    text = re.sub(r"<[^<>]+>", "...", text)  # a default without a short form
    return text if len(text) < 90 else "(" + ", ".join(p.name for p in kept) + ")"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
