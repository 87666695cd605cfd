"""te2sl: alignment, durations, the refiner, and all of it end to end on tiny models."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from speechllm.adapt.made.durations import Durations, Said, owners
from speechllm.adapt.made.heard import ProjectedSpeech
from speechllm.adapt.made.refined import RefinedCorpus
from speechllm.adapt.made.refiner import Refiner, RefinerPair, distance, train_refiner
from speechllm.adapt.method import load_method
from speechllm.adapt.methods.te2sl import RefinerConfig
from speechllm.cli import main
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.errors import ConfigError
from tests.helpers.changes import cut, flip
from tests.helpers.tiny import SENTENCES, TRAIN, make_spoken_source

SMALL = RefinerConfig(width=16, heads=2, kernel=3, steps=150, batch=8, lr=1e-2, dropout=0.0)


def heard(best: list[int], positions: list[int]) -> ProjectedSpeech:
    """Speech in which one symbol is by far the likeliest at each position."""
    logits = 5 * np.eye(max(best) + 1, dtype=np.float32)[best]
    return ProjectedSpeech(logits, np.array(positions), np.zeros((len(positions), 4), np.float32))


def test_a_blank_belongs_to_the_unit_before_it_or_to_the_first() -> None:
    path = [0, 2, 2, 0, 1, 0, 2]
    found = owners(heard(path, list(range(7))), [2, 1, 2])
    assert found is not None and found.tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_only_what_the_llm_is_given_is_owned() -> None:
    """As with `compress`: here it is not given the second unit, and the last one twice."""
    found = owners(heard([3, 0, 1, 2, 2], [0, 3, 4]), [3, 1, 2])
    assert found is not None and found.tolist() == [0, 2, 2]


def test_what_cannot_be_aligned_is_told() -> None:
    assert owners(heard([1, 1], [0, 1]), [1, 1]) is None  # a blank has to part the two
    assert owners(heard([1, 1], [0, 1]), []) is None


def test_durations_are_those_of_the_unit_unless_it_is_rare() -> None:
    said = [Said([1, 2], np.array([0, 0, 1])) for _ in range(5)] + [Said([3], np.zeros(9, int))]
    durations = Durations.of(said)
    assert durations.measured.tolist() == [[1, 2], [2, 1]] * 5 + [[3, 9]]
    draws = [durations.draw([1, 2, 3, 4], random.Random(n)) for n in range(50)]
    assert {tuple(draw[:2]) for draw in draws} == {(2, 1)}
    assert {draw[2] for draw in draws} == {draw[3] for draw in draws} == {1, 2, 9}
    assert durations.mean == pytest.approx(24 / 11)
    assert durations.expected([1, 2, 4]) == pytest.approx(3 + 24 / 11)


def test_a_text_is_never_silent() -> None:
    durations = Durations(np.array([[1, 0]] * 6))
    assert durations.draw([1, 1, 1], random.Random(0)) == [1, 1, 1]
    assert durations.draw([], random.Random(0)) == []


def toy(pairs: int, seed: int) -> tuple[list[RefinerPair], torch.Tensor]:
    """Vectors are embeddings that a constant and a part of the next embedding are added to."""
    rng = np.random.default_rng(seed)
    table = np.random.default_rng(0).normal(size=(10, 8)).astype(np.float32)
    made = []
    for _ in range(pairs):
        rows = rng.integers(0, 10, rng.integers(3, 12))
        after = np.concatenate([table[rows[1:]], np.zeros((1, 8), np.float32)])
        made.append(RefinerPair(rows, (table[rows] + 0.5 * after + 0.5).astype(np.float16)))
    return made, torch.from_numpy(table)


def test_the_refiner_learns_what_embeddings_lack() -> None:
    pairs, table = toy(60, seed=1)
    new, _ = toy(10, seed=2)
    refiner = train_refiner(pairs, table, SMALL, seed=3)
    plain, refined = distance(new, table), distance(new, table, refiner)
    assert refined["error"] < 0.3 * plain["error"]
    assert plain["cosine"] < 0.9 < refined["cosine"]
    again = train_refiner(pairs, table, SMALL, seed=3).state_dict()
    assert all(torch.equal(again[name], x) for name, x in refiner.state_dict().items())
    other = train_refiner(pairs, table, SMALL, seed=4).state_dict()
    assert not torch.equal(other["expand.bias"], refiner.expand.bias)


def test_a_new_refiner_changes_nothing() -> None:
    x = torch.randn(2, 5, 8)
    assert torch.equal(Refiner(SMALL, 8)(x, torch.tensor([5, 5])), x)


def random_refiner() -> Refiner:
    torch.manual_seed(0)
    refiner = Refiner(SMALL, 8).eval()
    torch.nn.init.normal_(refiner.expand.weight)
    return refiner


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_padding_does_not_leak(training: bool) -> None:
    refiner = random_refiner().train(training)
    x = torch.randn(2, 9, 8)
    both = refiner(x, torch.tensor([4, 9]))
    alone = refiner(x[:1, :4], torch.tensor([4]))
    torch.testing.assert_close(both[0, :4], alone[0], atol=1e-5, rtol=1e-5)
    x[0, 4:] = 100.0
    assert torch.equal(refiner(x, torch.tensor([4, 9]))[0, :4], both[0, :4])


@torch.no_grad()
def test_the_refiner_computes_in_float32() -> None:
    refiner, x = random_refiner(), torch.randn(1, 6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = refiner(x, torch.tensor([6]))
    assert torch.equal(found, refiner(x, torch.tensor([6])))


def test_pseudo_audio_depends_on_the_generator_alone() -> None:
    durations = Durations(np.array([[u, n] for u in (2, 5) for n in (1, 1, 2, 3, 0, 1)]))
    text = {"a": "x y", "b": ""}
    units = {"a": [5, 2], "b": []}
    table = torch.randn(6, 8)
    corpus = RefinedCorpus("t", text, text, units, table, Refiner(SMALL, 8).eval(), durations)

    def shown(seed: int) -> np.ndarray:
        return corpus.simulate("a", random.Random(seed)).vectors

    vectors = shown(1)
    assert vectors.dtype == np.float32 and np.array_equal(vectors, shown(1))
    assert len({len(shown(seed)) for seed in range(20)}) > 2
    spoken = {tuple(row) for row in vectors.tolist()}  # this refiner adds nothing
    assert spoken <= {tuple(table[4].tolist()), tuple(table[1].tolist())}
    assert corpus.simulate("b", random.Random(0)).vectors.shape == (0, 8)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, source speech with features, and a target of text alone."""
    work = tmp_path_factory.mktemp("te2sl")
    make_spoken_source(work)
    text = {f"t-{n}": f"{a} {b}" for n, (a, b) in enumerate(pairwise(SENTENCES))}
    write_data_dir(work / "data/text_train", text=text)
    return work


def base(work: Path, name: str, ctc: dict | None, steps: int = 90) -> Path:
    """A base; one that is there is taken as it is."""
    config = {
        "model": {
            "encoder": f"{work}/encoder",
            "llm": f"{work}/llm",
            "lora": {"rank": 2},
            "projector": {"downsampling": 3, "hidden": 128, "ctc": ctc},
        },
        "trainable": ["projector.*", "llm.*.lora_*"],
        "train": {**TRAIN, "steps": 2},
        "monitor": {"every": 2},
    }
    if ctc is not None:
        learn = {**TRAIN, "steps": steps, "lr": 2e-2}
        config["warm_start"] = {"negatives": 200, "train": learn, "monitor": {"every": steps}}
    path = work / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    main(
        [
            *("base", "--config", str(path), "--dump", f"{work}/dump"),
            *("--train", f"{work}/data/train", "--dev", f"{work}/data/dev"),
            *("--exp", f"{work}/exp/{name}"),
        ]
    )
    return work / "exp" / name


def adapt(work: Path, of: Path, folder: str, **knobs: object) -> dict:
    refiner = {"width": 16, "heads": 2, "steps": 150, "batch": 4, "lr": 1e-2}
    config = {"method": "te2sl", "train": TRAIN, "monitor": {"every": 2}, "refiner": refiner}
    path = work / "te2sl.yaml"
    path.write_text(yaml.safe_dump(config | knobs))
    main(
        [
            *("adapt", "--config", str(path), "--base", str(of)),
            *("--dump", f"{work}/dump", "--exp", str(of / folder)),
            *("--source", f"{work}/data/train", "--source_dev", f"{work}/data/dev"),
            *("--target", f"{work}/data/text_train"),
        ]
    )
    return json.loads((of / folder / "run.json").read_text())


def weights(folder: Path) -> bytes:
    return (folder / "model/trained.safetensors").read_bytes()


def reading_base(work: Path, vectors: str, compress: bool) -> Path:
    return base(work, f"{vectors}_{compress}", {"vectors": vectors, "compress": compress})


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("vectors", ["expected", "projected"])
def test_target_text_is_heard_as_pseudo_audio(work: Path, vectors: str, compress: bool) -> None:
    of = reading_base(work, vectors, compress)
    record = adapt(work, of, "out")
    made = record["made"]["refined"]
    assert made["pairs"] == 7 and made["held_out"] == 1 and made["unaligned"] == 0
    assert made["refined"].keys() == made["embeddings"].keys() == {"error", "cosine"}
    assert (made["positions_per_unit"] < 1.1) == compress
    assert record["seen"].keys() == {"refined/pseudo_audio"}
    assert record["audio_hours_target"] == record["audio_hours_refined"] == 0
    assert all(".lora_" in name for name in load_file(of / "out/model/trained.safetensors"))


@pytest.fixture(scope="module")
def reader(work: Path) -> Path:
    return reading_base(work, "expected", True)


def test_the_same_seed_gives_the_same_model_and_the_refiner_is_learnt_once(
    work: Path, reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.adapt.made import refined

    adapt(work, reader, "first")
    for path in (reader / "refiner").iterdir():
        path.unlink()
    adapt(work, reader, "second")
    assert weights(reader / "first") == weights(reader / "second")
    monkeypatch.setattr(refined, "train_refiner", None)
    adapt(work, reader, "third")
    assert weights(reader / "first") == weights(reader / "third")


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_a_damaged_refiner_is_learnt_anew(work: Path, reader: Path, damage: object) -> None:
    refiner = {"width": 8, "heads": 1, "steps": 3}
    name = damage.__name__
    adapt(work, reader, "whole", refiner=refiner)
    (path,) = (
        path
        for path in (reader / "refiner").glob("train.*.safetensors")
        if load_file(path)["refiner.reduce.1.bias"].shape == (8,)
    )
    content = path.read_bytes()
    damage(path)
    adapt(work, reader, f"again_{name}", refiner=refiner)
    assert path.read_bytes() == content
    assert weights(reader / "whole") == weights(reader / f"again_{name}")


def test_a_refiner_that_learns_nothing_is_told_and_not_kept(
    work: Path, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {*(reader / "refiner").glob("*")}
    with pytest.raises(SystemExit):
        adapt(work, reader, "wild", refiner={"width": 8, "heads": 1, "steps": 3, "lr": 9e18})
    assert "lower refiner.lr" in capsys.readouterr().err
    assert {*(reader / "refiner").glob("*")} == before


def test_of_two_runs_that_learn_a_refiner_at_once_the_first_gives_it_to_both(
    work: Path, reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.adapt.made import refined

    learn, content = refined._learn, []

    def slowly(workspace: object, config: object, seed: int) -> refined.Learnt:
        mine = learn(workspace, config, seed)
        monkeypatch.setattr(refined, "_learn", lambda *_: learn(workspace, config, 1))
        before = {*(reader / "refiner").glob("*.safetensors")}
        refined._learnt(workspace, config, seed)  # another run, on a GPU that is not quite the same
        content.extend({*(reader / "refiner").glob("*.safetensors")} - before)
        content.append(content[0].read_bytes())
        return mine

    monkeypatch.setattr(refined, "_learn", slowly)
    adapt(work, reader, "slowly", refiner={"width": 8, "heads": 1, "steps": 2})
    path, first = content
    assert path.read_bytes() == first


def test_a_base_without_ctc_is_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of = base(work, "plain", None)
    with pytest.raises(SystemExit):
        adapt(work, of, "out")
    said = capsys.readouterr().err
    assert "te2sl: the projector of this base has no CTC" in said
    assert "train a base with model.projector.ctc" in said
    assert not (of / "out/train.jsonl").exists()


def test_speech_that_does_not_fit_its_transcripts_is_refused(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [" ".join(SENTENCES)] * 8
    text = {f"s-{n}": words for n, words in enumerate(long)}
    spoken = (work / "data/train/text").read_text()
    of = base(work, "unfit", {"vectors": "expected"}, steps=2)
    (work / "data/train/text").write_text("".join(f"{u} {t}\n" for u, t in text.items()))
    with pytest.raises(SystemExit):
        adapt(work, of, "out")
    (work / "data/train/text").write_text(spoken)
    assert "te2sl: 0 of 8 source utterances can be aligned" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"tau": 0}, "another method"),
        ({"refiner": {"width": 30}}, "4 cannot share a width of 30"),
        ({"refiner": {"pairs": 1}}, "refiner.pairs"),
        ({"refiner": {"dropout": 1}}, "refiner.dropout"),
    ],
)
def test_what_is_impossible_is_refused(tmp_path: Path, knobs: dict, said: str) -> None:
    path = tmp_path / "te2sl.yaml"
    path.write_text(yaml.safe_dump({"method": "te2sl", "train": {"steps": 1}, **knobs}))
    with pytest.raises(ConfigError, match=said):
        load_method(path)
