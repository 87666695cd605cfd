"""Engine: the model of all domains, which encodes and decodes rounds of pieces."""

import logging
from collections.abc import Mapping, Sequence

from speechllm.data.speech.audio import AudioError
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.model.domains import DomainSwitch
from speechllm.model.encoder.encoder import Encoder
from speechllm.serve.api_error import no_audio
from speechllm.serve.job import SpeechJob
from speechllm.serve.metrics import ServeMetrics
from speechllm.serve.rounds import Share
from speechllm.task import Task
from speechllm.transcribe.pieces import EncodedPiece, decode_pieces, encode_piece

log = logging.getLogger(__name__)


class Engine:
    """Encoder, and model and decoder of each domain. One thread calls it.

    Args:
        switch: the model, with the domains that it can be switched to.
        encoder: of the model.
        configs: settings of the search by domain.
        metrics: counts rounds and pieces.

    Attributes:
        configs: settings of the search by domain.

    Raises:
        SpeechLLMError: a domain cannot be loaded, or does not suit the config. All are tried here,
            so that no request meets this.
    """

    def __init__(
        self,
        switch: DomainSwitch,
        encoder: Encoder,
        configs: Mapping[str, DecodeConfig],
        metrics: ServeMetrics,
    ):
        self._switch, self._encoder, self.metrics = switch, encoder, metrics
        self.configs = {domain: _for_texts(config) for domain, config in configs.items()}
        if len(switch.domains) == 1:  # then it can be done: it cannot be undone for another domain
            switch.model.freeze_for_search(self.configs[switch.home].precision)
        self._decoders = {
            domain: Decoder.load(switch.to(domain), self.configs[domain])
            for domain in reversed(switch.domains)
        }

    @property
    def domains(self) -> list[str]:
        """Names of the domains, the base first."""
        return self._switch.domains

    @property
    def task(self) -> Task:
        """Task of the model."""
        return self._switch.model.task

    def transcribe(self, shares: Sequence[Share]) -> None:
        """Transcribe a round, and add its pieces to the jobs' transcripts.

        A job whose audio the encoder cannot take is told so, and dropped; the others go on.

        Args:
            shares: jobs of one kind with their pieces.
        """
        domain = shares[0][0].transcript.domain
        window: list[tuple[SpeechJob, EncodedPiece]] = []
        for job, cuts in shares:
            try:
                for cut in cuts:
                    if job.is_dropped:
                        break
                    window.append(self._encoded(job, cut))
            except AudioError as error:
                job.tell(no_audio(error))
                job.drop()
        window = [(job, piece) for job, piece in window if not job.is_dropped]
        self.metrics.rounds.inc()
        self.metrics.pieces.inc(len(window))
        for seconds in decode_pieces([piece for _, piece in window], self._decoders[domain]):
            self.metrics.audio.labels(domain).inc(seconds)

    def _encoded(self, job: SpeechJob, cut: tuple[int, int]) -> tuple[SpeechJob, EncodedPiece]:
        piece = encode_piece(self._encoder, job.transcript, job.wave, cut, job.hotwords)
        return job, piece


def _for_texts(config: DecodeConfig) -> DecodeConfig:
    """Turn off, with a warning, what shows only in the records of `speechllm decode`."""
    off = {"confidence": False, "word_times": "none"}
    if left_out := [key for key, value in off.items() if getattr(config, key) != value]:
        log.warning("only `speechllm decode` has this, so it is left out: %s", ", ".join(left_out))
    return config.model_copy(update=off)
