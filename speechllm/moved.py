"""Names of modules before they moved, understood for one release.

A user's `local/*.py`, made of an older template, imports them. Each gets a line that says where the
module is now.
"""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

_CORPORA = "barista definedai librispeech librispeech_biasing massive mts_dialog pairs primock57"
_READING = "annotated download lines rhino spoken textgrid utterances"
MOVED = {
    "data.corpora": "corpora",
    **{
        f"data.corpora.{name}": f"corpora.{name}"
        for name in f"{_CORPORA} slidespeech slurp".split()
    },
    **{f"data.corpora.{name}": f"corpora.reading.{name}" for name in _READING.split()},
    "data.audio": "data.speech.audio",
    "data.bias_lists": "data.dirs.bias_lists",
    "data.kaldi": "data.dirs.kaldi",
    "data.tables": "data.dirs.tables",
    "data.mixture": "slot.mixture",
    "data.corpus": "slot.corpus",
    "data.pauses": "data.speech.segmentation",
    "data.room": "data.speech.synthesis.reverb",
    "data.tts": "data.speech.synthesis.tts",
    "progress": "files.progress",
    "utf8": "files.utf8",
    "own_files": "files.own",
    "made_from": "files.made_from",
    "score.wer": "score.count.wer",
    "score.counted": "score.counts",
    "tasks.task": "task",
}


class MovedFinder(MetaPathFinder, Loader):
    """Finds a module under its old name."""

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.removeprefix("speechllm.") not in MOVED:
            return None
        return spec_from_loader(fullname, self, is_package=fullname == "speechllm.data.corpora")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = f"speechllm.{MOVED[spec.name.removeprefix('speechllm.')]}"
        print(f"speechllm: {spec.name} is {new} now", file=sys.stderr)
        module = importlib.import_module(new)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # which the import has replaced by that of the old name


def understand_old_names() -> None:
    """Let old names be imported."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        # First: a moved package would find its modules under the old name a second time.
        sys.meta_path.insert(0, MovedFinder())
