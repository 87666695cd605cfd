"""Methods that make their data, end to end on tiny random models."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from speechllm.adapt.base import train_base
from speechllm.adapt.made import listening
from speechllm.adapt.method import Method, load_method
from speechllm.adapt.methods.synthetic_audio import renditions
from speechllm.adapt.run import adapt
from speechllm.config import BaseConfig
from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.data.speech.features import extract, merge
from speechllm.errors import ConfigError, DataError
from speechllm.files.own import read_json
from speechllm.files.whole import write_json
from speechllm.model.encoder.encoder import Encoder
from speechllm.slot.mixture import subset
from tests.helpers.changes import cut, flip
from tests.helpers.forkserver import run_ranks
from tests.helpers.tiny import make_ctc_encoder, make_encoder, make_llm, make_set

TRAIN = {"steps": 4, "batch_positions": 400, "lr": 1e-2, "warmup_steps": 1, "precision": "fp32"}
LISTEN = {"decode": {"beam": 2, "max_tokens_per_second": 4}, "keep": {"truncated": True}}
SIZES = {"source": 300, "target": 100}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, data, features, and a base; the encoder has a CTC head over letters."""
    work = tmp_path_factory.mktemp("made")
    encoder = str(make_ctc_encoder(work / "encoder"))
    make_llm(work / "llm")
    sets = [
        DataDir.load(make_set(work / "data" / name, name[:2], seed=i))
        for i, name in enumerate(["source_train", "source_dev", "target_train"])
    ]
    make_set(work / "data" / "text_train", "te", audio=False)
    extract(sets, work / "dump", encoder, lambda: Encoder(encoder).encode)
    merge(sets, work / "dump", encoder)
    model = {
        "encoder": encoder,
        "llm": str(work / "llm"),
        "projector": {"downsampling": 2, "hidden": 16},
    }
    config = BaseConfig(model=model, trainable=("projector.*", "llm.*"), train=TRAIN)
    paths = [work / "data" / name for name in ("source_train", "source_dev")]
    train_base(config, paths[:1], paths[1:], work / "dump", work / "exp/base")
    return work


def method(folder: Path, name: str, **knobs: object) -> Method:
    monitor = {"every": 4, "utterances": 4, "keep_best": False}
    write_json(
        folder / "method.yaml", {"method": name, "train": TRAIN, "monitor": monitor, **knobs}
    )
    return load_method(folder / "method.yaml")


def train(
    work: Path, folder: Path, name: str, target: Path, dev: Path | None = None, **knobs: object
) -> dict:
    """Adapt; what run.json says."""
    adapt(
        method(folder, name, **knobs),
        base=work / "exp/base",
        source=[work / "data/source_train"],
        target=[target],
        source_dev=[work / "data/source_dev"],
        target_dev=[dev] if dev else [],
        dump=work / "dump",
        folder=folder / "out",
    )
    return read_json(folder / "out/run.json")


def weights(folder: Path) -> bytes:
    return (folder / "out/model/trained.safetensors").read_bytes()


def target_with(work: Path, folder: Path, text: dict[str, str] | None) -> Path:
    """The target's data dir with another `text`, or without one."""
    path = folder / "target_train"
    shutil.copytree(work / "data/target_train", path, ignore=shutil.ignore_patterns("wav"))
    if text is None:
        (path / "text").unlink()
    else:
        write_table(path / "text", text)
    return path


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("pseudo_label", ("audio", "pseudo")),
        ("synthetic_audio", ("audio", "synthetic")),
        ("posterior", ("pseudo_audio", "simulated")),
        ("tasu2", ("pseudo_audio", "simulated")),
    ],
)
def test_shares(tmp_path: Path, name: str, made: tuple[str, str]) -> None:
    def shares(**knobs: object) -> dict[tuple[str, str], float]:
        parts = method(tmp_path, name, **knobs).components(SIZES)
        return {(part.view, part.domain): part.share for part in parts}

    assert shares() == {made: 1.0}
    half = {"p": 0.5} if name == "pseudo_label" else {}
    assert shares(tau=0.5, tau_t=0.2, sigma_ta=0, **half) == pytest.approx(
        {
            made: 0.5,
            ("noisy_text", "target"): 0.2,
            ("audio", "source"): 0.15,
            ("noisy_text", "source"): 0.15,
        }
    )
    if name != "pseudo_label":
        assert shares(tau=0.6, target_audio=0.2, p=0.5, sigma_a=0.2) == pytest.approx(
            {("audio", "target"): 0.2, made: 0.6, ("audio", "source"): 0.2}
        )
        with pytest.raises(ConfigError, match="give target_audio a share"):
            method(tmp_path, name, p=0.5)
    with pytest.raises(ConfigError, match="another method"):
        method(tmp_path, name, tau=0)
    with pytest.raises(ConfigError, match="more than 1"):
        shares(tau=0.7, tau_t=0.4, **half)


def test_pseudo_labels_are_the_bases_own_and_train_lora_alone(work: Path, tmp_path: Path) -> None:
    record = train(work, tmp_path, "pseudo_label", work / "data/target_train", **LISTEN)
    heard = read_table(next(tmp_path.glob("out/pseudo_label/decode.*/target_train/text")))
    assert len(heard) == 8
    assert record["made"]["pseudo"]["heard"] == 8
    assert record["made"]["pseudo"]["kept"] == sum(bool(text) for text in heard.values()) > 0
    assert record["seen"].keys() == {"pseudo/audio"}
    assert 0 < record["audio_hours_pseudo"] <= record["made"]["pseudo"]["hours_heard"] + 1e-4
    assert all(".lora_" in name for name in load_file(tmp_path / "out/model/trained.safetensors"))


def test_true_transcripts_of_what_is_heard_are_never_read(work: Path, tmp_path: Path) -> None:
    """Whatever `text` holds, or if it is gone: the same bytes come out."""
    ids = list(read_table(work / "data/target_train/text"))
    texts = {"other": dict.fromkeys(ids, "the gate is open"), "none": None}
    train(work, tmp_path, "pseudo_label", work / "data/target_train", **LISTEN)
    for name, text in texts.items():
        folder = tmp_path / name
        train(work, folder, "pseudo_label", target_with(work, folder, text), **LISTEN)
        assert weights(folder) == weights(tmp_path)


def test_beside_target_text_only_the_unheard_utterances_are_read(
    work: Path, tmp_path: Path
) -> None:
    text = read_table(work / "data/target_train/text")
    heard = subset(list(text), 0.5, seed=42)
    knobs = {**LISTEN, "p": 0.5, "tau": 0.5, "tau_t": 0.25}
    record = train(work, tmp_path, "pseudo_label", work / "data/target_train", **knobs)
    assert record["made"]["pseudo"]["heard"] == 4
    assert record["seen"]["target/noisy_text"] > 0

    other = target_with(work, tmp_path / "heard", text | dict.fromkeys(heard, "an open gate"))
    train(work, tmp_path / "heard", "pseudo_label", other, **knobs)
    assert weights(tmp_path / "heard") == weights(tmp_path)
    unheard = text | {u: "an open gate" for u in text if u not in heard}
    other = target_with(work, tmp_path / "unheard", unheard)
    train(work, tmp_path / "unheard", "pseudo_label", other, **knobs)
    assert weights(tmp_path / "unheard") != weights(tmp_path)


def test_two_processes_make_the_data_once(work: Path, warm_folder: Path, tmp_path: Path) -> None:
    method(tmp_path, "pseudo_label", **LISTEN)
    command = [
        *("adapt", "--config", f"{tmp_path}/method.yaml"),
        *("--base", f"{work}/exp/base", "--dump", f"{work}/dump", "--exp", f"{tmp_path}/out"),
        *("--source", f"{work}/data/source_train", "--source_dev", f"{work}/data/source_dev"),
        *("--target", f"{work}/data/target_train"),
    ]
    run_ranks(warm_folder, command)
    (path,) = tmp_path.glob("out/pseudo_label/decode.*/target_train/hyp.jsonl")
    assert len(path.read_text().splitlines()) == 8
    assert read_json(tmp_path / "out/run.json")["made"]["pseudo"]["heard"] == 8


def test_filters_score_hypotheses_and_a_second_try_decodes_nothing(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = {"truncated": True, "min_log_prob": -100, "max_disagreement": 100}
    knobs = {**LISTEN, "keep": keep}
    train(work, tmp_path, "pseudo_label", work / "data/target_train", **knobs)
    (path,) = tmp_path.glob("out/pseudo_label/heard.*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(-20 < line["log_prob"] < 0 and line["disagreement"] >= 0 for line in lines)
    first = weights(tmp_path)
    shutil.rmtree(tmp_path / "out/model")
    (tmp_path / "out/run.json").unlink()
    monkeypatch.setattr(listening, "listen", None)
    train(work, tmp_path, "pseudo_label", work / "data/target_train", **knobs)
    assert weights(tmp_path) == first


def test_a_second_model_may_be_asked(work: Path, tmp_path: Path) -> None:
    knobs = {**LISTEN, "keep": {"truncated": True, "max_disagreement": 0}}
    second = str(work / "exp/base")  # the same model decodes the same
    record = train(
        work, tmp_path, "pseudo_label", work / "data/target_train", second_model=second, **knobs
    )
    made = record["made"]["pseudo"]
    assert made["passed"]["agreement"] == made["passed"]["answers"]


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damaged_pseudo_labels_are_made_anew(work: Path, tmp_path: Path, damage: object) -> None:
    train(work, tmp_path, "pseudo_label", work / "data/target_train", **LISTEN)
    before = weights(tmp_path)
    heard = next(tmp_path.glob("out/pseudo_label/heard.*.jsonl"))
    content = heard.read_bytes()
    damage(heard)
    for path in ("run.json", "model/trained.safetensors"):
        (tmp_path / "out" / path).unlink()
    train(work, tmp_path, "pseudo_label", work / "data/target_train", **LISTEN)
    assert heard.read_bytes() == content and weights(tmp_path) == before


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damaged_projections_are_made_anew(work: Path, tmp_path: Path, damage: object) -> None:
    shares = {"tau": 0.5, "sigma_ta": 0.5}
    train(work, tmp_path, "denoise", work / "data/target_train", **shares)
    before = weights(tmp_path)
    (projected,) = (work / "exp/base/projected_text").glob("source_train.*.jsonl")
    content = projected.read_bytes()
    damage(projected)
    train(work, tmp_path / "again", "denoise", work / "data/target_train", **shares)
    assert projected.read_bytes() == content and weights(tmp_path / "again") == before


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damaged_synthetic_speech_is_spoken_anew(tmp_path: Path, damage: object) -> None:
    from speechllm.adapt.methods.synthetic_audio import speak_all

    said: list[str] = []

    def speak(utt_id: str, words: str) -> np.ndarray:
        said.append(utt_id)
        return np.random.default_rng(len(words)).normal(0, 0.1, 16000).astype(np.float32)

    text = {"a": "one", "b": "three"}
    speak_all(text, speak, lambda _, samples: samples, tmp_path)
    content = (tmp_path / "wav/b.flac").read_bytes()
    damage(tmp_path / "wav/b.flac")
    speak_all(text, speak, lambda _, samples: samples, tmp_path)
    assert said == ["a", "b", "b"] and (tmp_path / "wav/b.flac").read_bytes() == content


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"p": 1, "tau": 0.5, "tau_t": 0.1}, "nothing is left to read"),
        ({"p": 0}, "key 'p'"),
        ({"second_model": "x"}, "give keep.max_disagreement"),
        ({"keep": {"max_disagreement": 0}, "decode": {"beam": 1}}, "two greedy decodes"),
        ({"keep": {"min_log_prob": 0.5}}, "keep.min_log_prob"),
    ],
)
def test_impossible_pseudo_labels_are_refused(tmp_path: Path, knobs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        method(tmp_path, "pseudo_label", **knobs)


def test_pseudo_labels_that_cannot_be_made_are_refused_before_training(
    work: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"text_train: .*has no audio"):
        train(work, tmp_path, "pseudo_label", work / "data/text_train")
    strict = {**LISTEN, "keep": {"min_log_prob": -1e-9}}
    with pytest.raises(ConfigError, match="keep none of 8 hypotheses"):
        train(work, tmp_path, "pseudo_label", work / "data/target_train", **strict)
    assert not (tmp_path / "out/train.jsonl").exists()


def test_synthetic_speech_needs_text_alone(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = []

    def say(text: str) -> tuple[np.ndarray, int]:
        spoken.append(text)
        return np.random.default_rng(len(text)).normal(0, 0.1, 400 * len(text)), 8000

    module = type(sys)("my_tts")
    module.say = say
    monkeypatch.setitem(sys.modules, "my_tts", module)
    knobs = {"tts": {"python": "my_tts:say", "allow_commands": True}, "rt60": 0.1}
    record = train(work, tmp_path, "synthetic_audio", work / "data/text_train", **knobs)
    assert spoken == list(read_table(work / "data/text_train/text").values())
    assert record["made"]["synthetic"]["utterances"] == 8
    assert record["seen"].keys() == {"synthetic/audio"} and record["audio_hours_target"] == 0
    (path,) = tmp_path.glob("out/synthetic_audio/*/data/text_train_synthetic")
    data = DataDir.load(path)
    assert data.text == read_table(work / "data/text_train/text")
    seconds = (400 * len(data.text["te-0"]) / 8000) + 0.1
    assert data.utt2dur["te-0"] == pytest.approx(seconds, abs=0.01)

    first = weights(tmp_path)
    (path / "wav/te-3.flac").unlink()  # as if killed before it was written
    for name in ("run.json", "model/trained.safetensors"):
        (tmp_path / "out" / name).unlink()
    train(work, tmp_path, "synthetic_audio", work / "data/text_train", **knobs)
    assert spoken[8:] == [data.text["te-3"]]
    assert weights(tmp_path) == first


def test_a_plug_in_that_fails_names_the_utterance_before_training(
    work: Path, tmp_path: Path
) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no voice')", "{text_file}", "{out}"]
    knobs = {"tts": {"command": {"argv": argv}, "allow_commands": True}}
    with pytest.raises(ConfigError, match="utterance te-0: exit status 1: no voice"):
        train(work, tmp_path, "synthetic_audio", work / "data/text_train", **knobs)
    assert not (tmp_path / "out/train.jsonl").exists()


def test_espeak_is_built_in(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    record = train(work, tmp_path, "synthetic_audio", work / "data/text_train", renditions=2)
    assert record["made"]["synthetic"]["utterances"] == 16
    assert record["made"]["synthetic"]["hours"] > 16 / 3600
    (path,) = tmp_path.glob("out/synthetic_audio/*/data/text_train_synthetic")
    data = DataDir.load(path)
    assert data.text["te-0-r2"] == data.text["te-0"]
    assert (path / "wav/te-0-r2.flac").read_bytes() != (path / "wav/te-0.flac").read_bytes()


def test_a_plug_in_that_draws_nothing_makes_one_rendition(tmp_path: Path) -> None:
    knobs = {"tts": {"python": "my_tts:say", "allow_commands": True}, "renditions": 2}
    with pytest.raises(ConfigError, match="the same every time"):
        method(tmp_path, "synthetic_audio", **knobs)
    assert method(tmp_path, "synthetic_audio", **knobs, rt60=0.2).renditions == 2


def test_the_name_of_a_rendition_may_be_taken() -> None:
    assert renditions(["a", "b"], 2) == {"a": "a", "b": "b", "a-r2": "a", "b-r2": "b"}
    with pytest.raises(ConfigError, match="a-r2 is an utterance of its own"):
        renditions(["a", "a-r2"], 2)


def lexicon(work: Path, folder: Path) -> str:
    words = {w for line in read_table(work / "data/text_train/text").values() for w in line.split()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lexicon").write_text("".join(f"{w} {' '.join(w)}\n" for w in sorted(words)))
    return str(folder / "lexicon")


def test_posteriors_need_target_text_and_source_speech(work: Path, tmp_path: Path) -> None:
    knobs = {"lexicon": lexicon(work, tmp_path), "codebook_utterances": 4}
    record = train(work, tmp_path, "posterior", work / "data/text_train", **knobs)
    made = record["made"]["simulated"]
    assert made["codebook_utterances"] == 4 and made["unknown_symbols"] == 0
    assert record["seen"].keys() == {"simulated/pseudo_audio"}
    assert record["audio_hours_target"] == record["audio_hours_simulated"] == 0
    assert all(".lora_" in name for name in load_file(tmp_path / "out/model/trained.safetensors"))
    again = tmp_path / "again"
    train(work, again, "posterior", work / "data/text_train", **knobs)
    assert weights(again) == weights(tmp_path)


def test_posteriors_can_train_the_projector_alone_as_in_tasu(work: Path, tmp_path: Path) -> None:
    knobs = {"lexicon": lexicon(work, tmp_path), "lora": None, "trainable": ["projector.*"]}
    train(work, tmp_path, "posterior", work / "data/text_train", **knobs)
    names = load_file(tmp_path / "out/model/trained.safetensors").keys()
    assert names and all(name.startswith("projector.") for name in names)


def test_adaptive_mixing_hears_target_text_as_simulated_speech(work: Path, tmp_path: Path) -> None:
    target = work / "data/target_train"
    knobs = {"p": 0.5, "simulated": {"lexicon": lexicon(work, tmp_path)}, "source_text": 0.0}
    shares = {"target_audio": 0.3, "target_text": 0.3, "source_audio": 0.4}
    record = train(work, tmp_path, "adaptive", target, dev=target, **knobs, **shares)
    assert record["seen"].keys() == {"target/audio", "simulated/pseudo_audio", "source/audio"}
    assert record["audio_hours_target"] > 0 and record["audio_hours_simulated"] == 0
    assert all(".lora_" in name for name in load_file(tmp_path / "out/model/trained.safetensors"))
    with pytest.raises(ConfigError, match="no dev set is for target"):
        train(work, tmp_path / "undeveloped", "adaptive", target, **knobs, **shares)


def test_posteriors_by_sound(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    with pytest.raises(ConfigError, match=r"CTC head does not know \d+% of"):
        train(work, tmp_path, "posterior", work / "data/text_train", accents=["en-us"])


def test_posteriors_of_phones_ask_how_to_say_them(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="symbols are phones: give accents or a lexicon"):
        train(work, tmp_path, "posterior", work / "data/text_train")
    with pytest.raises(ConfigError, match="either accents or lexicon"):
        method(tmp_path, "posterior", accents=["en-us"], lexicon="x")


def test_an_encoder_without_ctc_head_is_refused_by_key(tmp_path: Path) -> None:
    from speechllm.model.ctc import load_ctc_head

    with pytest.raises(ConfigError, match=r"model\.encoder: .* has no CTC head"):
        load_ctc_head(str(make_encoder(tmp_path / "encoder")))


def test_the_ctc_head_reads_cached_frames_as_the_whole_model_does(work: Path) -> None:
    import torch
    from transformers import AutoModelForCTC

    from speechllm.model.ctc import load_ctc_head

    head, tokenizer = load_ctc_head(str(work / "encoder"))
    assert head.blank == tokenizer.pad_token_id == 0 and head.special == {0, 1}
    model = AutoModelForCTC.from_pretrained(work / "encoder").eval()
    inputs = torch.randn(1, 12, 320, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        frames = model.wav2vec2_bert(inputs).last_hidden_state[0].numpy()
        wanted = model(inputs).logits[0].softmax(-1).numpy()
    np.testing.assert_allclose(head.posteriors(frames), wanted, atol=1e-5)
