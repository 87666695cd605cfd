"""Which set shows what adaptation forgets, in recipes that name theirs as they like."""

import pytest

from speechllm.errors import DataError
from speechllm.files.made_from import seal
from speechllm.report.results import make_results
from speechllm.report.tree import read_families, read_model, source_set
from tests.report.test_results import make_decoding, make_run


def test_the_usual_name_goes_first_then_what_is_no_targets():
    assert source_set([], ["a"]) == "source_test"
    assert source_set(["a_test", "other", "source_test"], ["a"]) == "source_test"
    assert source_set(["a_test", "test_other", "test_clean"], ["a"]) == "test_clean"


def test_a_family_knows_its_source_by_what_adapted_models_were_tested_on(tmp_path):
    make_run(tmp_path / "base", "base")
    make_run(tmp_path / "base/audio_legal", "audio", "legal", 1.0)
    for model in ("base", "base/audio_legal"):
        for name in ("shop_test", "legal_test"):
            make_decoding(tmp_path / model / "decode_decode" / name, 10, 5, 5)
    (family,) = read_families(tmp_path)
    assert family.source == "shop_test" and family.targets == ["legal"]
    assert family.base.expected_sets(family.source, ["legal"]) == ["shop_test", "legal_test"]


def test_told_its_source_sets_a_base_alone_does_not_take_them_for_targets(tmp_path):
    make_run(tmp_path / "base", "base")
    for name in ("shop_test", "cafe_test", "legal_test"):
        make_decoding(tmp_path / "base/decode_decode" / name, 10, 5, 5)
    (family,) = read_families(tmp_path, ["shop_test", "cafe_test"])
    assert family.source == "shop_test" and family.targets == ["legal"]
    results = make_results(tmp_path, source_sets=["shop_test", "cafe_test"])
    ((row,),) = (comparison.table.rows for comparison in results.comparisons)
    assert row[0] == "legal"


def test_figures_that_are_damaged_are_not_shown(tmp_path):
    make_run(tmp_path / "base", "base")
    make_decoding(tmp_path / "base/decode_decode/shop_test", 10, 5, 5)
    (tmp_path / "base/perplexity.json").write_text("{}")
    for path in (
        tmp_path / "base/perplexity.json",
        tmp_path / "base/decode_decode/shop_test/score/wer.json",
    ):
        seal(path)
        read_families(tmp_path)
        whole = path.read_text()
        path.write_text(whole + " ")
        with pytest.raises(DataError, match=rf"{path.name}: is not what was written"):
            read_families(tmp_path)
        path.write_text(whole)


@pytest.mark.parametrize("rtf", ['""', "1e999", "[1]"])
def test_a_speed_that_is_no_number_is_damage(tmp_path, rtf):
    decoded = tmp_path / "exp/base/decode_b4/x"
    decoded.mkdir(parents=True)
    (tmp_path / "exp/base/run.json").write_text('{"kind": "base"}')
    (decoded / "text").write_text("a hello\n")
    (decoded / "decode.json").write_text(f'{{"set": "x", "rtf": {rtf}}}')
    with pytest.raises(DataError, match=r"decode\.json: is damaged"):
        read_model(tmp_path / "exp/base/run.json")
