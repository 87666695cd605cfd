"""Register of the commands: names, modules, help. A module is imported when it is called."""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

# In the order of a recipe's stages: (place below speechllm/commands/, what it does).
_PLACES = {
    "import_model": (
        "model.import_model",
        "transformers folder of a CTranslate2 Whisper or GGUF LLM (stage 1)",
    ),
    "standin encoder": (
        "standin.standin_encoder",
        "train a small CTC encoder as a stand-in (stage 1)",
    ),
    "standin llm": (
        "standin.standin_llm",
        "train a tiny LLM as a stand-in (stage 1)",
    ),
    "data check": ("data.check", "validate data dirs and models (stage 2)"),
    "data fix": ("data.fix", "fix a data dir, saying what was dropped"),
    "data subset": ("data.subset", "part of a data dir: utterances, hours or speakers"),
    "data split": ("data.split", "data dir in parts: for jobs, or for training and testing"),
    "data combine": ("data.combine", "several data dirs as one"),
    "data perturb": ("data.perturb", "data dir at another speed"),
    "data import": ("data.import", "data dir of a manifest, a table or a dataset"),
    "data export": ("data.export", "data dir as a manifest, a table or a dataset"),
    "info": ("model.info", "what a config loads and trains, and the memory and disk that it takes"),
    "features": ("features", "cache the frozen encoder's output (stage 3)"),
    "base": ("base", "train the base model on source pairs (stage 4)"),
    "adapt": ("adapt", "adapt a base model to a target domain (stage 5)"),
    "lm": ("lm", "train a language model of domain text, for fusion and rescoring (stage lm)"),
    "decode": ("decode", "batched beam search of a model on test sets (stage 6)"),
    "whisper": ("whisper", "test sets by a Whisper alone, to stand beside the models (stage 6)"),
    "perplexity": (
        "perplexity",
        "of texts, under a recogniser's own LLM or a language model (stage 6)",
    ),
    "score": ("score", "WER, CER and SER of every decoded set (stage 7)"),
    "ctm": ("ctm", "words of a decoded set with their times, as NIST's ctm"),
    "report": ("report", "write RESULTS.md (stage 8)"),
    "import_adapter": ("model.import_adapter", "domain or base of a PEFT adapter (LoRA)"),
    "pack": ("model.pack", "write one folder that transcribes by itself (stage 9)"),
    "transcribe": ("transcribe", "transcribe recordings with a packed model or a run's"),
    "serve": ("serve", "serve a packed model by OpenAI's audio API, with a page to try it"),
    "compare": ("compare", "plan a grid of adaptations, and report on it (stages 5 to 8)"),
    "compare hyps": (
        "compare_hyps",
        "two systems on the same utterances: tests, fixed and broken",
    ),
    "cp": ("shell.cp", "copy a recipe, to begin one of your own"),
    "run": ("shell.run", "run an array of jobs, each with its own log"),
    "launch": ("shell.launch", "train by several processes, on one machine or many"),
    "sbatch": ("shell.sbatch", "print a Slurm job that trains on many machines"),
    "completion": ("shell.completion", "print what bash or zsh needs to complete commands"),
    "plan": ("shell.plan", "the commands of a recipe's stages, for its run.sh"),
}
COMMANDS = {name: text for name, (_, text) in _PLACES.items()}
OLD = {
    **{name.removeprefix("data "): name for name in COMMANDS if name.startswith("data ")},
    **{name.replace(" ", "_"): name for name in COMMANDS if name.startswith("standin ")},
    "compare_hyps": "compare hyps",
}
"""Names of commands before they were grouped, understood for one release."""


def place_of(command: str) -> str:
    """Module of a command, below speechllm.commands."""
    return _PLACES[command][0] if command in _PLACES else command


def load_command(command: str) -> ModuleType:
    """Import the module of a command."""
    return importlib.import_module(f"speechllm.commands.{place_of(command)}")


def find_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command that a command line begins with, and what follows it.

    Its name has one word or two; dashes and underscores are alike. An old name is taken, and
    the new one logged.
    """
    names = [word if word.startswith("-") else word.replace("-", "_") for word in words[:2]]
    pair = " ".join(names)
    if pair in COMMANDS and len(names) == 2:
        return pair, list(words[2:])
    if names[0] in OLD:
        print(f"speechllm {words[0]}: its name is now `speechllm {OLD[names[0]]}`", file=sys.stderr)
        return OLD[names[0]], list(words[1:])
    return names[0], list(words[1:])
