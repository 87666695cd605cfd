"""GGUF files whose headers the gguf package cannot read: each fault has its own words."""

import struct
from pathlib import Path

import pytest

from speechllm.convert.gguf_file import read_gguf
from speechllm.errors import DataError

pytest.importorskip("gguf", reason="gguf is not installed: pip install speechllm[import]")

UINT32, STRING, ARRAY = 4, 8, 9


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def field(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def array(kind: int, *values: bytes) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def tensor(name: str, kind: int = 0) -> bytes:
    """A tensor of 32 numbers."""
    return string(name) + struct.pack("<IQIQ", 1, 32, kind, 0)


LLAMA = field("general.architecture", STRING, string("llama"))
TWO = struct.pack("<I", 2)
DEEP = struct.pack("<IQ", ARRAY, 1) * 3000 + array(UINT32, TWO)


@pytest.mark.parametrize(
    ("fields", "tensors", "match"),
    [
        ([LLAMA], [tensor("a", 99)], r"(?s)stores a tensor as type 99, which .*update gguf"),
        ([LLAMA, field("x", 77, b"")], [], r"(?s)states a value of type 77, which .*update gguf"),
        ([LLAMA, LLAMA], [], "states general.architecture twice"),
        ([LLAMA], [tensor("a"), tensor("a")], "holds the tensor a twice"),
        ([LLAMA, field("x", ARRAY, DEEP)], [], "is cut off or damaged: .*recursion"),
        ([LLAMA, field("split.count", STRING, string("two"))], [], "is one of 'two' files"),
        ([LLAMA, field("split.count", ARRAY, array(UINT32, TWO, TWO))], [], r"one of \[2, 2\] f"),
        ([field("general.architecture", UINT32, TWO)], [], "does not state general.architecture"),
        ([LLAMA, field("general.alignment", UINT32, bytes(4))], [], "cut off or damaged: Invalid"),
    ],
)
def test_each_fault_has_its_words(
    tmp_path: Path, fields: list[bytes], tensors: list[bytes], match: str
) -> None:
    path = tmp_path / "x.gguf"
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    path.write_bytes(head + b"".join([*fields, *tensors]) + bytes(4096))
    with pytest.raises(DataError, match=match) as caught:
        read_gguf(path, "x.gguf")
    assert caught.value.message.startswith("x.gguf: ")
    assert caught.value.remedy
