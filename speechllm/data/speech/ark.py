"""Feature matrices in ark + scp; the only module that knows kaldiio.

Kaldi's own binary matrices are float32 or float64. kaldiio's `numpy` records (key, `NPY`, length,
an .npy array) keep float16 bit for bit, so an ark takes half the disk space.

An scp line is `utterance path:offset`; a relative path starts at the scp's own folder, so that a
dump folder can be moved or read from anywhere. A table beside it, `feats.crc`, has the CRC-32 of
every record, which is compared at each reading: 0.4 ms for the megabyte of ten seconds.
"""

import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import kaldiio
import numpy as np

from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.tables import first_ids, read_table, share_keys, write_table
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.os_errors import remedy_of
from speechllm.files.whole import whole_file

REMEDY = "run stage 3 (features) again"
CRC = ".crc"
"""Suffix of the table of checksums beside an scp."""
_LENGTH_BYTES = 8
_HEADER_BYTES = 4 + _LENGTH_BYTES  # NPY, one byte with the size of the length, and the length


class ArkWriter:
    """Write an ark and its scp; a context manager. Both appear only when the block ends well.

    Args:
        ark_path: the archive.
        scp_path: its index, written after the archive and its checksums, sorted by id.

    Raises:
        SpeechLLMError: the files cannot be written, for example because the disk is full; nothing
            half-written is left.
    """

    def __init__(self, ark_path: str | Path, scp_path: str | Path):
        self.ark_path, self.scp_path = Path(ark_path), Path(scp_path)
        self._offsets: dict[str, int] = {}
        self._crcs: dict[str, str] = {}

    def __enter__(self) -> "ArkWriter":
        self._file = whole_file(self.ark_path, "wb")
        try:
            self._stream = self._file.__enter__()
        except OSError as error:
            raise self._cannot_write(error) from error
        return self

    def write(self, utt_id: str, matrix: np.ndarray) -> None:
        """Append one matrix.

        Args:
            utt_id: not written before.
            matrix: float16 [T, D], finite.

        Raises:
            DataError: NaN or Inf (float16 ends at 65504), or an invalid id.
            ValueError: another type or shape, or an id that was written before.
            SpeechLLMError: the file cannot be written.
        """
        if matrix.dtype != np.float16 or matrix.ndim != 2:
            raise ValueError(f"{utt_id}: want float16 [T, D], got {matrix.dtype} {matrix.shape}")
        if utt_id in self._offsets:
            raise ValueError(f"{utt_id} was written before")
        if problem := id_problem(utt_id):
            raise DataError(f"{problem}: {utt_id!r}", self.ark_path)
        if not np.isfinite(matrix).all():
            raise DataError(
                f"features of {utt_id} hold NaN or Inf (float16 ends at 65504)",
                self.ark_path,
                remedy=f"set model.encoder_dtype: float32; or leave {utt_id} out",
            )
        self._offsets[utt_id] = self._stream.tell() + len(utt_id.encode()) + 1
        record = BytesIO()
        kaldiio.save_ark(record, {utt_id: matrix}, write_function="numpy")
        self._crcs[utt_id] = _crc(record.getvalue()[len(utt_id.encode()) + 1 :])
        try:
            self._stream.write(record.getvalue())
        except OSError as error:
            raise self._cannot_write(error) from error

    def __exit__(self, *exc: object) -> None:
        try:
            if exc[0] is None:
                # An old index must not outlive its archive.
                self.scp_path.unlink(missing_ok=True)
            self._file.__exit__(*exc)
            if exc[0] is None:
                write_table(self.scp_path.with_suffix(CRC), self._crcs)
                _write_scp(
                    self.scp_path,
                    {u: (self.ark_path, o) for u, o in self._offsets.items()},
                )
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> SpeechLLMError:
        if error.filename is None:
            error.filename = str(self.ark_path)
        return SpeechLLMError(
            f"cannot write {error.filename}: {error.strerror}",
            remedy_of(error),
        )


class ArkReader(Mapping[str, np.ndarray]):
    """Mapping of utterance -> float16 [T, D], read on access.

    Archives are opened once and read with `pread`, which shares no file position: forked workers
    may use one reader. It may also be pickled.

    Args:
        scp_path: the index.

    Raises:
        DataError: on opening, for a malformed scp, or a missing or truncated archive; on access,
            for a record that is not a float16 matrix, or not the one that was written (an older
            version wrote no checksums). A missing utterance is a KeyError.
    """

    def __init__(self, scp_path: str | Path):
        self.scp_path = Path(scp_path)
        self._places = _read_scp(self.scp_path)
        self._crcs = _read_crcs(self.scp_path, self._places)
        self._files: dict[Path, int] = {}
        last: dict[Path, int] = {}
        for ark, offset in self._places.values():
            last[ark] = max(offset, last.get(ark, 0))
        # Archives are written front to back: if the last record is whole, so are the others.
        for ark, offset in last.items():
            self._record(ark, offset)

    def __getitem__(self, utt_id: str) -> np.ndarray:
        ark, offset = self._places[utt_id]
        record = self._record(ark, offset)
        if self._crcs and _crc(record) != self._crcs[utt_id]:
            raise self._broken(ark, f"record of {utt_id} is damaged")
        try:
            return _matrix(record)
        except Exception as error:  # numpy reads a header as Python, and raises as Python does
            raise self._broken(ark, f"record of {utt_id} is not a float16 matrix") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, utt_id: object) -> bool:
        return utt_id in self._places

    def _record(self, ark: Path, offset: int) -> bytes:
        if ark not in self._files:
            try:
                self._files[ark] = os.open(ark, os.O_RDONLY | os.O_CLOEXEC)
            except (OSError, ValueError) as error:  # ValueError: a name with a NUL
                raise self._broken(ark, f"archive cannot be read ({error})") from error
        try:
            return self._record_at(ark, offset)
        except OSError as error:  # it is a folder, or the disk fails
            raise self._broken(ark, f"archive cannot be read ({error.strerror})") from error

    def _record_at(self, ark: Path, offset: int) -> bytes:
        head = os.pread(self._files[ark], _HEADER_BYTES, offset)
        # kaldiio does not read it: it would unpickle a record that starts with PKL.
        if head and not head.startswith(b"NPY"[: len(head)]):
            raise self._broken(ark, f"no feature record at byte {offset}")
        size = head[3] if len(head) > 3 else 0
        if size > _LENGTH_BYTES:
            raise self._broken(ark, f"no feature record at byte {offset}")
        length = int.from_bytes(head[4 : 4 + size], "little")
        end = 4 + size + length
        if length == 0 or offset + end > os.fstat(self._files[ark]).st_size:
            raise self._broken(ark, f"archive is truncated: record at byte {offset} is not whole")
        return os.pread(self._files[ark], end, offset)

    def _broken(self, ark: Path, message: str) -> DataError:
        # Stage 3 makes a chunk anew if the chunk's scp is gone; it always writes the joint scp.
        return DataError(
            message, ark, remedy=f"rm {shell_word(ark.with_suffix('.scp'))}, then {REMEDY}"
        )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_files": {}}

    def close(self) -> None:
        """Close the archives; they are opened again when needed."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()


def merge_scps(
    shard_scps: Iterable[str | Path], out_scp: str | Path, expected_ids: Iterable[str]
) -> None:
    """Join the indices of several archives; the archives stay where they are.

    Args:
        shard_scps: one scp for each finished shard.
        out_scp: the joint index.
        expected_ids: every utterance that the joint index must hold, and no other.

    Raises:
        DataError: a shard is missing, or an utterance is missing, unexpected, or in two shards.
    """
    merged: dict[str, tuple[Path, int]] = {}
    crcs: dict[str, str] = {}
    for scp in map(Path, shard_scps):
        places = _read_scp(scp)
        if twice := places.keys() & merged.keys():
            raise DataError(f"utterances also in another shard: {first_ids(sorted(twice))}", scp)
        merged.update(places)
        crcs.update(_read_crcs(scp, places))
    expected = set(expected_ids)
    if missing := expected - merged.keys():
        message = f"utterances without features: {first_ids(sorted(missing))}"
        raise DataError(message, out_scp, remedy=REMEDY)
    if odd := merged.keys() - expected:
        message = f"features of unknown utterances: {first_ids(sorted(odd))}"
        shards = Path(out_scp).with_suffix(".*.scp")
        raise DataError(message, out_scp, remedy=f"rm {shards}, then {REMEDY}")
    if crcs.keys() == merged.keys():
        write_table(Path(out_scp).with_suffix(CRC), crcs)
    else:  # some shard is of an older version
        Path(out_scp).with_suffix(CRC).unlink(missing_ok=True)
    _write_scp(Path(out_scp), merged)


def _matrix(record: bytes) -> np.ndarray:
    """Matrix of a `numpy` record; memory is taken for its bytes, not for what its header claims."""
    stream = BytesIO(record[4 + record[3] :])
    headers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, by_column, dtype = headers[np.lib.format.read_magic(stream)[0]](stream)
    if dtype != np.float16 or len(shape) != 2 or by_column:
        raise ValueError("not float16 [T, D]")
    return np.frombuffer(stream.read(), np.float16).reshape(shape).copy()


def _read_scp(path: Path) -> dict[str, tuple[Path, int]]:
    if not path.is_file():
        raise DataError("no such file", path, remedy=REMEDY)
    places = {}
    arks: dict[str, Path] = {}  # a path for each utterance would take more memory than all else
    for line, (utt, value) in enumerate(read_table(path).items(), 1):
        ark, colon, offset = value.rpartition(":")
        if not (colon and ark and re.fullmatch("[0-9]{1,18}", offset)):
            message = f"not `utterance path:offset`: {utt} {value}"
            raise DataError(message, path, line, f"rm {shell_word(path)}, then {REMEDY}")
        if ark not in arks:
            arks[ark] = path.parent / ark
        places[utt] = (arks[ark], int(offset))
    return places


def _crc(record: bytes) -> str:
    return f"{zlib.crc32(record):08x}"


def _read_crcs(scp: Path, places: Mapping[str, object]) -> dict[str, str]:
    """Checksums of all utterances of an scp; empty if an older version wrote it."""
    path = scp.with_suffix(CRC)
    if not path.is_file():
        return {}
    crcs = read_table(path)
    if crcs.keys() != places.keys():
        message = f"is not about the utterances of {scp.name}"
        raise DataError(message, path, remedy=f"rm {shell_word(scp)}, then {REMEDY}")
    return share_keys(crcs, places)


def _write_scp(path: Path, places: Mapping[str, tuple[Path, int]]) -> None:
    folder = path.parent.resolve()
    arks = {ark for ark, _ in places.values()}
    relative = {ark: os.path.relpath(ark.resolve(), folder) for ark in arks}
    write_table(
        path,
        {utt: f"{relative[ark]}:{offset}" for utt, (ark, offset) in places.items()},
    )
