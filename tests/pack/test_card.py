"""The card of a packed model: what the hub reads of it, and no path of the machine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from speechllm.decode.config import DecodeConfig
from speechllm.pack.card import model_card
from speechllm.pack.card_header import CardFacts, licence_keys
from speechllm.pack.manifest import Manifest
from speechllm.pack.write import pack
from speechllm.report.tree import read_model
from tests.helpers.packed import GOOD, TRAINED, make_exp
from tests.helpers.tiny import make_set
from tests.report.test_results import make_decoding

SEARCH = DecodeConfig(beam=2, max_tokens_per_second=8)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = make_exp(tmp_path_factory.mktemp("work"))
    make_decoding(base / "decode_b4/farm_test", 70, 20, 10)  # WER 50
    make_decoding(base / "decode_b4/source_test", 6, 2, 2)  # 5
    make_decoding(base / "denoise_farm/decode_b4/farm_test", 40, 15, 5)  # 30
    make_decoding(base / "denoise_farm/decode_b4/farm_natural", 41, 15, 5)  # 30.5
    make_decoding(base / "denoise_farm/decode_b4/source_test", 8, 2, 2)  # 6
    make_decoding(base / "denoise_farm/decode_other/farm_test", 1, 1, 1)
    make_decoding(base / "denoise_music/decode_b4/music_test", 9, 9, 9)
    (base / "denoise_music/decode_b4/music_test/text").write_text("decoded again\n")
    return base


def card_of(packed: Path) -> ModelCard:
    return ModelCard.load(packed / "README.md")


def test_the_header_says_what_the_hub_asks_for(base: Path, tmp_path: Path) -> None:
    facts = CardFacts("me/farm@v2", "Apache-2.0", ["en", "de"], ["a/whisper", "b/llm"])
    pack(base, tmp_path / "packed", facts=facts)
    assert card_of(tmp_path / "packed").data.to_dict() == {
        "library_name": "speechllm",
        "pipeline_tag": "automatic-speech-recognition",
        "base_model": ["a/whisper", "b/llm"],
        "language": ["en", "de"],
        "license": "apache-2.0",
        "tags": ["speechllm", "speech-llm"],
    }


def test_the_model_index_holds_the_numbers_of_the_score_files(base: Path, tmp_path: Path) -> None:
    pack(base, tmp_path / "packed", ["denoise_*"], tag="b4", facts=CardFacts("me/farm@v2"))
    (entry,) = card_of(tmp_path / "packed").data.to_dict()["model-index"]
    assert entry["name"] == "farm"
    found = {
        (result.metric_args["domain"], result.dataset_name): result
        for result in card_of(tmp_path / "packed").data.eval_results or ()
    }
    runs = {"base": base, "farm": base / "denoise_farm"}
    sets = [("base", "farm_test"), ("base", "source_test")]
    sets += [("farm", f"{name}") for name in ("farm_natural", "farm_test", "source_test")]
    assert sorted(found) == sets  # the score of music is not that of its hypotheses
    for (domain, name), result in found.items():
        file = runs[domain] / f"decode_b4/{name}/score/wer.json"
        wer: dict[str, Any] = json.loads(file.read_text())["scores"]["plain"]["wer"]
        assert result.metric_value == round(wer["percent"], 2)
        assert result.metric_args["interval_95"] == [round(x, 2) for x in wer["interval"]]
        assert (result.metric_type, result.metric_name) == ("wer", f"WER, domain {domain}")
        assert result.task_type == "automatic-speech-recognition"
    card = (tmp_path / "packed/README.md").read_text()
    assert "| farm_natural | denoise | 30.50 [28.50, 32.50] |" in " ".join(card.split())
    assert "intervals: 95 %, bootstrap over each utterance, 1000 resamples, seed 0" in card


def test_no_path_of_this_machine_is_told(base: Path, tmp_path: Path) -> None:
    for number, carry in enumerate(("local", "none")):
        pack(base, tmp_path / f"packed{number}", carry=carry)
        card = (tmp_path / f"packed{number}/README.md").read_text()
        assert str(base.parents[1]) not in card and str(tmp_path) not in card
        assert "../" not in card and "base_model" not in card


def test_the_example_runs_as_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from speechllm import SpeechLLM
    from speechllm.cli import main

    pack(base, tmp_path / "exp/packed", decode=SEARCH)
    wave = sorted((make_set(tmp_path / "set", "u") / "wav").iterdir())[0]
    wave.rename(tmp_path / "exp/recording.wav")
    monkeypatch.chdir(tmp_path / "exp")
    card = Path("packed/README.md").read_text()
    python, shell = (
        card.split(f"```{language}\n")[1].split("```")[0] for language in ("python", "sh")
    )
    exec(python, {})
    text = SpeechLLM.from_pretrained("packed").transcribe("recording.wav", "music")[0].text
    assert capsys.readouterr().out == f"{text}\n" and text
    main(shell.split()[1:])
    assert capsys.readouterr().out == f"recording {text}\n"


def test_the_licence_is_that_of_the_parts_if_they_agree(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack(base, tmp_path / "none")
    assert card_of(tmp_path / "none").data.license is None
    assert "no licence (encoder: not stated, llm: not stated); choose one with --lic" in caplog.text
    work = base.parents[1]
    for part, licence in {"encoder": "mit", "llm": "mit"}.items():
        (work / part / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    pack(base, tmp_path / "mit")
    assert card_of(tmp_path / "mit").data.license == "mit"
    for part in ("encoder", "llm"):
        (work / part / "README.md").unlink()


@pytest.mark.parametrize(("named", "told"), [("de", ["de"]), ("German", None)])
def test_a_language_that_the_model_is_told_by_its_code(
    base: Path, tmp_path: Path, named: str, told: list[str] | None
) -> None:
    shutil.copytree(base.parent, tmp_path / "exp")
    description = tmp_path / "exp/base/model/model.json"
    values = json.loads(description.read_text())
    values["model"]["language"] = named
    description.write_text(json.dumps(values))
    manifest = Manifest.model_validate({**GOOD, "domains": {"base": TRAINED}})
    models = {"base": read_model(tmp_path / "exp/base/run.json")}
    card = model_card(manifest, tmp_path / "exp/base", models, "b4", CardFacts("me/farm"))
    assert ModelCard(card).data.language == told
    assert ModelCard(card).data.base_model == ["Qwen/Qwen2.5-1.5B"]


def test_licences_as_the_hub_writes_them() -> None:
    assert licence_keys(None) == {}
    assert licence_keys("Apache-2.0") == {"license": "apache-2.0"}
    named = {"license": "other", "license_name": "MIT (voice: CC0)"}
    assert licence_keys("MIT (voice: CC0)") == named
