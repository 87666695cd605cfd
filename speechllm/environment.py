"""Record of the software and hardware that a result was made with."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from speechllm.errors import ConfigError
from speechllm.version import __version__

PACKAGES = ("torch", "transformers", "peft", "numpy", "kaldiio", "jiwer")


def environment() -> dict[str, str]:
    """Versions, git state, processor, threads and command; nothing that names the machine."""
    block = {
        "speechllm": __version__,
        "git": git_state(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())),
        "command": " ".join(["speechllm", *sys.argv[1:]]),
    }
    return block


def git_state() -> str:
    """Commit of the checkout that the code runs from, and whether it was changed since."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        dirty = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit + (" (changed)" if dirty else "")


def _git(folder: Path, *words: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.processor() or "unknown"


def environment_number(name: str, default: int) -> int:
    """Read a whole number >= 0 from an environment variable; `default` if it is not set.

    Raises:
        ConfigError: it holds something else.
    """
    word = os.environ.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", word):
        raise ConfigError(f"the variable {name} holds no number: {word}", f"unset {name}")
    return int(word)
