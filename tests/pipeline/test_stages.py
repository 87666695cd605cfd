"""Features, base, every method, decoding: through the commands, on tiny random models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechllm.cli import main
from tests.helpers.tiny import make_encoder, make_llm, make_set

TRAIN = {"steps": 4, "batch_positions": 200, "lr": 1e-3, "warmup_steps": 1, "precision": "fp32"}
METHODS = {
    "adaptive": {},
    "audio": {"fraction": 0.5},
    "text_only": {},
    "denoise": {"tau": 0.5},
    "mixed_batching": {"p": 0.5},
    "soft_prompt": {"length": 5},
    "pre_finetune": {},
    "curriculum": {"p": 0.5},
    "direct_mixing": {"p": 0.5},
    "hotwords": {"lists": {"common": 3}},
}


STOPS = """
import os, signal, sys
from speechllm.cli import main
from speechllm.train.loop import Trainer

step = Trainer._step

def step_or_stop(self):
    if self.position.step == 17:
        os.kill(os.getpid(), signal.SIGSTOP)
    return step(self)

Trainer._step = step_or_stop
main(sys.argv[1:])
"""
"""The command line; a training in it stands still, alive, after 17 steps."""


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny models, data, features and a trained base model."""
    work = tmp_path_factory.mktemp("work")
    make_encoder(work / "encoder")
    make_llm(work / "llm")
    sets = [
        make_set(work / "data" / name, name[:2], seed=i)
        for i, name in enumerate(["source_train", "source_dev", "target_train", "target_dev"])
    ]
    make_set(work / "data" / "text_train", "te", audio=False)
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    for job in ("1/2", "2/2"):
        run(*features, "--job", job, *map(str, sets))
    run(*features, "--merge", *map(str, sets))
    config = {
        "model": {
            "encoder": f"{work}/encoder",
            "llm": f"{work}/llm",
            "projector": {"downsampling": 2, "hidden": 16},
        },
        "trainable": ["projector.*", "llm.*"],
        "train": TRAIN,
        "monitor": {"every": 2, "decode": True},
    }
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    run(*base_command(work, "base"))
    return work


def run(*words: str) -> None:
    main(list(words))


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail; what it says."""
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 1
    return capsys.readouterr().err


def base_command(work: Path, name: str, *overrides: str) -> list[str]:
    return [
        *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump"),
        *("--train", f"{work}/data/source_train", "--dev", f"{work}/data/source_dev"),
        *("--exp", f"{work}/exp/{name}", *overrides),
    ]


def adapt_command(
    work: Path, method: str, target: str = "target_train", name: str = "", **knobs: object
):
    path = work / f"{name}{method}.yaml"
    values = {
        "method": method,
        **METHODS.get(method, {}),
        "train": TRAIN,
        "monitor": {"every": 2},
        **knobs,
    }
    path.write_text(yaml.safe_dump(values))
    return [
        *("adapt", "--config", f"{path}", "--base", f"{work}/exp/base", "--dump", f"{work}/dump"),
        *("--source", f"{work}/data/source_train", "--source_dev", f"{work}/data/source_dev"),
        *("--target", f"{work}/data/{target}", "--target_dev", f"{work}/data/target_dev"),
        *("--exp", f"{work}/exp/base/{name}{method}_{target}"),
    ]


def test_base_run_says_how_it_was_made(work: Path) -> None:
    record = json.loads((work / "exp/base/run.json").read_text())
    assert record["kind"] == "base" and record["steps"] == 4
    assert record["config"]["train"]["lr"] == 1e-3
    assert record["environment"]["torch"]
    lines = [json.loads(x) for x in (work / "exp/base/train.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "dev" in x] == [0, 2, 4]
    assert {"loss", "perplexity", "token_accuracy", "wer", "error"} == set(
        lines[0]["dev"]["source"]
    )


def test_the_base_can_read_text_beside_speech(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*base_command(work, "reads", "views={audio: 0.75, noisy_text: 0.25}"))
    seen = json.loads((work / "exp/reads/run.json").read_text())["seen"]
    assert seen.keys() == {"source/audio", "source/noisy_text"}
    assert seen["source/noisy_text"] > 0
    assert "did you mean 'audio'" in refused(base_command(work, "b", "views={audi: 1}"), capsys)
    assert "add up to 0.5" in refused(base_command(work, "b", "views={audio: 0.5}"), capsys)
    assert "is trained" in refused(base_command(work, "b", "views={projected_text: 1}"), capsys)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_lora_alone(work: Path, method: str) -> None:
    from safetensors.torch import load_file

    run(*adapt_command(work, method))
    folder = work / f"exp/base/{method}_target_train"
    names = load_file(folder / "model/trained.safetensors").keys()
    assert names and all(".lora_" in name for name in names)
    assert json.loads((folder / "run.json").read_text())["target"] == "target"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_train_the_llm_whole(work: Path, method: str) -> None:
    from safetensors.torch import load_file

    from speechllm.model.bundle import load_bundle

    run(*adapt_command(work, method, name="whole_", lora=None, trainable=["llm.*"]))
    folder = work / f"exp/base/whole_{method}_target_train/model"
    names = load_file(folder / "trained.safetensors").keys()
    assert names and all(name.startswith("llm.") and "lora" not in name for name in names)
    assert load_bundle(folder).config.lora is None


def test_text_only_needs_no_target_audio(work: Path) -> None:
    run(*adapt_command(work, "text_only", "text_train"))
    assert json.loads((work / "exp/base/text_only_text_train/run.json").read_text())["steps"] == 4


def test_a_method_that_needs_audio_refuses_text(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(adapt_command(work, "audio", "text_train"), capsys)
    assert "text_train has no audio" in message


def test_changed_settings_are_refused_by_key(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "config.train.lr" in refused(base_command(work, "base", "train.lr=0.5"), capsys)


def test_decoding_goes_on_with_missing_ids_only(work: Path) -> None:
    (work / "beam.yaml").write_text("{beam: 2, batch_positions: 500}")
    command = [
        *("decode", "--config", f"{work}/beam.yaml", "--model", f"{work}/exp/base"),
        *("--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"),
    ]
    run(*command)
    out = work / "exp/base/decode_beam/target_dev"
    text = (out / "text").read_text()
    assert len(text.splitlines()) == 8
    lines = (out / "hyp.jsonl").read_text().splitlines(keepends=True)
    (out / "hyp.jsonl").write_text("".join(lines[:3]) + lines[3][:10])  # killed while writing
    (out / "decode.json").unlink()
    run(*command)
    again = (out / "hyp.jsonl").read_text().splitlines(keepends=True)
    assert again[:3] == lines[:3] and len(again) == 8
    assert (out / "text").read_text() == text


def test_an_adaptation_counts_as_much_as_the_decoding_says(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = {**TRAIN, "steps": 12, "lr": 0.1}
    monitor = {"every": 12, "keep_best": False}
    run(*adapt_command(work, "audio", name="far_", train=train, monitor=monitor))
    adapted = f"{work}/exp/base/far_audio_target_train"

    def decode(model: str, tag: str, *changes: str) -> str:
        (work / f"{tag}.yaml").write_text("{beam: 2, max_tokens_per_second: 8}")
        command = ["decode", "--config", f"{work}/{tag}.yaml", "--model", model]
        sets = ["--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"]
        run(*command, *sets, *changes)
        return (Path(model) / f"decode_{tag}/target_dev/text").read_text()

    base, own = decode(f"{work}/exp/base", "none"), decode(adapted, "all")
    assert base != own
    assert decode(adapted, "zero", "adapted=0") == base
    assert decode(adapted, "half", "adapted=0.5")
    summary = json.loads(Path(f"{adapted}/decode_half/target_dev/decode.json").read_text())
    assert summary["adapted"] == 0.5
    again = ["decode", "--config", f"{work}/half.yaml", "--model", adapted]
    again += ["--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"]
    assert "made with another decode.adapted" in refused([*again, "adapted=0.4"], capsys)
    assert "'adapted'" in refused([*again, "adapted=1.5"], capsys)
    again[4] = f"{work}/exp/base"
    assert "no adapted one" in refused([*again, "adapted=0.5"], capsys)


def test_a_set_is_decoded_by_one_process_at_a_time(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from speechllm.files.processes import Process
    from tests.files.test_locks import write_lock

    (work / "one.yaml").write_text("{beam: 1}")
    command = [
        *("decode", "--config", f"{work}/one.yaml", "--model", f"{work}/exp/base"),
        *("--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"),
    ]
    (work / "exp/base/decode_one").mkdir()
    lock = write_lock(work / "exp/base/decode_one/target_dev", Process("0" * 8, 4711, 99))
    said = refused(command, capsys)
    assert "target_dev is being written by another process: pid 4711 on elsewhere" in said
    assert [path.name for path in lock.parent.iterdir()] == [lock.name]
    lock.unlink()
    run(*command)
    assert (lock.parent / "decode.json").is_file() and not lock.exists()


def test_features_of_one_command_are_joined_and_those_of_jobs_say_how(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["features", "--encoder", f"{work}/encoder", "--dump", f"{tmp_path}/dump"]
    source, dev = f"{work}/data/source_train", f"{work}/data/source_dev"
    run(*command, source)
    assert (tmp_path / "dump/encoder/source_train/feats.scp").is_file()
    assert "without --merge" in refused([*command, "--merge", dev], capsys)
    run(*command, "--job", "1/2", dev)
    base = ["base", "--config", f"{work}/base.yaml", "--dump", f"{tmp_path}/dump"]
    base += ["--train", source, "--dev", dev, "--exp", f"{tmp_path}/exp"]
    assert "not joined yet\n  -> give the speechllm features" in refused(base, capsys)
    run(*command, "--merge", dev)
    run(*base)


def test_stale_features_are_refused(work: Path, tmp_path: Path) -> None:
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.data.speech.features import open_features
    from speechllm.errors import DataError

    encoder = make_encoder(tmp_path / "encoder", seed=1)  # same name, other weights
    with pytest.raises(DataError, match=r"another encoder and encoder/model\.safetensors"):
        open_features(work / "dump", str(encoder), DataDir.load(work / "data/source_train"))


def test_killed_training_resumed_is_bit_equal(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL in the middle, start again: the same bytes as an uninterrupted run."""
    options = ["train.steps=30", "train.checkpoint_every=7", "monitor.every=5"]
    options += ["train.muon_lr=0.01"]
    run(*base_command(work, "whole", *options))
    command = base_command(work, "killed", *options)
    process = subprocess.Popen([sys.executable, "-c", STOPS, *command])
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "the run ended before it could be killed"
    assert f"pid {process.pid} on" in refused(command, capsys)
    process.kill()
    assert process.wait() == -9
    assert not (work / "exp/killed/run.json").exists()
    run(*command)
    name = "model/trained.safetensors"
    assert (work / "exp/killed" / name).read_bytes() == (work / "exp/whole" / name).read_bytes()


def test_two_processes_train_the_same_base_as_one(work: Path) -> None:
    """torchrun with two ranks = one process that accumulates the same two batches."""
    from safetensors.torch import load_file
    from torch.testing import assert_close

    run(*base_command(work, "one", "train.accumulate=2"))
    run(*base_command(work, "global", "train.global_batches=2"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*launch, "-m", "speechllm", *base_command(work, "two")], check=True)
    one, two, same = (
        load_file(work / f"exp/{n}/model/trained.safetensors") for n in ("one", "two", "global")
    )
    assert one.keys() == two.keys() and all(one[name].equal(same[name]) for name in one)
    for name, processes in (("one", 1), ("global", 1), ("two", 2)):
        record = json.loads((work / f"exp/{name}/run.json").read_text())
        assert record["processes"] == processes
        assert record["phases"][0]["step_positions"] == 2 * TRAIN["batch_positions"]
    for name in one:
        assert_close(one[name], two[name], atol=1e-4, rtol=1e-3)
