"""Comparison of two trees, byte by byte; what is not compared is named here.

The commands run with a clock that stands still (see process.py), so that no file tells how long
anything took. What is left are the times of files, in records of what a thing was made from, and
the date of a report.
"""

import re
from pathlib import Path

NOT_COMPARED = {"tensorboard", "log"}
"""Folders of logs: TensorBoard's are named by time and process, those of jobs hold times. Locks and
temporary files in them count."""
FILE_TIME = re.compile(rb'(\[\s*\d+,\s*)(?:\d+|null)(,\s*"[0-9a-f]{64}")')
DATE = re.compile(rb"\b20\d\d-\d\d-\d\d\b")


def differences(reference: Path, found: Path) -> list[str]:
    """Lines that say how a tree differs from the reference; none if they are the same."""
    before, now = _files(reference), _files(found)
    lines = [f"left over: {name}" for name in sorted(now - before)]
    lines += [f"missing: {name}" for name in sorted(before - now)]
    for name in sorted(before & now):
        if _content(reference / name) != _content(found / name):
            lines.append(f"differs: {name}")
    return lines


def _files(folder: Path) -> set[str]:
    """Files and empty folders below a folder, locks and temporary files too."""
    names = set()
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        is_left = path.name.startswith(".") or path.suffix == ".running"
        if NOT_COMPARED & {*relative.parts} and not is_left:
            continue
        if not path.is_dir() or not any(path.iterdir()):
            names.add(str(relative))
    return names


def _content(path: Path) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    if path.suffix == ".json":
        content = FILE_TIME.sub(rb"\1\2", content)
    return DATE.sub(b"", content)
