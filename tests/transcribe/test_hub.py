"""A packed model of the hub: the same text as from its folder, pinned, cached and offline."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import speechllm
from speechllm import SpeechLLM
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.hub import find_model
from speechllm.pack.push import push_packed
from tests.helpers.fake_hub import FakeHub
from tests.helpers.paths import ROOT


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("lfs", [(), (".safetensors",)], ids=["regular", "lfs"])
def test_what_was_pushed_gives_the_same_text(
    hub: FakeHub, packed: Path, data: Path, lfs: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    hub.lfs = lfs
    address = push_packed(packed, "me/farm")
    commit = hub.repositories["me/farm"].branches["main"]
    assert address == f"{hub.url}/me/farm/commit/{commit}"
    assert any("/storage/" in call for call in hub.calls) == bool(lfs)
    caplog.set_level(logging.INFO)
    there, here = SpeechLLM.from_pretrained("me/farm"), SpeechLLM.from_pretrained(packed)
    assert f"me/farm: commit {commit} of the hub" in caplog.text
    for domain in ("base", "farm", "music"):
        texts = [t.text for t in there.transcribe(data, domain)]
        assert texts == [t.text for t in here.transcribe(data, domain)] and any(texts)


def test_the_second_time_needs_no_hub(
    hub: FakeHub, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_packed(packed, "me/farm")
    folder = find_model("me/farm")
    with hub.out_of_reach():
        assert find_model("me/farm") == folder
    offline(monkeypatch)
    hub.calls.clear()
    assert find_model("me/farm@main") == folder == find_model(f"me/farm@{folder.name}")
    assert speechllm.load("me/farm", "music").domain == "music"
    assert hub.calls == []


def test_a_pinned_revision_stays_when_main_moves(hub: FakeHub, packed: Path, tmp_path: Path):
    push_packed(packed, "me/farm@v1")
    first = find_model("me/farm", "v1")
    copy = Path(shutil.copytree(packed, tmp_path / "copy"))
    (copy / "README.md").write_text("---\nlicense: mit\n---\nnewer")
    push_packed(copy, "me/farm")
    assert find_model("me/farm").joinpath("README.md").read_text().endswith("newer")
    assert find_model("me/farm@v1") == first != find_model("me/farm")
    assert find_model("me/farm", first.name) == first
    assert (first / "README.md").read_text() == (packed / "README.md").read_text()


def test_nothing_but_files_of_a_packed_model_is_fetched(hub: FakeHub, packed: Path) -> None:
    push_packed(packed, "me/farm")
    main = hub.repositories["me/farm"].branches["main"]
    foreign = ("evil.py", "pretrained/llm/evil.py", "pretrained/llm/pytorch_model.bin", "x/y.json")
    hub.repositories["me/farm"].commits[main] |= dict.fromkeys(foreign, b"import os")
    folder = find_model("me/farm")
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {p.relative_to(packed).as_posix() for p in packed.rglob("*") if p.is_file()}
    speechllm.load("me/farm")


@pytest.mark.parametrize(
    ("model", "revision", "why"),
    [
        ("me/none", None, r"no folder 'me/none', and the hub has no such model.*\n  -> .*hf auth"),
        ("me/farm@v9", None, r"'me/farm' of the hub has no revision 'v9'"),
        ("me/farm", "../../x", r"'\.\./\.\./x' is no revision of me/farm\n  -> .*me/farm@main"),
        ("me/farm@", None, "'' is no revision of me/farm"),
        ("me/farm@v1", "v2", "'v1@v2' is no revision of me/farm"),
        ("farm", None, "there is no folder 'farm'"),
        ("me/a--b", None, "there is no folder 'me/a--b', and a hub id looks like owner/name"),
        ("/no/such/place", "v1", "there is no folder '/no/such/place'"),
        ("me/other", None, r"me/other of the hub is no packed model: it holds no pack\.json"),
    ],
)
def test_what_is_not_there_is_said(
    hub: FakeHub, tmp_path: Path, model: str, revision: str | None, why: str
) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    from speechllm.pack.push import push

    for hub_id in ("me/farm", "me/other"):
        push(tmp_path, hub_id, ["README.md"])
    with pytest.raises(SpeechLLMError, match=rf"(?s){why}"):
        speechllm.load(model, revision=revision)


def test_a_path_is_not_looked_up_on_the_hub(
    hub: FakeHub, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("exp").mkdir()
    with pytest.raises(SpeechLLMError, match=r"no folder 'exp/packed'\n  -> .*exp/packed@main"):
        find_model("exp/packed")
    assert hub.calls == []
    with pytest.raises(SpeechLLMError, match="no folder 'exp/packed', and the hub has no such"):
        find_model("exp/packed@main")
    shutil.copytree(packed, "exp/packed")
    assert find_model("exp/packed") == Path("exp/packed")
    with pytest.raises(ConfigError, match=r"is a folder, which has no revision\n  -> .*@v1"):
        find_model("exp/packed", "v1")


def test_offline_and_not_in_the_cache(
    hub: FakeHub, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_packed(packed, "me/farm")
    why = r"no folder 'me/farm'; the hub cannot be reached.*`hf download me/farm"
    with hub.out_of_reach(), pytest.raises(SpeechLLMError, match=rf"(?s){why}`"):
        find_model("me/farm")
    folder = find_model("me/farm")
    offline(monkeypatch)
    with pytest.raises(SpeechLLMError, match=rf"(?s){why} --revision v2`"):
        find_model("me/farm@v2")
    (folder / "domains/farm/trained.safetensors").unlink()
    with pytest.raises(SpeechLLMError, match=rf"(?s){why}`"):
        find_model("me/farm")


def test_another_process_offline(hub: FakeHub, packed: Path, data: Path, tmp_path: Path) -> None:
    push_packed(packed, "me/farm")
    commit, wave = find_model("me/farm").name, f"{data}/wav/u-0.wav"
    words = ["transcribe", "--model", f"me/farm@{commit}", "--domain", "farm", wave]
    offline = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "speechllm", *words],
        env={**os.environ, **hub.environment(tmp_path / "hf", **offline)},
        capture_output=True,
        text=True,
        check=True,
    )
    (here,) = speechllm.load(packed, "farm").transcribe(wave)
    assert done.stdout == f"u-0 {here.text}\n"
    assert f"commit {commit} of the hub" in done.stderr
