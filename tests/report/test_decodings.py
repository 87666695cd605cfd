"""The tables of entities, words and further decodings, from what the scorer really writes."""

import json

import pytest

from speechllm.errors import DataError
from speechllm.files.made_from import SUMS
from speechllm.report.decodings import decodings_table, header
from speechllm.report.domain import domain_table
from speechllm.report.results import make_results
from speechllm.report.tree import read_families
from speechllm.score.chance.significance import paired_bootstrap
from speechllm.score.inputs import Settings
from speechllm.score.write import score_set
from speechllm.task import load_task

ASR = load_task("asr")

UTTERANCES = 30
SAID = {f"u{i:02d}": "sow sugar beet now" for i in range(UTTERANCES)}


@pytest.fixture
def recipe(tmp_path):
    """A base and a model of `farm`; function to add a decoding with `wrong` utterances."""
    data = tmp_path / "data/farm_test"
    data.mkdir(parents=True)
    entity = '[{"type": "crop", "text": "sugar beet"}]'
    for name, value in {"entities": entity, "biasing": '["beet"]'}.items():
        (data / name).write_text("".join(f"{utt} {value}\n" for utt in SAID))
    (data / "text").write_text("".join(f"{utt} {text}\n" for utt, text in SAID.items()))
    (tmp_path / "train").write_text("t1 sow now beet\n")

    def decode(model: str, tag: str, wrong: int, rtf: float, **settings):
        folder = tmp_path / f"exp/{model}/decode_{tag}/farm_test"
        folder.mkdir(parents=True, exist_ok=True)
        heard = {u: t.replace("beet", "beat", int(u[1:]) < wrong) for u, t in SAID.items()}
        (folder / "text").write_text("".join(f"{utt} {text}\n" for utt, text in heard.items()))
        (folder / "decode.json").write_text(json.dumps({"rtf": rtf}))
        how = Settings(("plain",), 100, **settings)
        score_set(ASR, data / "text", folder / "text", folder / "score", how)
        return folder

    for model, target in (("base", None), ("base/denoise_farm", "farm")):
        folder = tmp_path / "exp" / model
        folder.mkdir(parents=True)
        run = {"kind": "adapted" if target else "base", "method": "denoise", "target": target}
        (folder / "run.json").write_text(json.dumps(run))
    decode.exp = tmp_path / "exp"
    decode.train = tmp_path / "train"
    return decode


def rows(table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_further_decodings_beside_the_plain_one(recipe):
    train = {"train_text": (recipe.train,)}
    recipe("base", "decode", 20, 0.1, **train)
    recipe("base", "fusion", 10, 0.15, **train)
    recipe("base", "bias", 20, 0.1, **train)
    recipe("base/denoise_farm", "decode", 5, 0.1, **train)
    (family,) = read_families(recipe.exp)
    table = decodings_table(family, "decode", "plain")
    assert table.header == header(load_task("asr"))
    plain, bias, fusion = rows(table)
    assert [row["decoding"] for row in (plain, bias, fusion)] == ["decode", "bias", "fusion"]
    assert {row["model"] for row in (plain, bias, fusion)} == {"base"}, "denoise has one decoding"
    assert plain["WER [95 %]"].startswith("16.67 [") and fusion["WER [95 %]"].startswith("8.33 [")
    assert (plain["gain %"], plain["p"], plain["RTF cost"]) == ("-", "-", "-")
    assert (bias["gain %"], bias["p"], bias["RTF cost"]) == ("0.00", "1.000", "x 1.00")
    errors = ([i < n for i in range(UTTERANCES)] for n in (10, 20))
    p = paired_bootstrap(*(list(map(int, e)) for e in errors), [4] * UTTERANCES).p
    assert fusion["gain %"] == "50.00" and fusion["RTF cost"] == "x 1.50"
    assert fusion["p"] == (f"{p:.3f}" if p >= 0.001 else "<0.001") and p < 0.01
    assert plain["entity error [95 %]"].startswith("33.33 [")  # 20 of 60 words
    assert fusion["B-WER [95 %]"].startswith("33.33 [")  # 10 of 30 beets
    assert fusion["U-WER [95 %]"].startswith("0.00 [")
    assert fusion["RecOOV [95 %]"].startswith("100.00 [")  # sugar


def test_figures_of_the_domain(recipe):
    recipe("base", "decode", 15, 0.1)
    recipe("base/denoise_farm", "decode", 0, 0.1)
    perplexity = {"farm_test": {"empty_slot": {"token": 3.0, "word": 81.25}}}
    (recipe.exp / "base/perplexity.json").write_text(json.dumps(perplexity))
    (family,) = read_families(recipe.exp)
    table = domain_table(family, "decode", "plain")
    assert "RecOOV [95 %]" not in table.header, "nobody said what the source was trained on"
    assert "PPL speech" not in table.header
    base, denoise = rows(table)
    assert base["model"] == "base" and base["entity error [95 %]"].startswith("25.00 [")
    assert (base["recall"], base["precision"], base["F1"]) == ("50.00", "100.00", "66.67")
    assert (base["PPL text"], denoise["PPL text"]) == ("81.25", "-")
    assert denoise["entity error [95 %]"] == "0.00 [0.00, 0.00]"


def test_results_hold_both_tables_and_expect_little_of_further_decodings(recipe):
    recipe("base", "decode", 20, 0.1)
    recipe("base", "fusion", 10, 0.15)
    recipe("base/denoise_farm", "decode", 5, 0.1)
    results = make_results(recipe.exp)
    assert [c.title for c in results.comparisons] == [
        "Base base, decoding decode, normaliser plain"
    ]
    text = results.markdown
    first = text.index("## Entities, biased and unseen words")
    second = text.index("## Ways of decoding\n\n### Base base, normaliser plain")
    assert text.index("## Target domains") < first < second < text.index("## Notes")
    assert [note for note in results.notes if "not decoded" in note] == [
        "base: not decoded (decode): source_test",
        "base/denoise_farm: not decoded (decode): source_test",
    ]
    recipe("base/denoise_farm", "fusion", 5, 0.1)
    (recipe.exp / "base/decode_fusion/farm_test/text").unlink()
    (recipe.exp / "base/decode_fusion/other_test").mkdir()
    (recipe.exp / "base/decode_fusion/other_test/text").write_text("u1 a\n")
    assert "base: not decoded (fusion): farm_test" in make_results(recipe.exp).notes


def test_no_table_where_there_is_nothing_to_show(recipe):
    recipe("base", "decode", 1, 0.1)
    text = make_results(recipe.exp).markdown
    assert "## Ways of decoding" not in text
    for path in recipe.exp.rglob("wer.json"):
        result = json.loads(path.read_text())
        scores = result["scores"]["plain"]
        result["scores"]["plain"] = {key: scores[key] for key in ("wer", "cer", "ser")}
        path.write_text(json.dumps(result))  # as versions before these figures wrote it
        path.with_name(SUMS).unlink()
    assert "## Entities" not in make_results(recipe.exp).markdown


def test_other_utterances_cannot_be_tested(recipe):
    recipe("base", "decode", 20, 0.1)
    folder = recipe("base", "fusion", 10, 0.15)
    listing = folder / "score/utterances.plain.tsv"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join(lines[:-1]) + "\n")
    (family,) = read_families(recipe.exp)
    assert "p" not in decodings_table(family, "decode", "plain").header
    listing.write_text("\n".join([*lines, "u99\tfour"]) + "\n")
    with pytest.raises(DataError, match=r"utterances\.plain\.tsv:32: "):
        decodings_table(family, "decode", "plain")
