"""`speechllm pack`, from its words to the folder and the hub."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from speechllm.cli import main
from speechllm.pack.manifest import read_manifest
from tests.helpers.fake_hub import FakeHub
from tests.helpers.packed import make_exp


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_exp(tmp_path_factory.mktemp("work"))


def test_options_reach_the_folder(
    base: Path, tmp_path: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b9.yaml").write_text("beam: 9")
    out = tmp_path / "packed"
    options = ["--base", str(base), "--out", str(out), "--decode", f"{tmp_path}/b9.yaml"]
    options += ["--models", "audio_*", "--push", "me/farm", "--public", "--license", "mit"]
    main(["pack", *options, "--language", "en", "--base_model", "a/encoder", "b/llm"])
    manifest = read_manifest(out)
    assert manifest.decode.beam == 9
    assert {d: t.run for d, t in manifest.domains.items()} == {
        "base": "base",
        "farm": "base/audio_farm",
    }
    repository = hub.repositories["me/farm"]
    commit = repository.branches["main"]
    assert capsys.readouterr().out == f"{hub.url}/me/farm/commit/{commit}\n"
    assert not repository.private
    files = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    assert hub.files("me/farm") == {name: path.read_bytes() for name, path in files.items()}
    card = (out / "README.md").read_text()
    assert "decoding `b9`" in card and 'from_pretrained("me/farm")' in card
    data = ModelCard(card).data
    assert (data.license, data.language) == ("mit", ["en"])
    assert data.base_model == ["a/encoder", "b/llm"]


def test_nothing_is_carried_if_it_is_told_so(base: Path, tmp_path: Path) -> None:
    main(["pack", "--base", str(base), "--out", f"{tmp_path}/packed", "--carry", "none"])
    manifest = read_manifest(tmp_path / "packed")
    assert {model.place for model in manifest.pretrained.values()} == {"folder"}
    assert not (tmp_path / "packed/pretrained").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--push", "farm"], "give it as owner/name"),
        (["--push", "me/farm@"], "is no revision"),
        (["--public"], "--public is for a repository that --push makes"),
        (["--language", "English"], "no code of a language: English"),
        (["--base_model", "whisper"], "no hub id, owner/name: whisper"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_work(
    base: Path, tmp_path: Path, hub: FakeHub, capsys, options: list[str], why: str
) -> None:
    with pytest.raises(SystemExit):
        main(["pack", "--base", str(base), "--out", f"{tmp_path}/packed", *options])
    assert why in capsys.readouterr().err
    assert not (tmp_path / "packed").exists() and hub.calls == []


def test_a_push_without_a_token(
    base: Path, tmp_path: Path, hub: FakeHub, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SystemExit):
        main(["pack", "--base", str(base), "--out", f"{tmp_path}/packed", "--push", "me/farm"])
    assert "hf auth login" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists() and hub.calls == []
