"""Check that an ONNX network is whole. Its file is a protobuf: fields, one after the other."""

from pathlib import Path
from typing import IO

from speechllm.convert.remedies import AGAIN
from speechllm.files.guarded import guarded

NUMBER, BYTES = 0, 2
"""Wire types of the fields of onnx.proto's ModelProto; a field's key is 8 * its number + type."""
GRAPH, OPERATORS = 7, 8
"""Numbers of the two fields that every network has; the first holds the network itself."""


def check_onnx(path: Path, place: str) -> None:
    """Walk over the fields of a network, without reading their contents.

    Args:
        path: the whole file.
        place: name of the file in messages.

    Raises:
        DataError: the file is cut off, damaged, or no network.
    """
    with open(path, "rb") as stream, guarded(place, "is no whole ONNX network", remedy=AGAIN):
        size, found = path.stat().st_size, set()
        while (start := stream.tell()) < size:
            number, kind = divmod(_varint(stream), 8)
            value = _varint(stream)
            if not number or kind not in (NUMBER, BYTES):
                raise ValueError(f"no field begins at byte {start}")
            if kind == BYTES and stream.seek(min(value, size), 1) > size:
                raise ValueError(f"field {number} at byte {start} ends behind the file's end")
            found.add(number)
        if missing := {GRAPH, OPERATORS} - found:
            raise ValueError(f"it ends without field {min(missing)}")


def _varint(stream: IO[bytes]) -> int:
    """Read a number: seven bits in each byte, the lowest first; the last byte is below 128."""
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise EOFError("it ends inside a field")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number has more than 64 bits")
