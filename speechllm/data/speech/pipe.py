"""Commands of a wav.scp, run within bounds of time and output."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from functools import partial

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio_error import AudioError

PIPE_BYTES = 1 << 30  # bytes that a command in wav.scp may write at most
PIPE_SECONDS = 600.0  # seconds that it may run at most


def output_of(audio: Audio) -> bytes:
    """Run the command of a wav.scp line in bash and return what it writes to its standard output.

    Raises:
        AudioError: it fails, writes too much or runs too long.
    """
    command = audio.source.rstrip().removesuffix("|")
    # A session of its own, so that the time limit ends everything that the command started.
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    # A thread reads its stderr, since a full pipe would block it; only the tail is kept.
    complaint: deque[bytes] = deque(maxlen=2)
    pieces = iter(partial(process.stderr.read1, 4096), b"")
    reader = threading.Thread(target=complaint.extend, args=(pieces,), daemon=True)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(PIPE_SECONDS, expire)
    reader.start()
    timer.start()
    try:
        output = process.stdout.read(PIPE_BYTES + 1)
        if len(output) > PIPE_BYTES:
            raise AudioError(f"command wrote more than {PIPE_BYTES} bytes", audio)
        status = process.wait()
        if expired.is_set():
            raise AudioError(f"command ran longer than {PIPE_SECONDS:g} s", audio)
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
        process.stdout.close()
        reader.join(timeout=1)
    if status != 0:
        tail = b"".join(complaint)[-500:].decode("utf-8", errors="replace").strip()
        raise AudioError("command failed", audio, f"exit status {status}: {tail}".rstrip(": "))
    if not output:
        raise AudioError("command wrote nothing", audio)
    return output


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # Once it has been waited for, its number may belong to another process.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
