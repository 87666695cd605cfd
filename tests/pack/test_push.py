"""Pushing, with a hub that only notes what it is told."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.push import push
from tests.helpers.packed import GOOD


class FakeHub:
    """Stands for huggingface_hub.HfApi."""

    calls: list[tuple]
    error: Exception | None = None

    def create_repo(self, repo_id: str, private: bool, exist_ok: bool) -> None:
        self.calls.append(("create", repo_id, private, exist_ok))

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str):
        if self.error:
            raise self.error
        names = sorted(path.name for path in Path(folder_path).iterdir())
        self.calls.append(("upload", repo_id, names))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    monkeypatch.setattr(FakeHub, "calls", [], raising=False)
    monkeypatch.setattr("huggingface_hub.HfApi", FakeHub)
    return FakeHub


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    (tmp_path / "pack.json").write_text(json.dumps(GOOD))
    (tmp_path / "README.md").write_text("card")
    return tmp_path


def test_the_folder_goes_to_a_private_repository(packed: Path, hub: type[FakeHub]) -> None:
    assert push(packed, "me/farm") == "https://hub/me/farm/commit/1"
    assert hub.calls == [
        ("create", "me/farm", True, True),
        ("upload", "me/farm", ["README.md", "pack.json"]),
    ]
    push(packed, "me/farm", public=True)
    assert hub.calls[2] == ("create", "me/farm", False, True)


@pytest.mark.parametrize("name", ["farm", "a/b/c", "../x", "me/..", "me/fa rm", "https://x/y"])
def test_a_wrong_id_is_refused(packed: Path, hub: type[FakeHub], name: str) -> None:
    with pytest.raises(ConfigError, match="owner/name"):
        push(packed, name)
    assert hub.calls == []


def test_a_reference_to_a_folder_of_this_machine_is_not_pushed(
    packed: Path, hub: type[FakeHub]
) -> None:
    llm = {"name": "llm", "place": "folder", "path": "../llm", "sha256": "x"}
    values = {**GOOD, "pretrained": {**GOOD["pretrained"], "llm": llm}}
    (packed / "pack.json").write_text(json.dumps(values))
    with pytest.raises(SpeechLLMError, match=r"refers to the llm \.\./llm.*\n  -> .*--carry local"):
        push(packed, "me/farm")
    assert hub.calls == []


def test_a_hub_that_refuses_is_an_error_with_a_remedy(
    packed: Path, hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import HTTPError

    for error in (OSError("401 Unauthorized"), HTTPError("no route")):
        monkeypatch.setattr(hub, "error", error)
        with pytest.raises(SpeechLLMError, match=r"pushed to me/farm: .*\n  -> .*hf auth login"):
            push(packed, "me/farm")
