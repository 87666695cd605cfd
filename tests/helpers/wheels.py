"""Wheels with METADATA and RECORD."""

import base64
import hashlib
import zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{licence}\n\nA model.\n"


def record(files: dict[str, bytes]) -> str:
    """RECORD of a wheel."""
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join(lines) + "\n"


def wheel(
    path: Path, name: str, files: dict[str, bytes], licence: str = "License-Expression: MIT"
) -> Path:
    """A wheel of these files, and of a program that must never run."""
    files = {f"{name}/{file}": content for file, content in files.items()}
    files[f"{name}/__init__.py"] = b"raise SystemExit('it ran')\n"
    about = f"{name}-1.2.dist-info"
    files[f"{about}/METADATA"] = METADATA.format(name=name, licence=licence).encode()
    files[f"{about}/licenses/LICENSE"] = f"Licence of {name}\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file, content in files.items():
            target.writestr(file, content)
        target.writestr(f"{about}/RECORD", record(files))
    return path
