"""Counts for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)


class ServeMetrics:
    """Counts of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        said = {"namespace": "speechllm", "registry": registry}
        self.requests = Counter("requests", "Transcriptions, by status", ["status"], **said)
        self.seconds = Histogram(
            "request_seconds", "Duration of transcriptions", buckets=BUCKETS, **said
        )
        self.open = Gauge("requests_open", "Transcriptions that are open", **said)
        self.audio = Counter("audio_seconds", "Audio transcribed, by domain", ["domain"], **said)
        self.rounds = Counter("rounds", "Batches that the model was given", **said)
        self.pieces = Counter("pieces", "Pieces in these batches", **said)

    def text(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)
