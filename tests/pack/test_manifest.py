"""A packed folder comes from anywhere: what it says is checked before it is used."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from speechllm.errors import SpeechLLMError
from speechllm.pack.manifest import read_manifest
from tests.helpers.packed import GOOD, TRAINED


def read(folder: Path, values: object):
    (folder / "pack.json").write_text(json.dumps(values))
    return read_manifest(folder)


def changed(*keys: str, value: object) -> dict[str, Any]:
    values = copy.deepcopy(GOOD)
    place = values
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return values


def test_a_good_one_is_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert manifest.decode.beam == 2 and list(manifest.domains) == ["base", "farm"]
    folder = changed("pretrained", "llm", value={**GOOD["pretrained"]["encoder"]})
    folder["pretrained"]["llm"] |= {"place": "folder", "path": "../models/llm"}
    assert read(tmp_path, folder).pretrained["llm"].path == "../models/llm"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (changed("format", value=2), "format 2; this speechllm reads up to 1\n  -> update"),
        (changed("domains", "../x", value=TRAINED), r"domain '\.\./x'"),
        (changed("domains", ".x", value=TRAINED), "starts with a dot"),
        (changed("domains", value={"farm": TRAINED}), "no domain 'base'"),
        (changed("pretrained", "encoder", "path", value="/etc"), r"pretrained\.encoder"),
        (changed("pretrained", "encoder", "path", value="a/../../b"), r"pretrained\.encoder"),
        (changed("pretrained", "encoder", "path", value=None), r"pretrained\.encoder"),
        (changed("pretrained", "llm", "name", value="../llm"), r"pretrained\.llm"),
        (changed("pretrained", "llm", "name", value="a/b/c"), r"pretrained\.llm"),
        (changed("pretrained", "llm", "path", value="x"), r"pretrained\.llm"),
        (changed("pretrained", "code", value=GOOD["pretrained"]["llm"]), r"pretrained\.code"),
        (changed("decode", "baem", value=3), "did you mean 'beam'"),
        ([1], "pack.json: is damaged: (no mapping|there is no)"),
        ({}, "pack.json: is damaged: (no mapping|there is no)"),
    ],
)
def test_what_must_not_be_is_refused(tmp_path: Path, values: object, message: str) -> None:
    with pytest.raises(SpeechLLMError, match=message):
        read(tmp_path, values)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pack.json").write_text('{"format": 1')
    with pytest.raises(SpeechLLMError, match=r"pack\.json: is damaged"):
        read_manifest(tmp_path)
