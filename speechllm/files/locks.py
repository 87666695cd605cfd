"""Locks: one process at a time writes to a place, also if several machines share the disk.

A lock is a file that names its holder. It is made by link(2), which fails if the file exists, over
NFS too; locks of flock and fcntl are not seen by all machines there. The holder touches its lock
every `BEAT_SECONDS`. If it was killed, processes of its machine see that at once. Other machines
take it for dead when the lock was not touched for `STALE_SECONDS` of the file server's clock.
"""

import errno
import json
import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechllm.errors import SpeechLLMError, shell_word, shortened
from speechllm.files.processes import Process, is_first_rank, this_process

log = logging.getLogger(__name__)

LOCK = ".lock"
"""Name of the lock file in a folder."""
BEAT_SECONDS = 15.0
STALE_SECONDS = 300.0
POLL_SECONDS = 0.05
LONGEST_COMMAND = 200
RESTARTED = "SLURM_RESTART_COUNT"
"""Variable of jobs that Slurm has started again. Their lock may be held by the node that they were
on: it went down, or still ends them. So they wait until that lock is stale."""

_held: set[Path] = set()
"""Locks held by this process, which may take them again."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Holder:
    """Holder of a lock.

    Attributes:
        process: the process; None if the lock file does not say.
        told: contents of the lock file, with host, command and since.
        quiet: seconds since the lock was last touched, by the file server's clock.
    """

    process: Process | None
    told: dict[str, Any]
    quiet: float

    @property
    def is_gone(self) -> bool:
        if self.process and self.process.is_here:
            return self.process.is_dead
        return self.quiet > STALE_SECONDS


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make a folder, and hold the lock in it while the block runs; see `locked`."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, folder):
        yield


@contextmanager
def locked(path: Path, what: str | Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock while the block runs; the lock of a dead process is taken over.

    The same process may take it again. Under torchrun, the first process takes it for all.

    Args:
        path: the lock file.
        what: name of what is locked, for the error message.
        patience: seconds to wait for another holder.

    Raises:
        SpeechLLMError: another process holds it.
    """
    key = path.absolute()
    if key in _held or not is_first_rank():
        yield
        return
    if os.environ.get(RESTARTED):
        patience = max(patience, STALE_SECONDS + BEAT_SECONDS)
    lock = _Lock(path)
    try:
        lock.take(what, patience)
        _held.add(key)
        yield
    finally:
        _held.discard(key)
        lock.release()


def forget_dead(path: Path) -> None:
    """Remove a lock file whose holder has ended, if there is one."""
    _forget_guard(path)
    if path.exists() and (holder := _read(path)) and holder.is_gone:
        _Lock(path).clear(holder)


class _Lock:
    def __init__(self, path: Path):
        self.path, self.process = path, this_process()
        self._end = threading.Event()

    def take(self, what: str | Path, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self._make(self.path):
            holder = _read(self.path)
            if holder is None:
                continue  # released just now
            if holder.is_gone:
                self.clear(holder)
            elif time.monotonic() >= deadline:
                raise _refusal(self.path, what, holder)
            else:
                time.sleep(POLL_SECONDS)
        _forget_guard(self.path)
        threading.Thread(target=self._beat, name=f"lock {self.path}", daemon=True).start()

    def release(self) -> None:
        self._end.set()
        if self.process != this_process():
            return  # we are a forked copy of the holder
        holder = _read(self.path)
        if holder and holder.process == self.process:
            self.path.unlink(missing_ok=True)

    def _make(self, path: Path) -> bool:
        """Make a lock file; False if there is one already."""
        text = json.dumps(
            {
                **asdict(self.process),
                "host": socket.gethostname(),
                "command": shlex.join(["speechllm", *sys.argv[1:]]),
                "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
        )
        temporary = path.with_name(f"{path.name}.{self.process}.tmp")
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
            try:
                os.link(temporary, path)
            except FileExistsError:
                # Over NFS, the reply to a successful link may get lost; the retry fails so.
                return os.stat(temporary).st_nlink == 2
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _create(path, text + "\n")
            return True
        except OSError as error:
            error.filename, error.filename2 = str(path), None
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def clear(self, gone: Holder) -> None:
        """Remove the lock of a dead process; a second lock lets one process at a time try."""
        path, guard = self.path, _guard(self.path)
        if not self._make(guard):
            _forget_guard(path)
            time.sleep(POLL_SECONDS)
            return
        try:
            still = _read(path)
            if still and still.process == gone.process and still.is_gone:
                name = f"pid {gone.process.pid}" if gone.process else "an unknown process"
                host = gone.told.get("host", "an unknown host")
                log.info("%s: taken over: %s on %s has ended", path, name, host)
                path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Touch the lock until it is released; end this process if another one took the lock."""
        while not self._end.wait(BEAT_SECONDS):
            with suppress(OSError):
                holder = _read(self.path)
                if holder is None and not self._end.is_set():
                    self._make(self.path)  # somebody has removed it
                    holder = _read(self.path)
                if holder and holder.process != self.process and not self._end.is_set():
                    log.error("%s was taken by another process, so this one ends", self.path)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                os.utime(self.path)  # the server's time


def _guard(path: Path) -> Path:
    """Lock of those who remove a dead process's lock."""
    return path.with_name(f"{path.name}.taking")


def _forget_guard(path: Path) -> None:
    """Remove the guard of a lock if its holder has ended."""
    guard = _guard(path)
    if guard.exists() and (holder := _read(guard)) and holder.is_gone:
        guard.unlink(missing_ok=True)


def _create(path: Path, text: str) -> bool:
    """Make a file by O_EXCL, for file systems without links."""
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> Holder | None:
    """Read who holds a lock; None if nobody does."""
    try:
        with path.open("rb") as stream:  # open makes NFS ask its server
            content = stream.read()
            touched = os.fstat(stream.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        told = json.loads(content)
        process = Process(str(told["machine"]), int(told["pid"]), int(told["started"]))
    except (ValueError, TypeError, KeyError):
        told, process = {}, None  # damaged, or just being written
    quiet = 0.0 if process and process.is_here else _now(path) - touched
    return Holder(process, told, quiet)


def _now(path: Path) -> float:
    """Time by the clock of the file server, which may differ from this machine's."""
    probe = path.with_name(f"{path.name}.{this_process()}.clock.tmp")
    try:
        probe.touch()
        os.utime(probe)
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _refusal(path: Path, what: str | Path, holder: Holder) -> SpeechLLMError:
    if holder.process is None:
        return SpeechLLMError(
            f"{what} is locked by {path}, which does not say who holds it",
            f"rm {shell_word(path)}, once you are sure that nothing writes there",
        )
    host, since = _plain(holder.told.get("host")), _plain(holder.told.get("since"))
    pid = holder.process.pid
    message = (
        f"{what} is being written by another process: pid {pid} on {host}, since {since} "
        f"(start time {holder.process.started}): {_plain(holder.told.get('command'))}"
    )
    if holder.process.is_here:
        return SpeechLLMError(message, f"wait for its end, or end it: kill {pid}")
    return SpeechLLMError(
        message,
        f"wait for its end, or end it there; if it is dead, give the command again "
        f"{STALE_SECONDS:.0f} s after its last sign of life, which was {max(0.0, holder.quiet):.0f}"
        f" s ago, or rm {shell_word(path)} once you are sure",
    )


def _plain(text: object) -> str:
    """Text from a lock file as one printable line."""
    return shortened("".join(c if c.isprintable() else "?" for c in str(text)), LONGEST_COMMAND)
