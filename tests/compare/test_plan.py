"""A grid's yaml becomes cells: how many, where, with which settings; or a clear error."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechllm.adapt.method import Kl, load_method
from speechllm.compare.grid import Cell
from speechllm.compare.plan import load_grid, plan
from speechllm.compare.redecode import redecode_jobs
from speechllm.errors import ConfigError
from tests.helpers.paths import ROOT

HOME = Path("exp/base/trial")


@pytest.fixture
def write(tmp_path: Path):
    """Write a grid of text_only and mixed (10 and 50 %), changed as told; returns its path."""
    for name in ("text_only", "mixed_batching", "audio"):
        settings = {"method": name, "train": {"steps": 100}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings))

    def entry(method: str, **more: object) -> dict:
        return {"config": str(tmp_path / f"{method}.yaml"), **more}

    def write(**changes: object) -> Path:
        grid = {
            "methods": {
                "text_only": entry("text_only"),
                "mixed": entry("mixed_batching", fractions=[0.1, 0.5]),
            },
            "seeds": [1, 2],
            "budget": 30,
        }
        for label, more in changes.pop("methods", {}).items():
            grid["methods"][label] = entry(more.pop("method", "mixed_batching"), **more)
        path = tmp_path / "trial.yaml"
        path.write_text(yaml.safe_dump(grid | changes, sort_keys=False))
        return path

    return write


def cells(path: Path, *changes: str) -> list[Cell]:
    return plan(load_grid(path), HOME, ["farm", "music"], changes)


def test_every_method_fraction_seed_and_target_is_a_cell(write) -> None:
    found = cells(write())
    assert len(found) == len({cell.folder for cell in found}) == 3 * 2 * 2
    assert [cell.folder.name for cell in found[:4]] == [
        "text_only_s1_farm",
        "mixed_p10_s1_farm",
        "mixed_p50_s1_farm",
        "text_only_s1_music",
    ]
    assert {cell.folder.parent for cell in found} == {HOME}
    assert {cell.seed for cell in found[:6]} == {1}  # a whole comparison of one seed comes first


def test_a_cell_has_the_grids_fraction_seed_and_budget(write) -> None:
    cell = cells(write())[-1]
    assert (cell.arm, cell.fraction, cell.seed, cell.target) == ("mixed_p50", 0.5, 2, "music")
    made = load_method(cell.config, cell.overrides)
    assert (made.p, made.train.seed, made.train.steps) == (0.5, 2, 30)


def test_fractions_set_the_methods_own_key(write) -> None:
    found = cells(write(methods={"audio": {"method": "audio", "fractions": [0.025]}}))
    (cell,) = [c for c in found if c.arm == "audio_p2.5" and c.seed == 1 and c.target == "farm"]
    assert load_method(cell.config, cell.overrides).fraction == 0.025


def test_an_entry_changes_its_config_after_what_changes_all(write) -> None:
    control = {
        "set": {"train": {"layout": "alternating"}, "lora.targets": ["q_proj", "on"]},
        "fractions": [0.1],
        "control_of": "mixed",
    }
    found = cells(write(methods={"alternating": control}), "train.layout=shuffled", "lora.rank=2")
    made = {c.label: load_method(c.config, c.overrides) for c in found}
    assert {label: m.train.layout for label, m in made.items()} == {
        "text_only": "shuffled",
        "mixed": "shuffled",
        "alternating": "alternating",
    }
    assert made["alternating"].lora.targets == ("q_proj", "on") and made["mixed"].lora.rank == 2
    assert {c.control_of for c in found} == {None, "mixed_p10"}


def test_a_change_may_be_a_section_as_it_is_by_default(write) -> None:
    kept = {"kept": {"set": {"kl": {}}}}
    (cell, *_) = (c for c in cells(write(methods=kept)) if c.label == "kept")
    assert load_method(cell.config, cell.overrides).kl == Kl()


def test_what_the_grid_sets_holds_for_all_but_for_an_entrys_own(write) -> None:
    own = {"mixed": {"set": {"train.batch_positions": 70}, "fractions": [0.1]}}
    settings = {"train": {"batch_positions": 50, "layout": "shuffled"}}
    found = cells(write(methods=own, set=settings), "train.layout=alternating")
    made = {c.label: load_method(c.config, c.overrides).train for c in found}
    assert {label: t.batch_positions for label, t in made.items()} == {"text_only": 50, "mixed": 70}
    assert {t.layout for t in made.values()} == {"shuffled"}


def test_a_grid_may_name_its_own_targets(write) -> None:
    assert {cell.target for cell in cells(write(targets=["music"]))} == {"music"}
    with pytest.raises(ConfigError, match="no 'musik', did you mean 'music'"):
        cells(write(targets=["musik"]))


def jobs(path: Path, decode: str = "{beam: 8}") -> list[tuple]:
    config = path.with_name("decode.yaml")
    config.write_text(decode)
    found = redecode_jobs(load_grid(path), cells(path), HOME.parent, ["farm", "music"], config)
    return [(job.model, job.targets, job.arm, job.changes) for job in found]


def test_a_decoding_is_of_every_model_of_its_arm(write) -> None:
    base = {"of": "base", "set": {"speech_temperature": 2.0}}
    half = {"of": "mixed_p10", "set": {"adapted": 0.5, "guard": {"retry": None}, "nbest": 8}}
    found = jobs(write(decodings={"base_flat": base, "half": half}))
    changes = ("adapted=0.5", "guard.retry=null", "nbest=8")
    assert found == [
        (HOME.parent, ("farm", "music"), "base_flat", ("speech_temperature=2.0",)),
        *(
            (HOME / f"mixed_p10_s{seed}_{target}", (target,), "half", changes)
            for seed in (1, 2)
            for target in ("farm", "music")
        ),
    ]
    (job, *_) = jobs(write(decodings={"flat": base}, targets=["music"]))
    assert job[1] == ("music",)
    path = write(decodings={"half": half}, pairs=[["half", "base"]], baseline="half")
    assert load_grid(path).baseline == "half" and len(cells(path)) == 12  # none is trained for it


@pytest.mark.parametrize(
    ("name", "of", "changes", "message"),
    [
        ("half", "mixed", {"adapted": 0.5}, "half: of: there is no 'mixed', did you mean 'mixed_p"),
        ("half", "half", {"adapted": 0.5}, "half: of: there is no 'half'"),
        ("text_only", "base", {"beam": 1}, "arm: 'text_only' stands twice"),
        ("a/b", "base", {"beam": 1}, "'a/b' cannot be a label"),
        ("base", "mixed_p10", {"beam": 1}, "'base' cannot be a label"),
        ("half", "mixed_p10", {}, "decodings.half.set"),
        ("half", "mixed_p10", {"adaptd": 1}, "half: unknown key 'adaptd', did you mean 'adapted'"),
        ("half", "mixed_p10", {"guard.retyr": None}, "half: unknown key 'guard.retyr', did you"),
        ("half", "mixed_p10", {"nbest": 9}, "nbest (9) is more than the beam (8)"),
        ("half", "base", {"adapted": 0.5}, "half: adapted: the base is no adapted model"),
        (
            "lm",
            "base",
            {"fusion": {"kind": "shallow", "lm": "lm_{target}", "weight": 0.5}},
            "lm: fusion.lm would be another one for each target",
        ),
        (
            "lm",
            "base",
            {"fusion": {"kind": "shallow", "lm": "lm"}},
            "lm: fusion.weight would be another one for each target",
        ),
    ],
)
def test_a_wrong_decoding_says_what_and_where(write, name, of, changes, message) -> None:
    with pytest.raises(ConfigError) as error:
        jobs(write(decodings={name: {"of": of, "set": changes}}))
    assert message in str(error.value)


def test_the_baseline_is_an_arm(write) -> None:
    assert load_grid(write()).baseline == "base"
    assert load_grid(write(baseline="mixed_p10")).baseline == "mixed_p10"


ALIKE = {"mixed_p10": {"method": "text_only"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": [1]}, "unknown key 'seed', did you mean 'seeds'"),
        ({"methods": {"x": {"fraction": [1]}}}, "unknown key 'methods.x.fraction', did you mean"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 2, 1]}, "seeds: '1' stands twice"),
        ({"budget": 0}, "'budget'"),
        ({"match": "hours"}, "'match'"),
        ({"methods": ALIKE}, "arm: 'mixed_p10' stands twice"),
        ({"methods": {"x": {"fractions": [0.1, 0.1]}}}, "arm: 'x_p10' stands twice"),
        ({"methods": {"x": {"fractions": [1.5]}}}, "fractions"),
        ({"methods": {"a/b": {}}}, "'a/b' cannot be a label"),
        ({"methods": {"base": {}}}, "'base' cannot be a label"),
        ({"baseline": "mixed"}, "baseline: there is no 'mixed', did you mean 'mixed_p"),
        ({"pairs": [["base", "mixd_p10"]]}, "pairs: there is no 'mixd_p10', did you mean 'mixed_p"),
        ({"pairs": [["base", "base"]]}, "pairs: 'base' stands beside itself"),
        ({"methods": {"x": {"control_of": "mixed"}}}, "x: control_of: there is no 'mixed'"),
        ({"decodings": {"x": {"off": "base"}}}, "unknown key 'decodings.x.off', did you mean 'of'"),
        (
            {"methods": {"x": {"method": "text_only", "fractions": [0.1]}}},
            "text_only has no key fraction or p",
        ),
        ({"methods": {"x": {"set": {"taw": 1}}}}, "unknown key 'taw', did you mean 'tau'"),
        ({"methods": {"x": {"set": {"train.seed": 1}}}}, "'train.seed' is the grid's to set"),
        ({"methods": {"x": {"set": {"train": {"epochs": 1}}}}}, "'train.epochs' is the grid's"),
        ({"methods": {"x": {"set": {"p": 1}, "fractions": [1]}}}, "'p' is what `fractions` sets"),
        ({"methods": {"x": {"match": "text"}}}, "text needs a budget"),
        ({"methods": {"x": {"method": "none"}}}, "none.yaml: cannot be read"),
        ({"budget": 1.5}, "'train.steps'"),
    ],
)
def test_a_wrong_grid_says_what_and_where(write, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        cells(write(**changes))
    assert message in str(error.value)


def test_a_label_that_stands_twice_in_the_file_is_an_error(write) -> None:
    path = write()
    path.write_text(path.read_text().replace("  mixed:", "  text_only:"))
    with pytest.raises(ConfigError, match="the key 'text_only' stands twice"):
        load_grid(path)


def test_to_plan_needs_no_torch(write) -> None:
    """A recipe plans for each --list."""
    code = (
        "import sys; from pathlib import Path; from speechllm.compare.plan import load_grid, plan;"
        "import speechllm.compare.redecode;"
        "plan(load_grid(Path(sys.argv[1])), Path(), ['farm']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, write()], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/conf/**/compare*.yaml")), ids=str)
def test_the_recipes_grids_are_in_order(path: Path, monkeypatch) -> None:
    monkeypatch.chdir(ROOT / "egs" / path.relative_to(ROOT / "egs").parts[0])
    grid = load_grid(path)
    assert plan(grid, HOME, grid.targets or ["farm"])
