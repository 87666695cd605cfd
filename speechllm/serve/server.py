"""Server: uvicorn around the app; it stops when all open requests are answered."""

import logging
import socket
import time
from types import FrameType

import uvicorn

from speechllm.errors import SpeechLLMError
from speechllm.files.signals import AGAIN_SECONDS
from speechllm.serve.admission import Admission

log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Take an address, before the model is loaded; nothing can connect to it yet.

    Args:
        host: name or address of this machine.
        port: 0 is any free one.

    Raises:
        SpeechLLMError: the address cannot be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        message = f"{host}:{port} cannot be listened on ({error.strerror})"
        raise SpeechLLMError(message, "give another --port or --host") from error
    return taken


class Server(uvicorn.Server):
    """Server that on SIGTERM or SIGINT refuses new requests, and ends after the last open one.

    A second signal ends it at once.

    Args:
        config: uvicorn's, with the app.
        admission: of the app's requests.
    """

    def __init__(self, config: uvicorn.Config, admission: Admission):
        super().__init__(config)
        self._admission = admission
        self._asked = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = time.monotonic()
            self._admission.stopping = True
        elif time.monotonic() - self._asked > AGAIN_SECONDS:  # `timeout` sends its signal twice
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._asked and not self._admission.open:
            self.should_exit = True
        return await super().on_tick(counter)
