from pathlib import Path

import pytest

from speechllm.adapt.method import load_method
from speechllm.config import (
    BaseConfig,
    TrainConfig,
    changed_keys,
    load,
    parse,
    read_yaml,
    with_overrides,
)
from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError
from speechllm.lm.config import load_lm_config
from tests.helpers.paths import ROOT

YAML = "model: {encoder: a, llm: b}\ntrain: {steps: 10}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(YAML)
    return path


def test_defaults_are_the_literature_s(path: Path) -> None:
    config = load(BaseConfig, path)
    assert config.model.projector.downsampling == 5 and config.model.projector.hidden == 2048
    assert config.train.lr == 1e-4 and config.train.warmup_steps == 1000
    assert config.trainable == ("projector.*",)


def test_overrides_reach_any_depth(path: Path) -> None:
    config = load(BaseConfig, path, ["train.lr=0.5", "model.lora.rank=8", "monitor.decode=true"])
    assert config.train.lr == 0.5 and config.monitor.decode
    assert config.model.lora and config.model.lora.rank == 8


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lrr=1", "unknown key 'train.lrr', did you mean 'lr'"),
        ("modle.llm=b", "unknown key 'modle', did you mean 'model'"),
        ("train.steps=ten", r"'train\.steps'.*'ten'"),
        ("train.steps=0", r"'train\.steps'"),
        ("model.projector.kind=cubic", r"'model\.projector\.kind'"),
        ("train.lr", "not of the form key=value"),
        ("train.steps.x=1", "has no keys below it"),
        ("monitor.watch=test", r"'monitor\.watch'"),
    ],
)
def test_a_wrong_override_names_the_key(path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(BaseConfig, path, [override])


@pytest.mark.parametrize(
    "content", ["a: [", "- 1", "a: {b: 1, b: 2}", "!!python/object:os.system {}"]
)
def test_broken_yaml_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        read_yaml(path)


@pytest.mark.parametrize("train", ["{}", "{steps: 1, epochs: 1}", "{steps: 1, seconds: 1}"])
def test_a_run_has_one_length(path: Path, train: str) -> None:
    with pytest.raises(ConfigError, match="give either steps or epochs or seconds"):
        load(BaseConfig, path, [f"train={train}"])


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_changed_keys_are_dotted() -> None:
    old = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert changed_keys(old, {"a": {"b": 1, "c": 3}, "d": [1], "e": 0}) == ["a.c", "e"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{speech_llm: a, encoder: b}", "model: speech_llm brings all parts: leave out encoder"),
        ("{speech_llm: a, llm: b, projector: {}}", "leave out llm and projector"),
        ("{encoder: b}", "model: give llm too, or speech_llm alone"),
        ("{}", "give encoder and llm too, or speech_llm alone"),
        ("{speech_llm: a, prompt: 'Say <speech>'}", "leave out <speech>"),
        ("{speech_llm: a, load_in_4bit: true}", "only an LLM apart"),
        ("{encoder: a, llm: b, language: German}", "can name a language"),
    ],
)
def test_a_model_is_parts_or_whole(path: Path, model: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(BaseConfig, path, [f"model={model}"])


def test_only_a_trained_speech_llm_needs_no_training(path: Path) -> None:
    with pytest.raises(ConfigError, match="give train: a new projector must learn"):
        load(BaseConfig, path, ["train=null"])
    whole = ["model={speech_llm: a}", "train=null"]
    config = load(BaseConfig, path, whole)
    assert config.trainable == () and config.model.projector is None and config.model.prompt is None
    assert parse(BaseConfig, config.model_dump(mode="json"), "again") == config
    with pytest.raises(ConfigError, match="give train, or leave them"):
        load(BaseConfig, path, [*whole, "trainable=[projector.*]"])
    assert load(BaseConfig, path, whole[:1]).trainable == ("projector.*",)


def test_the_configs_of_the_template_are_sound() -> None:
    configs = sorted((ROOT / "egs/TEMPLATE/conf").glob("base*.yaml"))
    whole = {path.name: load(BaseConfig, path).model.speech_llm is not None for path in configs}
    assert whole == {"base.yaml": False, "base_speech_llm.yaml": True}


@pytest.mark.parametrize(
    "value",
    [
        *(".nan", ".inf", "-.inf", "1e309", "true", "'4'", "[1]", "2001-01-01"),
        *("9" * 23, "0x" + "f" * 5000, "9" * 5000),
    ],
)
@pytest.mark.parametrize("key", ["train.steps", "train.lr", "model.lora.dropout", "views.audio"])
def test_a_number_is_finite_and_no_other_thing(path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(BaseConfig, path, [f"{key}={value}"])
    assert len(str(error.value)) < 400
    assert key in str(error.value)


@pytest.mark.parametrize(
    ("override", "value"), [("1e-4", 1e-4), ("1e-04", 1e-4), ("2", 2.0), ("+.5E-3", 5e-4)]
)
def test_a_rate_is_written_as_people_write_it(path: Path, override: str, value: float) -> None:
    assert load(BaseConfig, path, [f"train.lr={override}"]).train.lr == value


@pytest.mark.parametrize(
    "content",
    [
        "train: !!float abc",
        "train: 9999-99-99",
        "train: !!timestamp x",
        "train: " + "[" * 5000,
        "train: " + "[" * 60 + "]" * 60,
        "a: &a [x]\nb: &b [" + "*a," * 999 + "]\nc: &c [" + "*b," * 999 + "]\n",
        "train: &a [*a]",
        "? [a]\n: 1",
        "train: \x07",
        "<<: 1",
    ],
)
def test_yaml_has_an_end_and_one_line_says_what_is_wrong(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"odd\.yaml") as error:
        read_yaml(path)
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


def test_an_alias_is_what_it_stands_for(path: Path) -> None:
    path.write_text("x: &x {steps: 5}\nmodel: {encoder: a, llm: b}\ntrain: {<<: *x, lr: 1}\n")
    assert read_yaml(path)["train"] == {"steps": 5, "lr": 1}


def test_what_a_config_may_hold_has_an_end(path: Path) -> None:
    for override in (f"trainable=[{'a,' * 20_000}]", f"model.llm={'x' * 2_000_000}"):
        with pytest.raises(ConfigError) as error:
            load(BaseConfig, path, [override])
        assert len(str(error.value)) < 600


def test_not_all_faults_are_told_at_once(path: Path) -> None:
    with pytest.raises(ConfigError, match="and 92 more") as error:
        load(BaseConfig, path, [f"key{n}=1" for n in range(100)])
    assert len(str(error.value)) < 2000


def test_every_part_of_a_config_is_a_section() -> None:
    sources = sorted((ROOT / "speechllm").rglob("*.py"))
    loose = [p.name for p in sources if "(BaseModel)" in p.read_text(encoding="utf-8")]
    assert loose == ["section.py"]


def test_processes_share_the_batches_of_a_step():
    config = TrainConfig(steps=1, global_batches=6, batch_positions=100)
    assert [config.among(n).step_positions for n in (1, 2, 3)] == [600, 600, 600]
    with pytest.raises(ConfigError, match="4 processes cannot share 6\n  -> give a multiple of 4"):
        config.among(4)
    own = TrainConfig(steps=1, accumulate=6, batch_positions=100)
    assert [own.among(n).step_positions for n in (1, 4)] == [600, 2400]
    with pytest.raises(ValueError, match="either accumulate or global_batches"):
        TrainConfig(steps=1, accumulate=2, global_batches=2)


def test_a_run_keeps_the_step_that_it_began_with():
    config = TrainConfig(steps=1, accumulate=2)
    assert [config.among(n, begun_with=4).step_batches for n in (1, 2, 4)] == [4, 4, 4]
    with pytest.raises(ConfigError, match="a number of processes that divides 4"):
        config.among(3, begun_with=4)


@pytest.mark.parametrize(
    "override",
    [
        *("length_penalty=1e18", "length_penalty=-11", "length_penalty=.nan", "beam=9000000000"),
        *("max_tokens_per_second=1e6", "repetition_penalty=1e-18", "no_repeat_ngram=99999"),
        *("confidence_temperature=1e-300", "min_tokens=4611686018427387904"),
    ],
)
def test_a_search_is_not_told_to_be_endless(override: str) -> None:
    with pytest.raises(ConfigError, match=f"'{override.partition('=')[0]}'"):
        parse(DecodeConfig, with_overrides({}, [override]), "decode")


@pytest.mark.parametrize("value", ["[asr]", "{asr: 1}", "3", "null", "speech"])
def test_what_is_no_name_is_refused_where_a_name_chooses_the_keys(
    tmp_path: Path, value: str
) -> None:
    """Found by generated configs: a list is no key of a table of names."""
    for name, key, read in (
        ("base", "task", lambda path: load(BaseConfig, path)),
        ("adapt", "method", load_method),
        ("lm", "kind", load_lm_config),
    ):
        path = tmp_path / f"{name}.yaml"
        model = f"model: {{encoder: x, llm: y, {key}: {value}}}\ntrain: {{steps: 1}}\n"
        path.write_text(model if name == "base" else f"{key}: {value}\n")
        with pytest.raises(ConfigError, match=rf"{name}\.yaml"):
            read(path)
