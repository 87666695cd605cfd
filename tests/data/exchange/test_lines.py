"""Lines of text files, also of gzipped ones: what cannot be read is said, with its file."""

import gzip
from pathlib import Path

import pytest

from speechllm.data.exchange import lines
from speechllm.data.exchange.lines import read_lines
from speechllm.errors import DataError


def test_any_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    circle = tmp_path / "x.jsonl"
    circle.symlink_to(circle)
    with pytest.raises(DataError, match=r"x\.jsonl: cannot be read \(Too many levels"):
        list(read_lines(circle))


def test_a_gzip_file_that_unpacks_to_more_than_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "UNPACKED_FREELY", 1000)
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 100_000))
    with pytest.raises(DataError, match=r"x\.jsonl\.gz:\d+: a byte of the gzip file unpacks to"):
        list(read_lines(path))


def test_text_that_repeats_itself_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "yes"}\n' * 50_000))
    assert len(list(read_lines(path))) == 50_000
