"""A damaged file of ours is named, with what makes it again; nothing else is ever raised."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from speechllm.adapt.folder import RunInputs, is_finished
from speechllm.config import BaseConfig
from speechllm.decode.config import DecodeConfig
from speechllm.decode.record import read_records
from speechllm.decode.results import check_settings
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.own import (
    made_again,
    read_by_id,
    read_json_rows,
    read_mapping,
    read_tensors,
)
from speechllm.jobs.runner import Job
from speechllm.model.bundle import read_bundle
from speechllm.report.tree import read_model

READERS = {
    "a.json": read_mapping,
    "a.yaml": read_mapping,
    "a.jsonl": read_by_id,
    "a.safetensors": read_tensors,
}
WHOLE = {
    "a.json": b'{"format": 1, "model": {"name": [1, {"x": "\xc3\xa9"}]}}\n',
    "a.yaml": b"config: {steps: 3}\ninputs:\n  train: [a, b]\n",
    "a.jsonl": b'{"id": "u1", "text": "a"}\n{"id": "u2", "text": "\xc3\xa9"}\n',
}


@pytest.fixture(params=list(READERS))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.suffix == ".safetensors":
        save_file({"x": torch.ones(3), "y": torch.zeros(2, 2)}, path)
    else:
        path.write_bytes(WHOLE[request.param])
    return path


def test_a_whole_file_is_read(file: Path) -> None:
    assert READERS[file.name](file)


@pytest.mark.parametrize(
    "odd", [b"", b"\0" * 99, b"[1]", b"3", b'"x"', b"[" * 99_999, b"{" * 99_999, b"\xff\xfe\xff"]
)
def test_other_content_is_named(file: Path, odd: bytes) -> None:
    if file.suffix == ".jsonl":
        file.write_bytes(odd)  # without a line's end, it is half a line of a killed run
        assert READERS[file.name](file) == {}
        odd += b"\n"
    file.write_bytes(odd)
    with pytest.raises(DataError, match=rf"{file.name}.*is damaged(?s:.*)\n  -> rm /.*again$"):
        READERS[file.name](file)


def test_a_missing_file_is_named_with_what_makes_it(file: Path) -> None:
    file.unlink()
    with pytest.raises(DataError, match=rf"{file.name}: no such file\n  -> run the stage"):
        READERS[file.name](file)
    with pytest.raises(DataError, match=rf"no such file\n  -> rm -r {file.parent}, then run"):
        READERS[file.name](file, made_again(file.parent))


def test_no_damage_raises_anything_else(file: Path) -> None:
    whole, seen = file.read_bytes(), 0
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + b"\x9d" + whole[place + 1 :]):
            file.write_bytes(damaged)
            try:
                READERS[file.name](file)
            except DataError as error:
                seen += 1
                assert file.name in str(error) and len(str(error)) < 600
    assert seen > len(whole) / 2


def test_a_key_that_is_asked_for_and_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"config": {"train": {}}, "phases": [{}]}')
    found = read_mapping(path, "train again")
    assert found.get("seed") is None and "seed" not in found
    for ask in (lambda: found["seed"], lambda: found["config"]["train"]["seed"]):
        with pytest.raises(DataError, match=r"run\.json: is damaged: there is no 'seed'"):
            ask()
    with pytest.raises(DataError, match=r"'name'\n  -> train again"):
        found["phases"][0]["name"]


def test_a_line_that_is_damaged_has_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a"}\n{"id": \n{"id": "c"}\n')
    with pytest.raises(DataError, match=r"x\.jsonl:2: is damaged, no JSON"):
        read_json_rows(path)
    path.write_text('{"id": "a"}\n{"no": "id"}\n')
    with pytest.raises(DataError, match=r"x\.jsonl:2: .* with an id"):
        read_by_id(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"command": ["true"]}', '{"code": 0'])
def test_a_damaged_done_file_is_named_and_its_removal_runs_the_job(
    tmp_path: Path, content: str
) -> None:
    job = Job(1, ["true"], tmp_path / "x.log")
    job.done_file.write_text(content)
    with pytest.raises(DataError, match=r"x\.log\.done: is damaged(?s:.*)rm .*x\.log\.done,"):
        job.code()
    job.done_file.unlink()
    assert job.code() is None


@pytest.mark.parametrize(
    "content", ["", "[", "config: 3\ninputs: []", "config:\n  x: &a [*a]\n", "\0"]
)
def test_a_damaged_config_of_a_run_is_an_error(tmp_path: Path, content: str) -> None:
    config = BaseConfig(model={"encoder": "a", "llm": "b"}, train={"steps": 1})
    assert not is_finished(tmp_path, config, RunInputs({}))
    (tmp_path / "train.jsonl").touch()
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(SpeechLLMError, match=f"rm -r {tmp_path}"):
        is_finished(tmp_path, config, RunInputs({}))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"decode": 3}', '{"decode": {}}'])
def test_damaged_settings_of_a_decoding_are_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    wanted = {"language_models": {}, "decode": DecodeConfig(beam=7).model_dump(mode="json")}
    with pytest.raises(SpeechLLMError, match=f"rm -r {tmp_path}"):
        check_settings(tmp_path, wanted)


def test_hypotheses_without_their_settings_are_an_error(tmp_path: Path) -> None:
    check_settings(tmp_path, {})
    (tmp_path / "hyp.jsonl").touch()
    with pytest.raises(DataError, match=r"settings\.json: no such file\n  -> rm -r"):
        check_settings(tmp_path, {})


def test_a_finished_run_without_its_config_is_an_error(tmp_path: Path) -> None:
    config = BaseConfig(model={"encoder": "a", "llm": "b"}, train={"steps": 1})
    (tmp_path / "run.json").write_text('{"kind": "base"}')
    with pytest.raises(DataError, match=r"config\.yaml: no such file\n  -> rm .*run\.json, and"):
        is_finished(tmp_path, config, RunInputs({}))
    (tmp_path / "run.json").unlink()
    assert not is_finished(tmp_path, config, RunInputs({}))
    (tmp_path / "run.json").write_text('{"kind": "base"}')
    with pytest.raises(SpeechLLMError, match=r"made with other settings: inputs\.train"):
        is_finished(tmp_path, config, RunInputs({"train": ["x"]}))


def test_only_the_last_line_of_hypotheses_may_be_half(tmp_path: Path) -> None:
    path = tmp_path / "hyp.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b"')
    assert list(read_records(tmp_path)) == ["a"] and path.read_bytes().endswith(b'"b"')
    path.write_bytes(b'{"id": "a"\n{"id": "b"}\n')
    with pytest.raises(DataError, match=r"hyp\.jsonl:1: is damaged"):
        read_records(tmp_path)


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
def test_a_damaged_bundle_goes_with_its_run(tmp_path: Path, name: str) -> None:
    for place, remedy in (("exp/base/model", "rm -r {}/exp/base,"), ("packed/base", "copy the")):
        bundle = tmp_path / place
        bundle.mkdir(parents=True)
        save_file({"x": torch.ones(3)}, bundle / TENSORS)
        model = '{"format": 1, "model": {"encoder": "a", "llm": "b"}}'
        (bundle / DESCRIPTION).write_text(model)
        assert list(read_bundle(bundle)[1]) == ["x"]
        whole = (bundle / name).read_bytes()
        (bundle / name).write_bytes(whole[:-5])
        with pytest.raises(DataError) as error:
            read_bundle(bundle)
        assert name in str(error.value) and remedy.format(tmp_path) in str(error.value)
        shutil.rmtree(tmp_path / place)


def test_the_report_names_a_damaged_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json: is damaged"):
        read_model(tmp_path / "run.json")


def test_a_value_where_a_mapping_belongs_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"config": null, "steps": 3}')
    run = read_mapping(path)
    assert run.get("steps") == 3 and run.get("phases", {}) == {}
    with pytest.raises(DataError, match=r"run\.json: is damaged: 'config' is no mapping"):
        run.get("config", {})
