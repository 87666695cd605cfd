"""`speechllm pack`, from its words to the folder and the hub."""

from pathlib import Path

import pytest

from speechllm.cli import main
from speechllm.pack.manifest import read_manifest
from tests.helpers.packed import make_exp


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_exp(tmp_path_factory.mktemp("work"))


def test_options_reach_the_folder(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = []
    monkeypatch.setattr("speechllm.pack.push.push", lambda *args: pushed.append(args))
    (tmp_path / "b9.yaml").write_text("beam: 9")
    out = tmp_path / "packed"
    options = ["--base", str(base), "--out", str(out), "--decode", f"{tmp_path}/b9.yaml"]
    options += ["--models", "audio_*", "--carry", "none", "--push", "me/farm", "--public"]
    main(["pack", *options])
    manifest = read_manifest(out)
    assert manifest.decode.beam == 9 and not (out / "pretrained").exists()
    assert {d: t.run for d, t in manifest.domains.items()} == {
        "base": "base",
        "farm": "base/audio_farm",
    }
    assert {model.place for model in manifest.pretrained.values()} == {"folder"}
    assert pushed == [(out, "me/farm", True)]
    assert "decoding `b9`" in (out / "README.md").read_text()


def test_a_wrong_hub_id_is_refused_before_the_work(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["pack", "--base", str(base), "--out", f"{tmp_path}/packed", "--push", "farm"])
    assert exit_.value.code == 1 and "give it as owner/name" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()
