"""A place where nothing is written but what may be, and nothing is run."""

import contextlib
import io
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from speechllm import cli
from speechllm.errors import SpeechLLMError, bounded
from speechllm.files.os_errors import describe

MOST_OUTPUT = 30_000
"""Characters that a command may write about inputs as small as these."""
NO_MEMORY = re.compile("MemoryError|(unable to|cannot|can't) allocate|out of memory", re.IGNORECASE)
COMMANDS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
# What is changed, and the folder (its descriptor) that its name is relative to: by their places.
CHANGES = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
}
_watcher: list["Watched"] = []


class Watched:
    """What happened that must not.

    Attributes:
        may_write: folders.
        faults: events.
    """

    def __init__(self, may_write: list[Path]):
        self.may_write = [os.path.realpath(path) for path in may_write]
        self.faults: list[str] = []

    def see(self, event: str, args: tuple) -> None:
        if event == "subprocess.Popen" and args[1][0] == "git":
            return  # which says what a result was made with
        if event in COMMANDS or event == "socket.connect" or event == "pickle.find_class":
            self.faults.append(f"{event} {args!r}"[:300])
        elif event == "open" and isinstance(args[0], str | bytes) and self._writes(args):
            self._check(event, args[0])
        for path, folder in CHANGES.get(event, ()):
            self._check(event, args[path], -1 if folder is None else args[folder])

    @staticmethod
    def _writes(args: tuple) -> bool:
        mode, flags = args[1], args[2]
        return bool((mode and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR))

    def _check(self, event: str, path: object, folder: int = -1) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        above = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else ""
        place = os.path.join(above, os.fsdecode(path))
        if event == "open":
            place = os.path.realpath(place)
        else:  # a link itself is changed, not where it leads to
            place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        if place != os.devnull and not any(_is_part(place, path) for path in self.may_write):
            self.faults.append(f"{event} {place}"[:300])


def _is_part(place: str, path: str) -> bool:
    """Whether a place is a path, below it, or a hidden file beside it (.x.lock of .x)."""
    is_hidden = os.path.basename(path).startswith(".")
    return Path(place).is_relative_to(path) or (is_hidden and place.startswith(f"{path}."))


def _hook(event: str, args: tuple) -> None:
    if _watcher:
        _watcher[-1].see(event, args)


sys.addaudithook(_hook)  # cannot be taken away again; it does nothing outside of `watched`


@contextlib.contextmanager
def watched(folder: Path, may_write: list[str]) -> Iterator[None]:
    """Run the block in `folder`; what it writes elsewhere, or runs, fails the test."""
    before = Path.cwd()
    seen = Watched([folder / name for name in may_write])
    os.chdir(folder)
    as_before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of modules not seen yet
    _watcher.append(seen)
    try:
        yield
    finally:
        _watcher.pop()
        sys.dont_write_bytecode = as_before
        os.chdir(before)
    assert not seen.faults, seen.faults


def attempt(action: Callable[[], object], command: bool) -> tuple[int, str]:
    """Run an action that must end well, or with an error that a user can mend.

    Args:
        action: calls a command, or a function of the library.
        command: which of both.

    Returns:
        0, or the exit code that goes with its error; and all that was said.
    """
    code = 0
    out = io.StringIO()
    log = logging.StreamHandler(out)
    log.setFormatter(cli.Formatter("%(message)s"))
    logger = logging.getLogger("speechllm")
    logger.addHandler(log)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            action()
    except SpeechLLMError as error:
        assert not command, "the command line shows no traceback of such an error"
        message = str(error)
        assert message == bounded(message) and message.strip()
        out.write(message)
        code = 1
    except OSError as error:
        assert not command and error.filename, "the command line would not know the file"
        out.write(describe(error))
        code = 1
    except SystemExit as end:
        assert command and end.code in (0, 1, 2), end.code
        assert end.code != 1 or "error: " in out.getvalue()
        code = int(end.code)
    finally:
        logger.removeHandler(log)
    said = out.getvalue()
    assert len(said) < MOST_OUTPUT, said[:2000]
    assert not NO_MEMORY.search(said), said[:2000]
    assert "Traceback" not in said and "a bug of speechllm" not in said, said[:2000]
    return code, said


def names_a_file(said: str, *folders: Path) -> bool:
    """Whether a text names a file or a folder below some folders, or one that ends as they do."""
    words = set(re.split(r"[\s:/,'\"()]+", said))
    paths = [path for folder in folders for path in folder.rglob("*")]
    endings = tuple({path.suffix for path in paths} - {""})
    return any(path.name in words for path in paths) or any(w.endswith(endings) for w in words)


def copied(whole: Path, place: Path) -> Path:
    """A fresh copy of a folder, in the place of the last."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    (place / "out").mkdir()
    return place
