"""Tables of one set share their keys, so that a million ids are in memory once."""

from pathlib import Path

from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.data.dirs.tables import share_keys


def test_equal_keys_are_shared_and_others_left_alone() -> None:
    def table(*keys: str) -> dict[str, int]:
        return {"".join(key): number for number, key in enumerate(keys)}  # new strings

    text, same = table("utt-1", "utt-2"), table("utt-1", "utt-2")
    shared = share_keys(same, text)
    assert shared == same and all(a is b for a, b in zip(shared, text, strict=True))
    for odd in (table("utt-2", "utt-1"), table("utt-1"), table("utt-1", "utt-2", "utt-3"), {}):
        assert share_keys(odd, text) is odd


def test_a_set_has_each_id_once(tmp_path: Path) -> None:
    ids = [f"utt-{number}" for number in range(20)]
    write_data_dir(
        tmp_path / "set",
        text=dict.fromkeys(ids, "a"),
        wav={"rec": "a.wav"},
        segments={utt: ("rec", n, n + 1) for n, utt in enumerate(ids)},
        utt2spk=dict.fromkeys(ids, "ann"),
        utt2dur=dict.fromkeys(ids, 1.0),
    )
    data = DataDir.load(tmp_path / "set")
    for table in (data.audio, data.utt2spk, data.utt2dur):
        assert [*map(id, table)] == [*map(id, data.text)]
    assert len({*map(id, data.utt2spk.values())}) == 1
