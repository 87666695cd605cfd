"""Archives are resumed, checked and unpacked whole; a server on this machine stands for OpenSLR."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from speechllm.corpora import librispeech
from speechllm.corpora.reading import download
from speechllm.corpora.reading.download import fetch, unpack
from speechllm.errors import DataError

CONTENT = bytes(range(256)) * 400
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks off the first `breaks` answers in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/whole.tar.gz": CONTENT}
        self.asked: list[str | None] = []
        self.breaks, self.ranges = 0, True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server
        wanted = self.headers["Range"]
        server.asked.append(wanted)
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if server.breaks:
            server.breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAIT", 0.01)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def archive(files: dict[str, bytes | None]) -> bytes:
    """A tar.gz of files by name; None makes a link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "b"
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return stream.getvalue()


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a/whole.tar.gz"
    for _ in range(2):
        fetch(f"{server.url}/whole.tar.gz", path, MD5)
    assert path.read_bytes() == CONTENT and server.asked == [None]
    assert [p.name for p in path.parent.iterdir()] == ["whole.tar.gz"]


def test_what_broke_off_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    path = tmp_path / "whole.tar.gz"
    fetch(f"{server.url}/whole.tar.gz", path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=51200-", "bytes=76800-"]


def test_an_earlier_run_left_a_part(server: Server, tmp_path: Path) -> None:
    path, part = tmp_path / "whole.tar.gz", tmp_path / "whole.tar.gz.part"
    for kept, ranges in ((1000, True), (1000, False), (len(CONTENT), True)):
        part.write_bytes(CONTENT[:kept])
        server.ranges = ranges
        fetch(f"{server.url}/whole.tar.gz", path, MD5)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_a_wrong_sum_and_a_wrong_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"MD5 is {MD5}, and should be 00"):
        fetch(f"{server.url}/whole.tar.gz", tmp_path / "x", "00")
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"none.tar.gz: cannot be fetched: HTTP Error 404"):
        fetch(f"{server.url}/none.tar.gz", tmp_path / "x", "00")
    assert len(server.asked) == 2  # what is not there is not asked for again
    server.breaks = 99
    with pytest.raises(DataError, match="the line broke after"):
        fetch(f"{server.url}/whole.tar.gz", tmp_path / "x", MD5)


def test_a_split_of_librispeech(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = archive(
        {"LibriSpeech/dev-clean/1/2/1-2.trans.txt": b"x", "LibriSpeech/README.TXT": b"y"}
    )
    server.files["/dev-clean.tar.gz"] = packed
    monkeypatch.setattr(librispeech, "URL", server.url)
    monkeypatch.setitem(librispeech.MD5, "dev-clean", hashlib.md5(packed).hexdigest())
    for _ in range(2):
        librispeech.download(tmp_path / "LibriSpeech", "dev-clean")
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert found == ["LibriSpeech/dev-clean/1/2/1-2.trans.txt"] and len(server.asked) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive({"other/a": b"x"}), "there is no set/ in it"),
        (archive({"set/../../a": b"x"}), "cannot be unpacked"),
        (archive({"set/a": b"x" * 99999})[:-20], "cannot be unpacked"),
        (archive({"set/a": None}), "set/a is no file or folder"),
        (b"no archive", "cannot be unpacked"),
    ],
    ids=["other folder", "way out", "cut off", "no file", "no archive"],  # gzip holds the time
)
def test_archives_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        unpack(tmp_path / "a.tar.gz", "set", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]
