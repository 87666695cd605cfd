"""A model hub on this machine: what huggingface_hub asks for to load, make and commit to models.

Repositories are in memory. Files end in git ("regular") or, with one of `lfs` as their ending, in
the large file storage. Its client must be told where the hub is before it is imported, or by
`FakeHub.seen_by`.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_of_a_test"


@dataclass
class Repository:
    """Files by path at each commit, and the commit of each branch."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Put files onto a branch; return the id of the commit."""
        oid = hashlib.sha1(f"{branch} {len(self.commits)}".encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def find(self, revision: str) -> str | None:
        """Id of the commit of a branch or a commit."""
        oid = self.branches.get(revision, revision)
        return oid if oid in self.commits else None


class FakeHub:
    """A hub that runs in a thread.

    Attributes:
        url: of the hub.
        repositories: by id.
        lfs: endings of files that go to the large file storage.
        calls: method and path of all requests.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.lfs: tuple[str, ...] = ()
        self.calls: list[str] = []
        self.stored: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "FakeHub":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def files(self, hub_id: str, revision: str = "main") -> dict[str, bytes]:
        """Files of a repository, without git's own."""
        repository = self.repositories[hub_id]
        found = repository.commits[repository.find(revision) or ""]
        return {name: content for name, content in found.items() if name != ".gitattributes"}

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Refuse connections inside the block, as a machine without a network does."""
        address = self._server.server_address
        self.__exit__()
        yield
        handler = self._server.RequestHandlerClass
        self._server = ThreadingHTTPServer(address, handler)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Variables for a process that uses this hub; its cache is below `home`."""
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_TOKEN": TOKEN}
        return {**own, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", **more}

    def seen_by(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Let the client of this process use this hub, and a cache below `home`."""
        from huggingface_hub import constants, hf_api

        for name, value in self.environment(home).items():
            monkeypatch.setenv(name, value)
        template = f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        values = {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in values.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(hf_api.api, "endpoint", self.url)


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            self._answer()

        do_GET = do_HEAD = do_PUT = do_POST

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.calls.append(f"{self.command} {path}")
            length = int(self.headers.get("Content-Length") or 0)
            self.body = self.rfile.read(length)
            for pattern, answer in ROUTES.items():
                if found := re.fullmatch(pattern, f"{self.command} {path}"):
                    return getattr(self, answer)(**found.groupdict())
            self._say({"error": f"the fake hub has no {self.command} {path}"}, 501)

        def _say(self, value: Any, status: int = 200, code: str | None = None) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            self.wfile.write(content)

        def _may_write(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return True
            self._say({"error": "Invalid username or password."}, 401)
            return False

        def _at(self, hub_id: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
            """Commit and files of a revision; without one, the answer is sent."""
            repository = hub.repositories.get(hub_id)
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repository is None or (repository.private and not known):
                self._say({"error": "Repository not found"}, 404, "RepoNotFound")
            elif (commit := repository.find(revision)) is None:
                self._say({"error": "Invalid rev id"}, 404, "RevisionNotFound")
            else:
                return commit, repository.commits[commit]
            return None

        def create(self) -> None:
            if not self._may_write():
                return
            asked = json.loads(self.body)
            hub_id = f"{asked['organization']}/{asked['name']}"
            status = 409 if hub_id in hub.repositories else 200
            if status == 200:
                repository = Repository(asked.get("visibility") == "private")
                repository.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
                hub.repositories[hub_id] = repository
            self._say({"url": f"{hub.url}/{hub_id}"}, status)

        def branch(self, hub_id: str, revision: str) -> None:
            if not self._may_write():
                return
            branches = hub.repositories[hub_id].branches
            status = 409 if revision in branches else 200
            branches.setdefault(revision, branches["main"])
            self._say({}, status)

        def validate(self) -> None:
            header = json.loads(self.body)["content"]
            good = header.startswith("---\n") and "license: nonsense" not in header
            errors = [] if good else [{"message": '"license" must be one of [mit]'}]
            self._say({"errors": errors, "warnings": []}, 200 if good else 400)

        def preupload(self, hub_id: str, revision: str) -> None:
            if self._may_write() and (found := self._at(hub_id, revision)):
                asked = [(f["path"], f["path"].endswith(hub.lfs or ("\0",))) for f in self._files()]
                told = [
                    {"path": p, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
                    | {"oid": _git_oid(found[1][p]) if p in found[1] and not large else None}
                    for p, large in asked
                ]
                self._say({"files": told})

        def _files(self) -> list[dict[str, Any]]:
            return json.loads(self.body)["files"]

        def batch(self, hub_id: str) -> None:
            objects = json.loads(self.body)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{hub.url}/storage/{each['oid']}"}}
            self._say({"transfer": "basic", "objects": objects})

        def store(self, oid: str) -> None:
            assert hashlib.sha256(self.body).hexdigest() == oid
            hub.stored[oid] = self.body
            self._say(b"")

        def commit(self, hub_id: str, revision: str) -> None:
            if not (self._may_write() and (found := self._at(hub_id, revision))):
                return
            files = dict(found[1])
            for line in self.body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = hub.stored[value["oid"]]
                elif entry["key"] == "deletedFile":
                    del files[value["path"]]
            oid = hub.repositories[hub_id].commit(revision, files)
            url = f"{hub.url}/{hub_id}/commit/{oid}"
            self._say({"success": True, "commitOid": oid, "commitUrl": url})

        def info(self, hub_id: str, revision: str = "main") -> None:
            if found := self._at(hub_id, revision):
                siblings = [{"rfilename": name} for name in found[1]]
                self._say({"id": hub_id, "sha": found[0], "siblings": siblings})

        def tree(self, hub_id: str, revision: str) -> None:
            if found := self._at(hub_id, revision):
                self._say([_entry(hub, *item) for item in sorted(found[1].items())])

        def resolve(self, hub_id: str, revision: str, name: str) -> None:
            if not (found := self._at(hub_id, revision)):
                return
            content = found[1].get(name)
            if content is None:
                return self._say({"error": "Entry not found"}, 404, "EntryNotFound")
            entry = _entry(hub, name, content)
            self.send_response(200)
            self.send_header("X-Repo-Commit", found[0])
            self.send_header("ETag", f'"{entry.get("lfs", entry)["oid"]}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    return Handler


ID = r"(?P<hub_id>[^/]+/[^/]+)"
REVISION = r"(?P<revision>.+)"
ROUTES = {
    r"POST /api/repos/create": "create",
    rf"POST /api/models/{ID}/branch/{REVISION}": "branch",
    r"POST /api/validate-yaml": "validate",
    rf"POST /api/models/{ID}/preupload/{REVISION}": "preupload",
    rf"POST /api/models/{ID}/commit/{REVISION}": "commit",
    rf"POST /{ID}\.git/info/lfs/objects/batch": "batch",
    r"PUT /storage/(?P<oid>[0-9a-f]{64})": "store",
    rf"GET /api/models/{ID}": "info",
    rf"GET /api/models/{ID}/revision/{REVISION}": "info",
    rf"GET /api/models/{ID}/tree/{REVISION}": "tree",
    rf"(HEAD|GET) /{ID}/resolve/(?P<revision>[^/]+)/(?P<name>.+)": "resolve",
}


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(hub: FakeHub, name: str, content: bytes) -> dict[str, Any]:
    """A file of a listing."""
    entry = {"type": "file", "path": name, "size": len(content), "oid": _git_oid(content)}
    if hub.lfs and name.endswith(hub.lfs):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return entry
