"""Import of a Piper voice: an ONNX network and its settings, copied as they are."""

import shutil
from pathlib import Path
from typing import Any

from speechllm.convert.onnx import check_onnx
from speechllm.convert.parts import Found
from speechllm.convert.remedies import very_own
from speechllm.convert.source import Taken
from speechllm.errors import DataError


def piper_folder(found: Found, out: Path, taken: Taken) -> dict[str, Any]:
    """Copy a voice into a folder.

    Args:
        found: the voice's files.
        out: the folder to write into.
        taken: takes the hashes of the files that are read here.

    Returns:
        Contents of the folder's record.

    Raises:
        DataError: the settings are missing or are not those of a voice, or the network is not
            whole.
    """
    name = f"{found.name}.json"
    member = found.beside.get(name)
    if member is None:
        message = f"there is no {name} beside it, a voice's settings"
        raise DataError(message, found.place, remedy="put it into the same folder")
    settings = taken.small(member).json(dict)
    audio = settings.get("audio")
    rate = audio.get("sample_rate") if isinstance(audio, dict) else None
    if type(rate) is not int or not isinstance(settings.get("phoneme_id_map"), dict):
        message = "names no audio.sample_rate and phoneme_id_map, as a voice's do"
        raise DataError(message, member.place, remedy=very_own(name))
    path = taken.join(found.parts, out)
    check_onnx(path, found.place)
    if path.parent == out:
        path.rename(out / found.name)
    else:
        shutil.copyfile(path, out / found.name)
    (out / name).write_bytes(member.read())
    return {"format": "Piper voice", "sample_rate": rate, "voice": found.name}
