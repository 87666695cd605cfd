import json

import pytest

from speechllm.compare.curves import read_curve
from speechllm.compare.plots import audio_share, draw_plots
from speechllm.compare.results import read_results
from tests.helpers.fake_grid import dropping, learning


def test_phases_follow_each_other_in_a_curve(fake):
    phases = [{"name": "prompt", "steps": 50}, {"name": "lora", "steps": 100}]
    cell = fake.add("soft_prompt", dropping(1), phases=phases, kept_step=50)
    for phase, steps in (("prompt", (0, 50)), ("lora", (0, 50, 100))):
        folder = cell.folder / phase
        folder.mkdir()
        records = [
            {
                "step": s,
                "dev": {"source": {"loss": 1.0 + s}, "source/noisy_text": {"loss": 9.0}},
                "actions": ["best"],
            }
            for s in steps
        ]
        (folder / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    curve = read_curve(cell)
    assert curve.steps == [0, 50, 50, 100, 150]
    assert curve.loss == {"source": [1, 51, 1, 51, 101]}
    assert curve.kept == 3 and curve.actions[0] == (0, "best")


def test_a_curve_of_a_run_without_log(fake):
    curve = read_curve(fake.add("denoise", dropping(1)))
    assert curve.steps == [] and curve.kept is None


def test_the_share_of_audio_is_what_was_really_seen(fake):
    fake.add("audio", dropping(1), hours=2.0)
    fake.add("denoise", dropping(1))
    fake.add("mixed", dropping(1), fraction=0.1, hours=0.21, method="mixed_batching")
    fake.add("redrawn", dropping(1), fraction=0.1, hours=1.9, method="mixed_batching")
    results = read_results(fake.cells, fake.data)
    shares = {result.arm: audio_share(results, result) for result in results}
    assert shares == {"audio": 1.0, "denoise": 0.0, "mixed_p10": 0.1, "redrawn_p10": 0.95}


def test_figures_are_drawn_alike_each_time(whole, tmp_path):
    pytest.importorskip("matplotlib")
    whole.add("sparse", dropping(2), log=learning(steps=50), method="text_only")
    results = read_results(whole.cells, whole.data)
    for name in ("one", "two"):
        plots = draw_plots(results, tmp_path / name)
        assert [plot.name for plot in plots] == ["wer_by_audio", "forgetting", "learning_farm"]
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(f"{p.name}.{kind}" for p in plots for kind in ("png", "svg"))
    for file in files:
        first, second = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert first == second
    assert b"<svg" in (tmp_path / "one/forgetting.svg").read_bytes()[:500]


def test_nothing_to_draw(fake, tmp_path):
    assert draw_plots(read_results([], fake.data), tmp_path / "plots") == []
