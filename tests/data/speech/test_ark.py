"""Features survive the ark bit for bit; damage is found and named."""

import io
import multiprocessing
import os
import pickle
import resource
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from speechllm.data.speech.ark import ArkReader, ArkWriter, merge_scps
from speechllm.errors import DataError, SpeechLLMError


def matrices(*utts: str, frames: int = 7, width: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {utt: rng.normal(size=(frames, width)).astype(np.float16) for utt in utts}


def write(folder: Path, features: dict[str, np.ndarray], name: str = "feats") -> Path:
    with ArkWriter(folder / f"{name}.ark", folder / f"{name}.scp") as writer:
        for utt, matrix in features.items():
            writer.write(utt, matrix)
    return folder / f"{name}.scp"


def npy_header(shape: tuple[int, ...], kind: str) -> bytes:
    stream = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def test_round_trip_is_exact_and_the_scp_sorted(tmp_path):
    features = matrices("b", "a", "c")
    features["a"][0, 0] = np.finfo(np.float16).max
    features["a"][0, 1] = np.finfo(np.float16).smallest_subnormal
    features["empty"] = np.zeros((0, 5), dtype=np.float16)
    reader = ArkReader(write(tmp_path, features))
    assert list(reader) == sorted(features)
    for utt, matrix in features.items():
        assert reader[utt].dtype == np.float16
        np.testing.assert_array_equal(reader[utt], matrix)
    assert "b" in reader and "z" not in reader
    with pytest.raises(KeyError):
        reader["z"]


def test_kaldiio_reads_the_same(tmp_path, monkeypatch):
    features = matrices("a", "b")
    write(tmp_path, features)
    monkeypatch.chdir(tmp_path)
    other = kaldiio.load_scp("feats.scp")
    np.testing.assert_array_equal(other["b"], features["b"])


def test_dump_folder_can_be_moved(tmp_path):
    features = matrices("a")
    write(tmp_path / "old", features)
    (tmp_path / "old").rename(tmp_path / "new")
    np.testing.assert_array_equal(ArkReader(tmp_path / "new/feats.scp")["a"], features["a"])


def test_nothing_appears_when_the_block_fails(tmp_path):
    with (
        pytest.raises(RuntimeError),
        ArkWriter(tmp_path / "feats.ark", tmp_path / "feats.scp") as writer,
    ):
        writer.write("a", matrices("a")["a"])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_no_half_file(tmp_path):
    """A limit on the size of files makes the system refuse to write, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(SpeechLLMError, match=r"cannot write .*feats\.ark") as caught:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))
        try:
            write(tmp_path, matrices(*(f"u{n:03}" for n in range(100)), frames=100))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "same command again" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_old_scp_does_not_outlive_its_ark(tmp_path, monkeypatch):
    """Killed between the two renames: no scp is better than one of another ark."""
    scp = write(tmp_path, matrices("a"))
    monkeypatch.setattr(
        "speechllm.data.speech.ark.write_table", lambda *_: (_ for _ in ()).throw(OSError)
    )
    with pytest.raises(SpeechLLMError):
        write(tmp_path, matrices("a", frames=3))
    assert not scp.exists()


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 3), dtype=np.float32), np.zeros(3, dtype=np.float16)],
    ids=["float32", "vector"],
)
def test_only_float16_matrices_are_written(tmp_path, matrix):
    with pytest.raises(ValueError, match="float16"):
        write(tmp_path, {"a": matrix})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_features_are_refused(tmp_path, bad):
    matrix = matrices("a")["a"]
    matrix[1, 1] = bad
    with pytest.raises(DataError, match=r"(?s)features of a hold NaN or Inf.*leave a out"):
        write(tmp_path, {"a": matrix})


def test_repeated_and_odd_ids_are_refused(tmp_path):
    matrix = matrices("a")["a"]
    with ArkWriter(tmp_path / "f.ark", tmp_path / "f.scp") as writer:
        writer.write("a", matrix)
        with pytest.raises(ValueError, match="before"):
            writer.write("a", matrix)
        with pytest.raises(DataError, match="id"):
            writer.write("a b", matrix)


@pytest.mark.parametrize("keep", [1, 200, -1])
def test_truncated_ark_is_found_on_opening(tmp_path, keep):
    scp = write(tmp_path, matrices("a", "b", "c"))
    ark = tmp_path / "feats.ark"
    ark.write_bytes(ark.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"feats\.ark: archive is truncated") as caught:
        ArkReader(scp)
    assert f"rm {scp}, then run stage 3 (features) again" in str(caught.value)


def test_a_folder_in_the_place_of_an_ark_is_named(tmp_path):
    scp = write(tmp_path, matrices("a"))
    (tmp_path / "feats.ark").unlink()
    (tmp_path / "feats.ark").mkdir()
    with pytest.raises(DataError, match=r"feats\.ark: archive cannot be read \(Is a directory"):
        ArkReader(scp)


@pytest.mark.parametrize("seed", range(4))
def test_an_altered_ark_is_refused_or_reads_bit_equal(tmp_path, seed):
    """Bytes flipped, cut out, put in, moved or cut off: fifty alterations for each seed."""
    rng = np.random.default_rng(seed)
    features = matrices("a", "b", "c", "d", frames=9)
    features["d"] = features["d"][:4]
    scp = write(tmp_path, features)
    ark = tmp_path / "feats.ark"
    whole = ark.read_bytes()
    refused = 0
    for _ in range(50):
        content = bytearray(whole)
        at, size = int(rng.integers(len(whole))), int(rng.integers(1, 40))
        piece = rng.bytes(size)
        match rng.integers(5):
            case 0:
                content[at] ^= 1 << int(rng.integers(8))
            case 1:
                del content[at : at + size]
            case 2:
                content[at:at] = piece
            case 3:
                content[at : at + size] = whole[:size]
            case 4:
                del content[at:]
        ark.write_bytes(content)
        try:
            reader = ArkReader(scp)
            found = {utt: reader[utt] for utt in reader}
        except DataError as error:
            assert error.path == ark and f"rm {scp}" in str(error)
            refused += 1
        else:
            for utt, matrix in features.items():
                np.testing.assert_array_equal(found[utt], matrix)
    assert refused > 25


def test_a_record_in_the_place_of_another_is_refused(tmp_path):
    scp = write(tmp_path, matrices("a", "b"))
    first, second = scp.read_text().splitlines()
    scp.write_text(f"a {second.split()[1]}\nb {first.split()[1]}\n")
    with pytest.raises(DataError, match="record of a is damaged"):
        ArkReader(scp)["a"]


def test_an_ark_of_an_older_version_has_no_checksums(tmp_path):
    features = matrices("a", "b")
    scp = write(tmp_path, features)
    (tmp_path / "feats.crc").unlink()
    np.testing.assert_array_equal(ArkReader(scp)["b"], features["b"])
    merge_scps([scp], tmp_path / "joint.scp", ["a", "b"])
    assert not (tmp_path / "joint.crc").exists()


def test_checksums_of_other_utterances_are_refused(tmp_path):
    scp = write(tmp_path, matrices("a", "b"))
    (tmp_path / "feats.crc").write_text("")
    with pytest.raises(DataError, match=r"feats\.crc: is not about the utterances of feats\.scp"):
        ArkReader(scp)


def test_missing_ark_and_missing_scp(tmp_path):
    scp = write(tmp_path, matrices("a"))
    (tmp_path / "feats.ark").unlink()
    with pytest.raises(DataError, match=r"feats\.ark: archive cannot be read"):
        ArkReader(scp)
    with pytest.raises(DataError, match=r"other\.scp: no such file"):
        ArkReader(tmp_path / "other.scp")


@pytest.mark.parametrize("line", ["a", "a feats.ark", "a feats.ark:x", "a :7", "a cat x |"])
def test_malformed_scp(tmp_path, line):
    scp = write(tmp_path, matrices("a"))
    scp.write_text(line + "\n")
    with pytest.raises(DataError, match=r"feats\.scp:1: not `utterance path:offset`"):
        ArkReader(scp)


def test_wrong_offset_is_no_record(tmp_path):
    scp = write(tmp_path, matrices("a"))
    scp.write_text("a feats.ark:40\n")
    with pytest.raises(DataError, match="no feature record at byte 40"):
        ArkReader(scp)


def test_pickle_records_are_never_loaded(tmp_path):
    """kaldiio would run what a record of its pickle format holds."""

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    (tmp_path / "feats.ark").write_bytes(b"a PKL" + pickle.dumps(Harmful()))
    (tmp_path / "feats.scp").write_text("a feats.ark:2\n")
    with pytest.raises(DataError, match="no feature record"):
        ArkReader(tmp_path / "feats.scp")
    assert not (tmp_path / "harm").exists()


def read_all(reader: ArkReader) -> float:
    return float(sum(reader[utt].astype(np.float32).sum() for utt in reader))


def test_reader_is_shared_by_forked_and_pickled_workers(tmp_path):
    reader = ArkReader(write(tmp_path, matrices(*(f"u{n:03}" for n in range(50)))))
    want = read_all(reader)
    assert read_all(pickle.loads(pickle.dumps(reader))) == want
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(read_all, [reader] * 4) == [want] * 4


def test_merge_joins_shards(tmp_path):
    first = write(tmp_path / "shards", matrices("a", "c"), "1")
    second = write(tmp_path / "shards", matrices("b"), "2")
    merge_scps([first, second], tmp_path / "feats.scp", ["a", "b", "c"])
    reader = ArkReader(tmp_path / "feats.scp")
    assert list(reader) == ["a", "b", "c"]
    np.testing.assert_array_equal(reader["c"], ArkReader(first)["c"])


def test_merge_names_missing_repeated_and_unknown_utterances(tmp_path):
    first = write(tmp_path, matrices("a", "c"), "1")
    second = write(tmp_path, matrices("c"), "2")
    out = tmp_path / "feats.scp"
    with pytest.raises(DataError, match=r"also in another shard: 1 \(c\)"):
        merge_scps([first, second], out, ["a", "c"])
    with pytest.raises(DataError, match=r"without features: 6 \(b, d, e, f, g, \.\.\.\)") as caught:
        merge_scps([first], out, "abcdefgh")
    assert caught.value.remedy == "run stage 3 (features) again"
    with pytest.raises(DataError, match=r"unknown utterances: 1 \(c\)"):
        merge_scps([first], out, ["a"])
    assert not out.exists()


@pytest.mark.parametrize(
    "record",
    [
        b"NPY\xff" + b"\xff" * 300,
        b"NPY\x08" + b"\xff" * 8,
        b"NPY\x08" + (2**62).to_bytes(8, "little") + b"\x93NUMPY",
        b"NPY\x01\x05short",
        b"NPY\x00",
        *(
            b"NPY\x01" + bytes([len(npy)]) + npy
            for shape, kind in [
                ((10**15, 4), "<f2"),
                ((2, 2), "|O"),
                ((4,), "<f2"),
                ((2, 2), "<f4"),
            ]
            for npy in [npy_header(shape, kind) + b"\0" * 8]
        ),
        b"NPY\x01\x60" + b"\x93NUMPY\x01\x00\x50\x00" + b"(" * 80 + b"\0" * 6,
    ],
)
def test_a_record_that_lies_is_refused_without_allocating(tmp_path, record):
    (tmp_path / "a.ark").write_bytes(b"u1 " + record)
    (tmp_path / "a.scp").write_text("u1 a.ark:3\n")
    with pytest.raises(DataError, match=r"a\.ark: (record|archive|no feature record)"):
        ArkReader(tmp_path / "a.scp")["u1"]


@pytest.mark.parametrize("offset", ["9" * 5000, "9" * 19, "-1", "٣", "1e3"])
def test_an_offset_has_an_end(tmp_path, offset):
    (tmp_path / "a.ark").write_bytes(b"u1 ")
    (tmp_path / "a.scp").write_text(f"u1 a.ark:{offset}\n")
    with pytest.raises(DataError, match=r"a\.scp:1: not `utterance path:offset`"):
        ArkReader(tmp_path / "a.scp")
