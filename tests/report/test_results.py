import argparse
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from speechllm.commands import report as command
from speechllm.errors import ConfigError, DataError
from speechllm.report.comparison import header
from speechllm.report.results import make_results
from speechllm.score.inputs import Settings
from speechllm.score.write import score_set
from speechllm.task import load_task

ASR = load_task("asr")

WORDS = 200  # of every fake test set


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make_run(folder: Path, method: str, target: str | None = None, hours: float = 0.0, **more):
    run = {
        "kind": "adapted" if target else "base",
        "method": method,
        "target": target,
        "steps": 1500,
        "audio_hours_target": hours,
        "trained_parameters": 1234567,
        "config": {"train": {"seed": 42}},
        "environment": {"host": "secret-host", "torch": "2.13.0", "git": "abc (changed)"},
    }
    write_json(folder / "run.json", run | more)


def make_decoding(folder: Path, sub: int, dele: int, ins: int, missing: int = 0, margin=2.0):
    """A scored set of 50 utterances and 200 words with the given word errors."""
    folder.mkdir(parents=True)
    (folder / "text").write_text(f"u1 {folder}\n")
    write_json(folder / "decode.json", {"set": folder.name, "rtf": 0.0456})

    def rate(reference: int) -> dict:
        percent = 100 * (sub + dele + ins) / reference
        return {
            "percent": percent,
            "interval": [percent - margin, percent + margin],
            "errors": sub + dele + ins,
            "reference": reference,
            "hits": reference - sub - dele,
            "substitutions": sub,
            "deletions": dele,
            "insertions": ins,
        }

    ser = {"percent": 40.0, "errors": 20, "reference": 50}
    figures = {"wer": rate(WORDS), "cer": rate(1000), "ser": ser}
    result = {
        "set": folder.name,
        "utterances": 50,
        "missing": [f"u{i}" for i in range(missing)],
        "scores": {"plain": figures, "english": figures},
        "made_from": {
            "reference": {"path": "x", "sha256": "same"},
            "hypothesis": {
                "path": "x",
                "sha256": hashlib.sha256((folder / "text").read_bytes()).hexdigest(),
            },
            "normalizers": {"plain": ["Unicode NFC"], "english": ["lower case"]},
            "bootstrap": {"unit": "utterance", "resamples": 1000, "seed": 0, "level": 0.95},
        },
    }
    write_json(folder / "score/wer.json", result)


@pytest.fixture
def exp(tmp_path):
    """A base, and on `farm`: text_only, denoise, audio at 10 and at 100 %. WER in the comments."""
    exp = tmp_path / "exp"
    base = exp / "base"
    make_run(base, "base", steps=2000)
    make_decoding(base / "decode_b4/farm_test", 70, 20, 10)  # 50
    make_decoding(base / "decode_b4/source_test", 6, 2, 2)  # 5
    make_run(base / "text_only_farm", "text_only", "farm")
    make_decoding(base / "text_only_farm/decode_b4/farm_test", 60, 15, 5)  # 40
    make_decoding(base / "text_only_farm/decode_b4/source_test", 10, 4, 2, missing=3)  # 8
    make_run(base / "denoise_farm", "denoise", "farm")
    make_decoding(base / "denoise_farm/decode_b4/farm_test", 40, 15, 5)  # 30
    make_decoding(base / "denoise_farm/decode_b4/source_test", 6, 1, 2)  # 4.5
    make_run(base / "audio_p10_farm", "audio", "farm", hours=0.125)
    make_decoding(base / "audio_p10_farm/decode_b4/farm_test", 42, 15, 5)  # 31
    make_run(base / "audio_farm", "audio", "farm", hours=1.25)
    make_decoding(base / "audio_farm/decode_b4/farm_test", 15, 3, 2)  # 10
    make_decoding(base / "audio_farm/decode_b4/source_test", 7, 2, 2)  # 5.5
    return exp


def main_rows(exp: Path) -> list[dict[str, str]]:
    (comparison,) = make_results(exp).comparisons
    return [dict(zip(header(load_task("asr")), row, strict=True)) for row in comparison.table.rows]


def test_cells_of_a_comparison_are_left_out(exp):
    before = make_results(exp).markdown
    cell = exp / "base/grid/denoise_s42_farm"
    make_run(cell, "denoise", "farm")
    make_decoding(cell / "decode_b4/farm_test", 1, 1, 1)
    for folder in (exp / "base", cell, exp / "base/grid/audio_s42_farm"):
        write_json(folder / "config.yaml", {})
    assert make_results(exp).markdown == before


def test_a_base_that_was_not_trained_here_has_no_seed(exp):
    make_run(exp / "base", "base", config={"train": None})
    assert "training seed: 42\n" in make_results(exp).markdown


def test_a_reference_stands_below_the_base_of_every_family(exp):
    make_run(exp / "whisper-base", "whisper", kind="reference", steps=None, trained_parameters=None)
    make_decoding(exp / "whisper-base/decode_b4/farm_test", 10, 5, 5)  # 10
    make_decoding(exp / "whisper-base/decode_b4/source_test", 2, 0, 0)  # 1
    make_run(exp / "other", "base")
    make_decoding(exp / "other/decode_b4/farm_test", 20, 5, 5)
    results = make_results(exp)
    for comparison in results.comparisons:
        row = comparison.table.rows[1]
        assert " | ".join(row) == (
            "farm | whisper-base | 10.00 [8.00, 12.00] | 10 / 5 / 5 | 1.00 | - | - | - | 0.00 | "
            "- | - | 0.046"
        )
    assert len(results.comparisons) == 2
    for _, table in results.details:
        rows = [row for row in table.rows if row[:2] == ["whisper-base", "b4/farm_test"]]
        assert len(rows) == 1


def test_further_sets_of_a_target_have_rows_of_their_own(exp):
    make_decoding(exp / "base/decode_b4/farm_natural", 50, 20, 10)  # 40
    make_decoding(exp / "base/denoise_farm/decode_b4/farm_natural", 20, 20, 10)  # 25
    rows = [row for row in main_rows(exp) if row["target"] == "farm_natural"]
    found = {row["model"]: (row["WER [95 %]"], row["gain %"]) for row in rows}
    assert found["base"] == ("40.00 [38.00, 42.00]", "-")
    assert found["denoise"] == ("25.00 [23.00, 27.00]", "37.50")
    assert found["text_only"] == ("-", "-")


def test_every_cell_of_the_main_table(exp):
    big = "1,500 | 1.23 | 0.046"
    assert [" | ".join(row.values()) for row in main_rows(exp)] == [
        "farm | base | 50.00 [48.00, 52.00] | 70 / 20 / 10 | 5.00 | - | - | - | 0.00 | "
        "2,000 | 1.23 | 0.046",
        "farm | denoise | 30.00 [28.00, 32.00] | 40 / 15 / 5 | 4.50 | -0.50 | 40.00 | 50.00 | "
        f"0.00 | {big}",
        "farm | text_only | 40.00 [38.00, 42.00] | 60 / 15 / 5 | 8.00 | +3.00 | 20.00 | 25.00 | "
        f"0.00 | {big}",
        "farm | audio_p10 | 31.00 [29.00, 33.00] | 42 / 15 / 5 | - | - | 38.00 | 47.50 | "
        f"0.12 | {big}",
        "farm | audio | 10.00 [8.00, 12.00] | 15 / 3 / 2 | 5.50 | +0.50 | 80.00 | 100.00 | "
        f"1.25 | {big}",
    ]


def test_the_best_is_named_with_and_without_the_audio_reference(exp):
    (comparison,) = make_results(exp).comparisons
    assert comparison.verdicts == [
        "**farm**: `audio` 10.00 [8.00, 12.00] is best, then `denoise` 30.00 [28.00, 32.00]; "
        "their intervals do not overlap. Without the audio reference `audio`: "
        "`denoise` 30.00 [28.00, 32.00] is best, then `audio_p10` 31.00 [29.00, 33.00]; "
        "their intervals overlap, so the order may be chance."
    ]


def test_there_is_no_best_among_equals(exp):
    """A monitor that keeps the first weights leaves models that recognise the very same."""
    for name in ("text_only_farm", "denoise_farm"):
        shutil.rmtree(exp / f"base/{name}/decode_b4")
        make_decoding(exp / f"base/{name}/decode_b4/farm_test", 15, 3, 2)
    (comparison,) = make_results(exp).comparisons
    assert comparison.verdicts[0].startswith(
        "**farm**: `audio`, `denoise` and `text_only` (the same WER) 10.00 [8.00, 12.00] are best, "
        "then `audio_p10` 31.00 [29.00, 33.00]; their intervals do not overlap."
    )
    for file in exp.glob("base/*_farm/decode_b4/farm_test/score/wer.json"):
        result = json.loads(file.read_text())
        result["made_from"]["hypothesis"]["sha256"] = "alike"
        write_json(file, result)
    (comparison,) = make_results(exp).comparisons
    assert (
        "Without the audio reference `audio`: `denoise` and `text_only` (the same hypotheses) "
        "10.00 [8.00, 12.00] are best, then `audio_p10`" in comparison.verdicts[0]
    )


def test_notes_name_what_is_absent(exp):
    (exp / "base/lost_farm").mkdir()
    (exp / "base/lost_farm/config.yaml").write_text("")
    (exp / "base/denoise_farm/decode_b4/farm_test/text").write_text("u1 decoded again\n")
    (exp / "base/audio_farm/decode_b4/source_test/score/wer.json").unlink()
    write_json(exp / "base/decode_b4/farm_test/decode.json", {"truncated": ["u7"]})
    assert make_results(exp).notes == [
        "base/lost_farm: training has not ended",
        "base: b4/farm_test: hypotheses cut at their bound on tokens: 1 (u7)",
        "base/denoise_farm: b4/farm_test has changed since it was scored (stage score)",
        "base/text_only_farm: b4/source_test: of 50 utterances these have no hypothesis "
        "(counted as wholly wrong): 3 (u0, u1, u2)",
        "base/audio_p10_farm: not decoded (b4): source_test",
        "base/audio_farm: b4/source_test is decoded but not scored (stage score)",
    ]


def test_scores_against_different_references_are_not_comparable(exp):
    file = exp / "base/denoise_farm/decode_b4/farm_test/score/wer.json"
    result = json.loads(file.read_text())
    result["made_from"]["reference"]["sha256"] = "other"
    write_json(file, result)
    assert any(
        note.startswith("farm_test: models were scored against 2 different references")
        for note in make_results(exp).notes
    )


def test_no_share_of_a_gap_that_is_not_there(exp):
    (exp / "base/audio_farm/run.json").unlink()
    (exp / "base/audio_p10_farm/run.json").unlink()
    assert {row["gap closed %"] for row in main_rows(exp)} == {"-"}
    notes = make_results(exp).notes
    assert "farm: no model fine-tuned on its audio, so no share of the gap" in notes

    make_run(exp / "base/worse_farm", "audio", "farm", hours=1.0)
    make_decoding(exp / "base/worse_farm/decode_b4/farm_test", 100, 0, 0)
    assert {row["gap closed %"] for row in main_rows(exp)} == {"-"}
    notes = make_results(exp).notes
    assert "farm (b4): worse is not better than the base, so no share of the gap" in notes


def test_an_audio_reference_that_is_not_decoded_is_not_replaced(exp):
    """Else the share of the gap would silently be that of a smaller gap."""
    make_run(exp / "base/audio_more_farm", "audio", "farm", hours=2.0)
    rows = main_rows(exp)
    assert rows[-1]["model"] == "audio_more" and rows[-1]["WER [95 %]"] == "-"
    assert {row["gap closed %"] for row in rows} == {"-"}


def test_models_that_are_not_decoded_at_all(tmp_path):
    make_run(tmp_path / "exp/base", "base")
    make_run(tmp_path / "exp/base/denoise_farm", "denoise", "farm", hours=None, steps=None)
    rows = main_rows(tmp_path / "exp")
    assert [set(list(row.values())[2:8]) for row in rows] == [{"-"}, {"-"}]
    assert (rows[1]["audio h"], rows[1]["steps"], rows[1]["RTF"]) == ("-", "-", "-")
    results = make_results(tmp_path / "exp")
    assert results.comparisons[0].verdicts == ["**farm**: nothing is scored."]
    assert "base: not decoded" in results.notes


def test_an_adapted_model_without_its_base(exp):
    (exp / "base/run.json").unlink()
    rows = main_rows(exp)
    assert [row["model"] for row in rows] == ["denoise", "text_only", "audio_p10", "audio"]
    assert {row["source change"] for row in rows} == {"-"} == {row["gain %"] for row in rows}
    assert "base: the base model has no run.json" in make_results(exp).notes


def test_each_base_has_its_own_table_under_the_main_decoding(exp):
    make_decoding(exp / "base/decode_greedy/farm_test", 100, 20, 10)
    make_run(exp / "large", "base")
    make_decoding(exp / "large/decode_b4/other_test", 1, 1, 1)

    def titles(tag=None):
        return [comparison.title for comparison in make_results(exp, tag=tag).comparisons]

    first = "Base base, decoding b4, normaliser plain"
    assert titles() == [first, "Base large, decoding b4, normaliser plain"]
    assert titles("greedy")[0] == "Base base, decoding greedy, normaliser plain"
    make_decoding(exp / "base/decode_decode/farm_test", 1, 1, 1)
    assert titles()[0] == "Base base, decoding decode, normaliser plain"


def test_details_in_the_format_of_espnet(exp):
    text = re.sub(" +", " ", make_results(exp).markdown)
    details = text[text.index("## Every model and test set, normaliser plain") :]
    words, characters = details.split("### CER")[:2]
    assert "| Snt | Wrd | Corr | Sub | Del | Ins | Err | S.Err | 95 % interval | RTF |" in words
    assert (
        "| base/denoise_farm | b4/farm_test | 50 | 200 | 72.50 | 20.00 | 7.50 | 2.50 | 30.00 | "
        "40.00 | [28.00, 32.00] | 0.046 |\n" in words
    )
    assert (
        "| base/denoise_farm | b4/farm_test | 50 | 1,000 | 94.50 | 4.00 | 1.50 | 0.50 | 6.00 | "
        "40.00 | [4.00, 8.00] |\n" in characters
    )
    assert "normaliser english" in details


def test_the_text_says_how_and_with_what_but_not_where(exp):
    text = make_results(exp, title="Farms", command="./run.sh --quick").markdown
    assert text.startswith("# Farms\n")
    for line in (
        "- torch: 2.13.0",
        "- git: abc (changed)",
        "- transformers: -",
        "- command: `./run.sh --quick` (that of each model is in its run.json)",
        "- training seed: 42",
        "- normaliser plain, on both sides: Unicode NFC",
        "- normaliser english, on both sides: lower case",
        "- intervals: 95 %, bootstrap over each utterance, 1000 resamples, seed 0",
    ):
        assert line in text.splitlines()
    assert "secret-host" not in text


def test_differing_environments_are_shown(exp):
    make_run(exp / "base/denoise_farm", "denoise", "farm", environment={"torch": "2.14.0"})
    assert (
        "- torch: 2.13.0 (in 4 of 5 models), 2.14.0 (in 1 of 5 models)"
        in make_results(exp).markdown
    )


def test_reads_what_the_scorer_writes(tmp_path):
    data, exp = tmp_path / "data/farm_test", tmp_path / "exp"
    data.mkdir(parents=True)
    (data / "text").write_text("u1 a b c d\nu2 e\n")
    make_run(exp / "base", "base")
    decoded = exp / "base/decode_b4/farm_test"
    decoded.mkdir(parents=True)
    (decoded / "text").write_text("u1 a x c d\n")
    score_set(ASR, data / "text", decoded / "text", decoded / "score", Settings(resamples=10))
    (row,) = main_rows(exp)
    assert row["WER [95 %]"].startswith("40.00 [") and row["S / D / I"] == "1 / 1 / 0"
    results = make_results(exp)
    assert (
        "base: b4/farm_test: of 2 utterances these have no hypothesis (counted as wholly wrong): "
        "1 (u2)" in results.notes
    )
    assert not any("changed" in note for note in results.notes)
    assert not any("in another form" in note or "would in" in note for note in results.notes)
    (decoded / "text").write_text("u1 A B C D\n")
    score_set(ASR, data / "text", decoded / "text", decoded / "score", Settings(resamples=10))
    told = [note for note in make_results(exp).notes if "4 more would in lower case" in note]
    assert len(told) == 1 and told[0].startswith("base: b4/farm_test: plain: 0 of 4 words of the")


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(a) for a in arguments]))


def test_the_command_writes_the_file_and_prints_the_main_table(exp, tmp_path, capsys):
    out = tmp_path / "RESULTS.md"
    run("--exp", exp, "--out", out, "--title", "Farms")
    assert out.read_text().startswith("# Farms\n")
    printed = capsys.readouterr().out
    assert "| farm   | denoise   | 30.00 [28.00, 32.00] |" in printed
    assert "**farm**: `audio` 10.00" in printed
    assert "RESULTS." not in out.read_text()


def test_the_command_links_comparisons_beside_it(exp, tmp_path):
    (tmp_path / "RESULTS.grid.md").touch()
    run("--exp", exp, "--out", tmp_path / "RESULTS.md")
    assert "[RESULTS.grid.md](RESULTS.grid.md)" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.parametrize(("columns", "shows_steps"), [(160, True), (100, False), (80, False)])
def test_the_command_draws_on_a_terminal(exp, tmp_path, capsys, monkeypatch, columns, shows_steps):
    """A terminal that is too narrow loses whole columns, never digits."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    run("--exp", exp, "--out", tmp_path / "RESULTS.md")
    printed = re.sub("\x1b.*?m", "", capsys.readouterr().out)
    row = next(line for line in printed.splitlines() if "│ denoise" in line)
    assert "30.00 [28.00, 32.00]" in row and "-0.50" in row and "50.00" in row
    assert ("1,500" in row) == shows_steps
    assert max(map(len, printed.splitlines())) <= columns


def test_wrong_use(exp, tmp_path):
    with pytest.raises(DataError, match=r"no run\.json"):
        run("--exp", tmp_path / "nowhere", "--out", tmp_path / "R.md")
    with pytest.raises(ConfigError, match="did you mean 'english'"):
        run("--exp", exp, "--out", tmp_path / "R.md", "--normalizer", "englisch")
    (exp / "base/run.json").write_text("{")
    with pytest.raises(DataError, match="is damaged, no JSON"):
        run("--exp", exp, "--out", tmp_path / "R.md")
    assert not (tmp_path / "R.md").exists()


def test_title_and_command_mean_nothing_to_markdown(exp, tmp_path):
    out = tmp_path / "RESULTS.md"
    run("--exp", exp, "--out", out, "--title", "<b>*A*</b>\n# B", "--command", "x `y` | <z>")
    written = out.read_text()
    assert written.startswith("# \\<b>\\*A\\*\\</b> # B\n\n")
    assert "- command: ``x `y` | <z>`` (that of each" in written


def test_imported_models_are_named_with_their_licence(tmp_path: Path) -> None:
    source = {
        "format": "GGUF 3 llama",
        "dtype": "float16",
        "stored": "Q4_1",
        "licence": "Apache-2.0",
        "packages": [{"name": "tiny-llm", "version": "0.1"}],
    }
    make_run(tmp_path / "base", "base", pretrained={"llm": source})
    words = "GGUF 3 llama of tiny-llm 0.1, float16 from Q4_1, licence Apache-2.0"
    assert f"- pretrained llm: {words}\n" in make_results(tmp_path).markdown
