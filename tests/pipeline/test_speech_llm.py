"""Stages 2 to 6 with a trained Speech LLM as the base, through the commands."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.helpers.speech_llms import MAKERS
from tests.helpers.tiny import make_set
from tests.pipeline.test_stages import METHODS, TRAIN, adapt_command, base_command, refused, run

STEPS = {**TRAIN, "steps": 2, "batch_positions": 2000}


@pytest.fixture(scope="module", params=MAKERS)
def work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Speech LLM, data, features, and the base folder that stage 4 makes of it."""
    work = tmp_path_factory.mktemp(request.param)
    MAKERS[request.param](work / "model")
    names = ["source_train", "source_dev", "target_train", "target_dev"]
    sets = [make_set(work / "data" / n, n[:2], seed=i) for i, n in enumerate(names)]
    features = ["features", "--speech_llm", f"{work}/model", "--dump", f"{work}/dump"]
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "granite_speech" and not importlib.util.find_spec("torchaudio"):
            patch.setattr("speechllm.model.encoder.encoder.Encoder", UnheardEncoder)
        run(*features, *map(str, sets))
    run(*features, "--merge", *map(str, sets))
    config = {"model": {"speech_llm": f"{work}/model"}, "monitor": {"decode": True}}
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    run(*base_command(work, "base"))
    return work


class UnheardEncoder:
    """In place of Granite's encoder, whose feature extractor needs torchaudio."""

    def __init__(self, *args: object, **settings: str):
        self.rng = np.random.default_rng(0)

    def encode(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        return [self.rng.normal(size=(len(w) // 320, 16)).astype(np.float16) for w in waves]


def test_check_measures_against_its_prompt(work: Path) -> None:
    run("data", "check", "--speech_llm", f"{work}/model", f"{work}/data/source_train")
    assert (work / "data/source_train/.checked").is_file()


def test_the_base_is_the_model_as_it_is(work: Path) -> None:
    from safetensors.torch import load_file

    folder = work / "exp/base"
    record = json.loads((folder / "run.json").read_text())
    assert (record["kind"], record["steps"], record["trained_parameters"]) == ("base", 0, 0)
    assert record["audio_hours_source"] == 0 and record["seen"] == {}
    assert load_file(folder / "model/trained.safetensors") == {}
    (line,) = (folder / "train.jsonl").read_text().splitlines()
    assert {"loss", "wer"} < set(json.loads(line)["dev"]["source"])


def test_its_projector_can_be_trained_on(work: Path) -> None:
    from safetensors.torch import load_file

    run(*base_command(work, "trained", f"train={STEPS}", "trainable=[projector.*]"))
    names = load_file(work / "exp/trained/model/trained.safetensors").keys()
    assert names and all(name.startswith("projector.") for name in names)


@pytest.mark.parametrize("method", METHODS)
def test_methods_adapt_it_and_it_decodes(work: Path, method: str) -> None:
    knobs = {"train": STEPS, "monitor": {"every": 2, "keep_best": False}}
    run(*adapt_command(work, method, **(METHODS[method] | knobs)))
    folder = work / f"exp/base/{method}_target_train"
    record = json.loads((folder / "run.json").read_text())
    assert record["steps"] == 2 * len(record["phases"])
    if method == "denoise":
        assert any((work / "exp/base/projected_text").iterdir())
    (work / "beam.yaml").write_text("{beam: 2, batch_positions: 2000}")
    command = ["decode", "--config", f"{work}/beam.yaml", "--dump", f"{work}/dump"]
    run(*command, "--model", str(folder), "--data", f"{work}/data/target_dev")
    assert len((folder / "decode_beam/target_dev/text").read_text().splitlines()) == 8


def test_posterior_says_that_there_is_no_ctc_head(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no CTC head" in refused(adapt_command(work, "posterior", tau=0.5), capsys)


def test_packed_it_transcribes_by_itself(work: Path, tmp_path: Path) -> None:
    import speechllm
    from speechllm.data.dirs.kaldi import read_table

    if "granite" in work.name and not importlib.util.find_spec("torchaudio"):
        pytest.skip("Granite's feature extractor needs torchaudio")
    knobs = {"train": STEPS, "monitor": {"every": 2, "keep_best": False}}
    run(*adapt_command(work, "audio", name="carried_", **(METHODS["audio"] | knobs)))
    (work / "beam.yaml").write_text("{beam: 2, batch_positions: 2000}")
    options = ["--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"]
    heard = {}
    for domain, folder in (("base", "base"), ("target", "base/carried_audio_target_train")):
        model = work / "exp" / folder
        run("decode", "--config", f"{work}/beam.yaml", "--model", str(model), *options)
        heard[domain] = read_table(model / "decode_beam/target_dev/text")
    packed = ["--base", f"{work}/exp/base", "--models", "carried_*", "--out", f"{tmp_path}/p"]
    run("pack", *packed, "--decode", f"{work}/beam.yaml")
    assert (tmp_path / "p/pretrained/speech_llm/config.json").is_file()
    model = speechllm.load(tmp_path / "p")
    for domain in ("target", "base", "target"):
        found = model.transcribe(work / "data/target_dev", domain)
        assert {t.id: t.text for t in found} == heard[domain]
