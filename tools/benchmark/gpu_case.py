"""One case of gpu.py in a process of its own, so that it can be killed and leaves no memory behind.

    gpu_case.py <case> <settings as JSON>

prints lines of JSON (`gpu_common.figure`, `gpu_common.fact`), and of progress.
"""

import importlib
import json
import sys
from pathlib import Path

from gpu_common import Settings

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    values = json.loads(sys.argv[2])
    importlib.import_module(f"gpu_{sys.argv[1]}").measure(
        Settings(**values | {"work": Path(values["work"])})
    )
