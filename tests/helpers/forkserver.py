"""The `speechllm` command for tests that run whole recipes: dozens of processes, each of which
would import torch and transformers anew. Here one process imports them, and forks for each command.

What runs is `speechllm.cli.main`, in a process of its own with the caller's arguments, folder,
environment and files.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

CLIENT = """#!{python} -S
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
server.sendall(call)
sys.exit(int.from_bytes(server.recv(1) or b"\\1", "big"))
"""


@contextlib.contextmanager
def command_folder() -> Iterator[Path]:
    """A folder with a `speechllm` in it, to be put in front of PATH while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="speechllm-"))  # a socket's path must be short
    root = Path(__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, __file__, str(folder / "socket")],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout and server.stdout.readline() == b"ready\n"
        client = folder / "speechllm"
        client.write_text(CLIENT.format(python=sys.executable, path=str(folder / "socket")))
        client.chmod(0o755)
        yield folder
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def run_ranks(folder: Path, argv: Sequence[str], size: int = 2, code: int = 0) -> None:
    """Run a command as `torchrun --nproc_per_node=size` does, with the `speechllm` in `folder`.

    All processes must end with `code`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [folder / "speechllm", *argv],
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]
    assert [rank.wait() for rank in ranks] == [code] * size


def serve(path: str) -> None:
    """Import what the commands need; then fork for each one that asks."""
    import peft  # noqa: F401
    import torch  # noqa: F401
    from transformers import (  # noqa: F401
        AutoFeatureExtractor,
        AutoTokenizer,
        LlamaForCausalLM,
        Wav2Vec2BertModel,
    )

    import speechllm.adapt.run
    import speechllm.commands.decode
    import speechllm.decode.decode_sets
    import speechllm.report  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    while True:
        caller, _ = listener.accept()
        size, files, _, _ = socket.recv_fds(caller, 4, 3)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            os._exit(_answer(caller, int.from_bytes(size, "big"), files))
        for descriptor in files:
            os.close(descriptor)
        caller.close()


def _answer(caller: socket.socket, size: int, files: list[int]) -> int:
    """Run one command as the caller's; tell it the exit status."""
    from speechllm.cli import main

    call = b""
    while len(call) < size:
        call += caller.recv(size - len(call))
    argv, folder, environment = json.loads(call)
    for descriptor, file in enumerate(files):
        os.dup2(file, descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 1
    try:
        main(argv)
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(code.to_bytes(1, "big"))
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
