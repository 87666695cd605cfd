"""What is not UTF-8 is told apart, and the command that is advised converts it."""

import gzip
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speechllm.config import read_yaml
from speechllm.corpora.reading import lines as corpus_lines
from speechllm.corpora.reading.textgrid import read_textgrid
from speechllm.data.dirs.bias_lists import read_words
from speechllm.data.dirs.tables import read_table
from speechllm.data.exchange.formats import csv, jsonl
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.files.utf8 import decode, not_utf8, read_text, wide_encoding
from speechllm.lm.arpa import read_arpa
from speechllm.score.normalize.rules_file import read_rules

TABLE = "id,audio,text\nu1,a.wav,café’s\nu2,b.wav,naïve – yes\n"
needs_iconv = pytest.mark.skipif(shutil.which("iconv") is None, reason="there is no iconv")
READERS = [
    read_text,
    read_table,
    read_words,
    read_yaml,
    read_rules,
    read_arpa,
    corpus_lines.read_text,
    lambda path: list(csv.read(path)),
    lambda path: list(jsonl.read(path)),
]


def command_of(remedy: str) -> str:
    """What follows the words of a remedy."""
    return remedy.split(": ", 1)[1]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),  # with a byte-order mark
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-be", "UTF-32BE"),
        ("cp1252", "CP1252"),
    ],
)
@needs_iconv
def test_the_advised_command_converts_the_file(tmp_path: Path, encoding: str, named: str) -> None:
    path = tmp_path / "my table.csv"
    path.write_bytes(TABLE.encode(encoding))
    with pytest.raises(DataError, match=f"iconv -f {named} -t UTF-8") as caught:
        read_text(path)
    subprocess.run(["bash", "-c", command_of(caught.value.remedy)], check=True)
    assert read_text(path) == TABLE
    assert [p.name for p in tmp_path.iterdir()] == ["my table.csv"]


@needs_iconv
def test_a_gzipped_table_is_converted_as_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode("utf-16")))
    _, remedy = not_utf8(path)
    subprocess.run(["bash", "-c", command_of(remedy)], check=True)
    assert gzip.decompress(path.read_bytes()).decode() == TABLE


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "koi8-r", "cp1251", "big5", "euc-kr"])
def test_an_encoding_that_cannot_be_told_is_not_guessed(encoding: str) -> None:
    text = {"gbk": "今天天气好", "big5": "今天天氣好", "shift_jis": "今日は", "euc-kr": "오늘은"}
    sample = f"u1 {text.get(encoding, 'сегодня тепло')}\n".encode(encoding)
    assert "ENCODING" in not_utf8("t", sample)[1]


def test_of_one_odd_line_no_file_is_converted() -> None:
    sample = "u1 café\nu2 naïve\n".encode() + "u3 café\n".encode("cp1252")
    with pytest.raises(ConfigError, match=r"^conf.yaml:3: line is not UTF-8\n  -> mend the line"):
        decode(sample, "conf.yaml", ConfigError)


def test_what_is_no_text_is_named() -> None:
    assert "workbook" in not_utf8("a.csv", b"PK\x03\x04\xff\xfe")[0]
    assert "gunzip < a.csv" in not_utf8("a.csv", gzip.compress(b"id"))[1]


def test_utf8_is_read_with_a_mark_and_with_a_nul(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbfu1 caf\xc3\xa9\r\n")
    assert read_text(path) == "u1 café\r\n"
    assert wide_encoding(b"u1 one stray \0 in a line of ASCII\n") is None
    assert wide_encoding(b"") is None
    assert wide_encoding("一二三四五六七八九 u1\n".encode("utf-16-le")) == "UTF-16LE"


@pytest.mark.parametrize(("encoding", "named"), [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE")])
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_the_encoding(
    tmp_path: Path, reader: Callable[[Path], Any], encoding: str, named: str
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(TABLE.encode(encoding))
    with pytest.raises(SpeechLLMError, match=f"{path}.*{named}, not UTF-8(?s:.)*iconv -f {named} "):
        reader(path)


@pytest.mark.parametrize("reader", [*READERS, read_textgrid])
def test_every_reader_takes_high_bytes_for_cp1252(
    tmp_path: Path, reader: Callable[[Path], Any]
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"u\x92s: 1\n")
    with pytest.raises(SpeechLLMError, match=f"{path}.*not UTF-8(?s:.)*iconv -f CP1252 -t UTF-8"):
        reader(path)
