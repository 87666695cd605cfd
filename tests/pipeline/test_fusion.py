"""Language models and the decoding that uses them: through the commands, on tiny random models."""

import json
import math
import shutil
from pathlib import Path

import pytest
import yaml

from speechllm.files.own import read_json
from tests.helpers.changes import cut, flip, follow, remedy_of, restored
from tests.helpers.tiny import SENTENCES
from tests.pipeline import test_stages as pipeline
from tests.pipeline.test_stages import refused, run

work = pipeline.work
TRAIN = {"steps": 12, "lr": 0.01, "warmup_steps": 2, "batch_tokens": 60, "evaluate_every": 4}
KINDS = {
    "lstm": {"kind": "lstm", "width": 16, "train": TRAIN},
    "transformer": {"kind": "transformer", "width": 16, "heads": 2, "train": TRAIN},
    "ngram": {"kind": "ngram", "order": 2},
}


def lm_command(work: Path, kind: str, *overrides: str) -> list[str]:
    config = work / f"lm/{kind}.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(yaml.safe_dump(KINDS[kind]))
    return [
        *("lm", *overrides, "--config", f"{config}", "--base", f"{work}/exp/base"),
        *("--text", f"{work}/data/text_train", "--dev", f"{work}/data/target_dev/text"),
        *("--exp", f"{work}/exp/lm/{kind}_target"),
    ]


@pytest.fixture(scope="module")
def lms(work: Path) -> Path:
    for kind in KINDS:
        run(*lm_command(work, kind))
    return work / "exp/lm"


def decode_command(work: Path, name: str, **values: object) -> list[str]:
    config = work / f"decode/{name}.yaml"
    config.parent.mkdir(exist_ok=True)
    values = {"beam": 3, "max_tokens_per_second": 8, "tune": {"beam": 4}, **values}
    config.write_text(yaml.safe_dump(values))
    return [
        *("decode", "--config", f"{config}", "--model", f"{work}/exp/base"),
        *("--dump", f"{work}/dump", "--target", "target", "--exp", f"{work}/exp"),
        *("--dev", f"{work}/data/target_dev", "--data", f"{work}/data/source_dev"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_lm_is_made_once_and_belongs_to_its_settings(
    work: Path, lms: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_json(lms / f"{kind}_target/run.json")
    assert record["sentences"] == 8 and record["environment"]["torch"]
    assert 1 < record["dev_perplexity"]["token"] < 300
    before = (lms / f"{kind}_target/run.json").stat().st_mtime_ns
    run(*lm_command(work, kind))
    assert (lms / f"{kind}_target/run.json").stat().st_mtime_ns == before
    change = "order=3" if kind == "ngram" else "train.steps=13"
    key = "order" if kind == "ngram" else "train.steps"
    assert f"other settings: config.{key}" in refused(lm_command(work, kind, change), capsys)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_the_weights_kept_are_those_that_were_best_on_dev(lms: Path, kind: str) -> None:
    folder = lms / f"{kind}_target"
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    best = min(line["token"] for line in lines)
    assert read_json(folder / "run.json")["dev_perplexity"]["token"] == best


def test_perplexity_by_token_and_by_word(
    work: Path, lms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the training said of its dev set is found again from the folder."""
    common = ["perplexity", "--model", f"{work}/exp/base", "--data", f"{work}/data/target_dev"]
    for kind in KINDS:
        run(*common, "--lm", f"{lms}/{kind}_target")
        found = read_json(lms / f"{kind}_target/perplexity.json")["target_dev"]["text"]
        assert found == pytest.approx(read_json(lms / f"{kind}_target/run.json")["dev_perplexity"])
    run(*common, "--dump", f"{work}/dump")
    figures = read_json(work / "exp/base/perplexity.json")["target_dev"]
    for slot in ("empty_slot", "speech"):
        nll = math.log(figures[slot]["token"]) * figures[slot]["tokens"]
        assert figures[slot]["word"] == pytest.approx(math.exp(nll / figures[slot]["words"]), 1e-3)
    assert figures["speech"]["words"] == sum(len(s.split()) + 1 for s in SENTENCES)  # and ends
    assert figures["speech"] != figures["empty_slot"]
    run(*common[:-1], f"{work}/data/text_train")  # text alone
    assert set(read_json(work / "exp/base/perplexity.json")["text_train"]) == {
        "empty_slot",
        "made_from",
    }


FUSIONS = {
    "shallow": {"kind": "shallow", "lm": "{exp}/lm/lstm_{target}"},
    "ratio": {
        "kind": "density_ratio",
        "lm": "{exp}/lm/transformer_{target}",
        "source_lm": "{exp}/lm/lstm_target",
    },
    "ilm": {"kind": "ilm", "lm": "{exp}/lm/ngram_{target}", "slot": "no_prompt"},
}


@pytest.mark.parametrize("name", FUSIONS)
def test_weights_are_tuned_on_dev_and_used_on_test(work: Path, lms: Path, name: str) -> None:
    command = decode_command(work, name, fusion=FUSIONS[name])
    run(*command)
    folder = work / f"exp/base/decode_{name}"
    tuning = read_json(folder / "tuning/target_dev/tuning.json")
    summary = read_json(folder / "source_dev/decode.json")
    assert tuning["dev"] == "target_dev"
    assert tuning["error"] == min(point["error"] for point in tuning["grid"])
    assert tuning["error_oracle"] <= tuning["error"] <= tuning["error_without"]
    assert summary["fusion"]["weight"] == tuning["chosen"]["fusion.weight"]
    assert summary["tuning"]["seconds"] == tuning["seconds"] > 0
    assert "grid" not in summary["tuning"]
    before = (folder / "source_dev/decode.json").stat().st_mtime_ns
    run(*command)
    assert (folder / "source_dev/decode.json").stat().st_mtime_ns == before, "decoded already"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_a_damaged_language_model_is_made_once_more(
    work: Path, lms: Path, kind: str, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    fusion = {"kind": "shallow", "lm": f"{{exp}}/lm/{kind}_{{target}}", "weight": 0.1}
    command = decode_command(work, f"damaged_{kind}", fusion=fusion)
    run(*command)
    name = "lm.arpa" if kind == "ngram" else "trained.safetensors"
    path = lms / f"{kind}_target" / name
    content = path.read_bytes()
    damage(path)
    for refusing in (lm_command(work, kind), command):
        said = refused(refusing, capsys)
        assert f"{path}: is not what was written" in said
    follow(remedy_of(said))
    run(*lm_command(work, kind))
    assert path.read_bytes() == content
    run(*command)


def test_a_language_model_of_other_text_is_noticed(
    work: Path, lms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fusion = {"kind": "shallow", "lm": "{exp}/lm/ngram_{target}", "weight": 0.1}
    command = decode_command(work, "anew", fusion=fusion)
    run(*command)
    with restored(work / "data/text_train/text") as path:
        path.write_text(path.read_text().replace("cow", "sow"))
        said = refused(lm_command(work, "ngram"), capsys)
        assert "inputs.sha256" in said
        follow(remedy_of(said))
        run(*lm_command(work, "ngram"))
        said = refused(command, capsys)
        assert "another language_models.fusion.lm" in said
        follow(remedy_of(said))
        run(*command)
    follow(remedy_of(refused(lm_command(work, "ngram"), capsys)))
    run(*lm_command(work, "ngram"))


@pytest.mark.parametrize("what", ["references", "decode.tune.beam", "language_models.fusion.lm"])
def test_weights_belong_to_what_they_were_tuned_on(
    work: Path, lms: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fusion = {"kind": "shallow", "lm": "{exp}/lm/ngram_{target}", "weight": None}
    command = decode_command(work, "tuned_on", fusion=fusion)
    run(*command)
    run(*command)
    changed = work / ("data/target_dev/text" if what == "references" else "data/text_train/text")
    with restored(changed):
        if what != "decode.tune.beam":
            changed.write_text(changed.read_text().replace("cow", "sow"))
        else:
            command = decode_command(work, "tuned_on", fusion=fusion, tune={"beam": 3})
        if what.startswith("language"):
            follow(remedy_of(refused(lm_command(work, "ngram"), capsys)))
            run(*lm_command(work, "ngram"))
        said = refused(command, capsys)
        assert f"tuning/target_dev was tuned with another {what}" in said
        follow(remedy_of(said))
        while "tuned_on" in (said := said_by(command, capsys)):
            follow(remedy_of(said))  # hypotheses with weights, or a model, that were others
    if what.startswith("language"):
        follow(remedy_of(refused(lm_command(work, "ngram"), capsys)))
        run(*lm_command(work, "ngram"))
    shutil.rmtree(work / "exp/base/decode_tuned_on")


def said_by(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command refuses with; nothing if it ends well."""
    try:
        run(*command)
    except SystemExit:
        return capsys.readouterr().err
    return ""


def test_a_prompted_llm_rescores_an_nbest_list(work: Path) -> None:
    rescore = {"kind": "prompt", "prompt": "About {target}. "}
    run(*decode_command(work, "prompt", nbest=3, rescore=rescore))
    folder = work / "exp/base/decode_prompt/source_dev"
    lines = [json.loads(line) for line in (folder / "nbest.jsonl").read_text().splitlines()]
    best = {line["id"]: line["nbest"][0]["text"] for line in lines}
    text = dict(line.split(" ", 1) for line in (folder / "text").read_text().splitlines())
    assert {utt: " ".join(words.split()) for utt, words in best.items()} == text
    assert {tuple(entry["scores"]) for line in lines for entry in line["nbest"]} == {
        ("llm", "rescore")
    }
    assert read_json(folder / "decode.json")["rescore"]["prompt"] == "About target. "


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "shallow", "lm": "{exp}/lm/lstm_sheep"}, "there is no"),
        ({"kind": "shallow", "lm": "{exp}/../llm2"}, "its tokenizer is not that of"),
        ({"kind": "shallow", "lm": "{exp}/../broken.arpa"}, "broken.arpa:3: "),
        ({"kind": "shallow", "lm": "{exp}/../none.arpa"}, "none.arpa"),
    ],
)
def test_a_language_model_that_cannot_be_used_is_an_error(
    work: Path, values: dict, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from speechllm.standin.llm import train_tokenizer
    from tests.helpers.tiny import make_llm

    if not (work / "llm2").is_dir():
        make_llm(work / "llm2")
        train_tokenizer(["other words"], 290).save_pretrained(work / "llm2")
    (work / "broken.arpa").write_text("\\data\\\nngram 1=1\nngram x=1\n")
    assert said in refused(decode_command(work, "refused", fusion=values), capsys)


def test_the_llms_own_folder_is_a_language_model_on_its_tokens(work: Path) -> None:
    fusion = {"kind": "shallow", "lm": f"{work}/llm", "weight": 0.3}
    run(*decode_command(work, "own", fusion=fusion))
    assert (work / "exp/base/decode_own/source_dev/decode.json").is_file()


def test_what_is_tuned_needs_a_dev_set_that_is_not_tested(
    work: Path, lms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = decode_command(work, "needs_dev", fusion=FUSIONS["shallow"])
    dev = command.index("--dev")
    said = refused(command[:dev] + command[dev + 2 :], capsys)
    assert "fusion.weight: null is tuned on a dev set" in said and "--dev" in said
    same = [*command[:-1], f"{work}/data/target_dev"]
    assert "cannot be tested on it" in refused(same, capsys)


def test_no_language_model_is_packed(work: Path, lms: Path, capsys) -> None:
    decode_command(work, "packed", fusion=FUSIONS["shallow"])
    command = ["pack", "--base", f"{work}/exp/base", "--decode", f"{work}/decode/packed.yaml"]
    said = refused([*command, "--out", f"{work}/exp/packed"], capsys)
    assert "no room for language models: fusion.lm" in said


def test_a_network_needs_a_recogniser(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = lm_command(work, "lstm")
    base = command.index("--base")
    assert "give --base" in refused(command[:base] + command[base + 2 :], capsys)
    (work / "lm/odd.yaml").write_text("kind: lstn\n")
    command[command.index("--config") + 1] = f"{work}/lm/odd.yaml"
    assert "did you mean 'lstm'" in refused(command, capsys)
