"""Subsets: of the right size, the larger ones holding the smaller ones, with all their tables."""

import pytest

from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import DataDir, write_data_dir, write_table
from speechllm.data.dirs.set_tables import read_set
from speechllm.data.dirs.subset import Amount, choose, listed
from speechllm.errors import DataError, SpeechLLMError
from speechllm.slot.mixture import subset

# Three speakers with 6, 3 and 1 utterances of 1 to 10 hundred seconds.
SPEAKERS = {f"u{n:02d}": "a" if n < 6 else "b" if n < 9 else "c" for n in range(10)}
LENGTHS = {utt: 100.0 * (1 + (7 * n) % 10) for n, utt in enumerate(SPEAKERS)}


@pytest.fixture
def ten(tmp_path):
    """Ten utterances, cut out of two recordings."""
    path = tmp_path / "ten"
    write_data_dir(
        path,
        text={utt: f"words of {utt}" for utt in SPEAKERS},
        wav={"r1": "/x/1.wav", "r2": "/x/2.wav"},
        segments={u: ("r1" if u < "u05" else "r2", 0.0, s) for u, s in LENGTHS.items()},
        utt2spk=SPEAKERS,
        utt2dur=LENGTHS,
        entities={"u03": [{"type": "number", "text": "u03"}]},
    )
    write_table(path / "moods", {"u03": "x", "u04": "y"})
    write_table(path / "spk2gender", {"a": "f", "b": "m", "c": "f"})
    write_table(path / "reco2dur", {"r1": "1000", "r2": "1000"})
    return read_set(path)


def amounts():
    return {
        "utterances": [Amount(utterances=n) for n in range(1, 11)],
        "hours": [Amount(hours=h) for h in (0.3, 0.5, 0.7, 1.0, 1.5)],
        "speakers": [Amount(speakers=n) for n in (1, 2, 3)],
        "whole": [Amount(utterances=n, whole_speakers=True) for n in (1, 4, 8, 10)],
        "per_speaker": [Amount(utterances=n, per_speaker=True) for n in (1, 2, 3, 9)],
    }


@pytest.mark.parametrize("order", ["random", "first", "last", "shortest", "longest"])
@pytest.mark.parametrize("kind", amounts())
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_larger_subsets_hold_the_smaller_ones(ten, kind, order, seed):
    if kind in ("speakers", "whole") and order in ("shortest", "longest"):
        with pytest.raises(SpeechLLMError, match="orders utterances, not speakers"):
            choose(ten, amounts()[kind][0], order, seed)
        return
    smaller: set[str] = set()
    for amount in amounts()[kind]:
        try:
            chosen = choose(ten, amount, order, seed)
        except DataError as error:
            assert "is that short" in str(error) and not smaller
            continue
        assert chosen == sorted(set(chosen)) and smaller <= set(chosen)
        smaller = set(chosen)
    assert smaller


def test_sizes(ten):
    assert len(choose(ten, Amount(utterances=4))) == 4
    assert sum(LENGTHS[u] for u in choose(ten, Amount(hours=0.5))) <= 1800
    assert choose(ten, Amount(utterances=2), "first") == ["u00", "u01"]
    assert choose(ten, Amount(utterances=2), "last") == ["u08", "u09"]
    assert choose(ten, Amount(utterances=2), "shortest") == ["u00", "u03"]
    assert choose(ten, Amount(utterances=1), "longest") == ["u07"]
    assert choose(ten, Amount(speakers=1), "last") == ["u09"]
    assert choose(ten, Amount(utterances=2, whole_speakers=True), "last") == [
        *("u06", "u07", "u08", "u09")
    ]
    assert choose(ten, Amount(utterances=2, per_speaker=True), "first") == [
        *("u00", "u01", "u06", "u07", "u09")
    ]


def test_the_seed_decides(ten):
    draws = {seed: tuple(choose(ten, Amount(utterances=5), seed=seed)) for seed in range(5)}
    assert len(set(draws.values())) == 5
    assert draws[3] == tuple(choose(ten, Amount(utterances=5), seed=3))


def test_random_draws_are_those_of_training(ten):
    for share in (0.2, 0.5, 1.0):
        chosen = choose(ten, Amount(utterances=round(10 * share)), seed=4)
        assert chosen == subset(ten.ids, share, 4)


def test_all_tables_are_those_of_the_subset(ten, tmp_path):
    ten.select(["u03", "u09"]).write(tmp_path / "part")
    names = {p.name: p.read_text() for p in (tmp_path / "part").iterdir()}
    assert names["moods"] == "u03 x\n"
    assert names["spk2gender"] == "a f\nc f\n"
    assert names["spk2utt"] == "a u03\nc u09\n"
    assert names["segments"] == "u03 r1 0.0000 200.0000\nu09 r2 0.0000 400.0000\n"
    ten.select(["u09"]).write(tmp_path / "part")
    names = {p.name: p.read_text() for p in (tmp_path / "part").iterdir()}
    assert names["wav.scp"] == "r2 /x/2.wav\n" and names["reco2dur"] == "r2 1000\n"
    assert "moods" not in names and "entities" not in names
    assert [c.message for c in check_data_dir(tmp_path / "part")] == ["audio file is missing"]
    assert DataDir.load(tmp_path / "part").ids == ["u09"]


def test_files_that_are_no_tables_are_said(ten, caplog):
    (ten.path / "README.md").write_text("# About\n\nthis\n")
    (ten.path / "phones").write_text("u01 a\nu99 b\n")
    (ten.path / "other").write_text("x y\n")
    tables = read_set(ten.path)
    assert tables.utterances["phones"] == {"u01": "a"}
    assert f"not taken, since it is no table: {ten.path}/README.md:2: empty line" in caplog.text
    assert "phones: not taken: unknown utterances: 1 (u99)" in caplog.text
    assert "other: not taken: no id of this set stands in it" in caplog.text


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (Amount(utterances=11), "this set has only 10 utterances"),
        (Amount(speakers=4), "this set has only 3 speakers"),
        (Amount(hours=2), r"this set has only 1\.5278 hours"),
        (Amount(hours=0.001), "no utterance is that short"),
        (Amount(hours=0.001, whole_speakers=True), "no speaker is that short"),
    ],
)
def test_amounts_that_the_set_does_not_have(ten, amount, message):
    with pytest.raises(DataError, match=message):
        choose(ten, amount)


def test_amounts_that_mean_nothing():
    for wrong in ({}, {"utterances": 0}, {"hours": 1.0, "speakers": 1}, {"hours": -1.0}):
        with pytest.raises(SpeechLLMError, match="one amount above 0 is needed"):
            Amount(**wrong)
    with pytest.raises(SpeechLLMError, match="per speaker goes with a number of utterances"):
        Amount(hours=1.0, per_speaker=True)


def test_what_must_be_known(ten):
    del ten.utterances["utt2dur"], ten.utterances["utt2spk"]
    with pytest.raises(DataError, match="utt2dur: no such file, and lengths are needed"):
        choose(ten, Amount(hours=0.5))
    with pytest.raises(DataError, match="utt2spk: no such file, and speakers are needed"):
        choose(ten, Amount(speakers=1))


def test_lists(ten, tmp_path):
    file = tmp_path / "list"
    file.write_text("u05 whatever follows\n\nu01\n")
    assert listed(ten, file, speakers=False) == ["u01", "u05"]
    file.write_text("b\nc\n")
    assert listed(ten, file, speakers=True) == ["u06", "u07", "u08", "u09"]
    with pytest.raises(DataError, match=r"list: not in .*ten: 2 \(b, c\)"):
        listed(ten, file, speakers=False)
    file.write_text("\n")
    with pytest.raises(DataError, match="file is empty"):
        listed(ten, file, speakers=False)
