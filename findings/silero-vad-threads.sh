#!/usr/bin/env bash
# silero-vad 6.2.3 with torch 2.13.0.
#
# One would expect the import of a detector of speech to leave a program's settings alone. But
# `import silero_vad` sets the number of threads of all of torch to 1, also where the detector is
# never loaded, or runs by onnxruntime. A recogniser or a training in the same process is slower
# from then on.
#
# Seen: torch.get_num_threads() is 3 before the import and 1 after it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 silero-vad==6.2.3 >&2
cd "$work"
"$work/venv/bin/python" -W ignore - <<'END'
import sys
from importlib.metadata import version

import torch

torch.set_num_threads(3)
before = torch.get_num_threads()
import silero_vad  # noqa: E402, F401

after = torch.get_num_threads()
print(f"silero-vad {version('silero-vad')}, torch {torch.__version__}:")
print(f"threads before the import: {before}, after it: {after}")
if (before, after) != (3, 1):
    sys.exit("changed: the number of threads is no longer set to 1")
END
