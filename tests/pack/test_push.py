"""Pushing to a hub: one commit of the packed files and no others, or a reason before the work."""

import json
from pathlib import Path

import pytest

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.push import check_push, push_packed
from tests.helpers.fake_hub import FakeHub
from tests.helpers.packed import GOOD

CARD = "---\nlicense: mit\n---\ncard"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """What a push looks at of a packed folder."""
    packed = tmp_path / "packed"
    (packed / "base").mkdir(parents=True)
    (packed / "pack.json").write_text(json.dumps(GOOD))
    (packed / "README.md").write_text(CARD)
    (packed / "base/model.json").write_text("{}")
    return packed


def test_the_folder_goes_to_a_private_repository(hub: FakeHub, packed: Path) -> None:
    url = push_packed(packed, "me/farm")
    repository = hub.repositories["me/farm"]
    assert url == f"{hub.url}/me/farm/commit/{repository.branches['main']}"
    assert sorted(hub.files("me/farm")) == ["README.md", "base/model.json", "pack.json"]
    assert repository.private and len(repository.commits) == 2  # the first is the hub's own
    push_packed(packed, "me/open", public=True)
    assert not hub.repositories["me/open"].private


def test_nothing_but_packed_files_is_pushed(
    hub: FakeHub, packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (packed / "pretrained/llm").mkdir(parents=True)
    for name in ("notes.txt", ".env", "base/x.bin", "pretrained/llm/a.py", "pretrained/LICENSE"):
        (packed / name).write_text("mine")
    (packed / "pretrained/llm/Licence.md").write_text("theirs")
    push_packed(packed, "me/farm")
    assert "pretrained/llm/Licence.md" in hub.files("me/farm") and len(hub.files("me/farm")) == 4
    left = ".env, base/x.bin, notes.txt, pretrained/LICENSE, pretrained/llm/a.py"
    assert f"not pushed, as no packing wrote it: {left}" in caplog.text


def test_a_new_pack_replaces_the_older_one_and_nothing_else(hub: FakeHub, packed: Path) -> None:
    old = packed / "domains/old/model.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    push_packed(packed, "me/farm")
    repository = hub.repositories["me/farm"]
    repository.commits[repository.branches["main"]]["plot.png"] = b"the author's"
    old.unlink()
    push_packed(packed, "me/farm")
    names = sorted(hub.files("me/farm"))
    assert names == ["README.md", "base/model.json", "pack.json", "plot.png"]
    assert len(repository.commits) == 3


def test_a_branch(hub: FakeHub, packed: Path) -> None:
    push_packed(packed, "me/farm@v2")
    push_packed(packed, "me/farm@v2")  # a second time: nothing has changed
    assert hub.files("me/farm") == {} and "pack.json" in hub.files("me/farm", "v2")


@pytest.mark.parametrize(
    "name", ["farm", "a/b/c", "../x", "me/..", "me/fa rm", "https://x/y", "me/x@", "me/x@../y"]
)
def test_a_wrong_id_is_refused(hub: FakeHub, packed: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"owner/name|name a commit"):
        push_packed(packed, name)
    with pytest.raises(ConfigError, match=r"^--push: (?s:.*)(owner/name|name a commit)"):
        check_push(name)
    assert hub.calls == []


def test_without_a_token_or_a_hub_it_is_said_before_the_work(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_push("me/farm")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SpeechLLMError, match=r"no token of the hub\n  -> .*`hf auth login`"):
        check_push("me/farm")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SpeechLLMError, match="HF_HUB_OFFLINE is set"):
        check_push("me/farm")
    assert hub.calls == []


def test_a_reference_to_a_folder_of_this_machine_is_not_pushed(hub: FakeHub, packed: Path) -> None:
    llm = {"name": "llm", "place": "folder", "path": "../llm", "sha256": "x"}
    values = {**GOOD, "pretrained": {**GOOD["pretrained"], "llm": llm}}
    (packed / "pack.json").write_text(json.dumps(values))
    with pytest.raises(SpeechLLMError, match=r"refers to the llm \.\./llm.*\n  -> .*--carry local"):
        push_packed(packed, "me/farm")
    assert hub.calls == []


def test_a_hub_that_refuses_is_an_error_with_a_remedy(
    hub: FakeHub, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"pushed to me/farm: (?s:.*)\n  -> .*hf auth login"
    with hub.out_of_reach(), pytest.raises(SpeechLLMError, match=remedy):
        push_packed(packed, "me/farm")
    (packed / "README.md").write_text(CARD.replace("mit", "nonsense"))
    with pytest.raises(SpeechLLMError, match=r'me/farm: (?s:.*)"license" must be one of'):
        push_packed(packed, "me/farm")
    assert hub.files("me/farm") == {}
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(SpeechLLMError, match=remedy):
        push_packed(packed, "me/farm")
