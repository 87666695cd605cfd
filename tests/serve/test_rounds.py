"""The choice of a round: one kind, turns, early first pieces; and when it begins."""

import asyncio
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.serve.job import SpeechJob
from speechllm.serve.limits import ServeLimits
from speechllm.serve.rounds import Share, choose_round
from speechllm.serve.worker import Worker


class Said:
    def __init__(self, domain: str):
        self.domain = domain


def job(
    seconds: list[int], domain: str = "base", streamed: bool = False, words: tuple[str, ...] = ()
) -> Any:
    loop = asyncio.new_event_loop()
    loop.close()
    cuts, start = [], 0
    for length in seconds:
        cuts.append((start, start + length * SAMPLE_RATE))
        start = cuts[-1][1]
    wave: Any = None
    said: Any = Said(domain)
    return SpeechJob(said, wave, cuts, words, streamed, loop)


def sizes(jobs: list[Any], seconds: float) -> list[tuple[int, int]]:
    """(number of the job, pieces) of the next round."""
    return [(jobs.index(job), len(cuts)) for job, cuts in choose_round(jobs, seconds)]


def test_a_round_is_of_one_kind() -> None:
    jobs = [job([5]), job([5], "farm"), job([5]), job([5], words=("beet",))]
    assert sizes(jobs, 100) == [(0, 1), (2, 1)]


def test_a_long_recording_does_not_hold_up_short_ones() -> None:
    jobs = [job([30] * 20), job([5]), job([5])]
    assert sizes(jobs, 100) == [(0, 3), (1, 1), (2, 1)]
    assert [one.taken for one in jobs] == [3, 1, 1]


def test_a_stream_begins_with_one_piece_and_doubles() -> None:
    jobs = [job([5] * 20, streamed=True)]
    assert [sizes(jobs, 1000)[0][1] for _ in range(5)] == [1, 1, 2, 4, 8]


@pytest.mark.parametrize("seconds", [1, 30])
def test_a_piece_that_is_longer_than_a_round_goes_alone(seconds: int) -> None:
    jobs = [job([30, 30]), job([30])]
    assert sizes(jobs, seconds) == [(0, 1)]


class Rounds:
    """Stands in for an engine, and keeps the rounds that it is given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.had_one = threading.Event()

    def transcribe(self, shares: list[Share]) -> None:
        self.sizes.append(len(shares))
        self.had_one.set()


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


@pytest.fixture
def worker(rounds: Any) -> Iterator[Worker]:
    """A worker that lingers for a second."""
    worker = Worker(rounds, ServeLimits(linger=1000))
    worker.start()
    yield worker
    worker.end()


def waiting() -> Any:
    one = job([1])
    one.wave, one.transcript.pieces = io.BytesIO(), []
    return one


def test_jobs_that_are_expected_come_into_the_first_round(rounds: Rounds, worker: Worker) -> None:
    worker.submit(waiting())
    with worker.expecting():
        assert not rounds.had_one.wait(1.5)
        worker.submit(waiting())
    assert rounds.had_one.wait(20)
    assert rounds.sizes == [2]


def test_each_job_that_comes_lets_the_model_wait_for_one_more(
    rounds: Rounds, worker: Worker
) -> None:
    for _ in range(4):
        worker.submit(waiting())
        rounds.had_one.wait(0.5)
    assert rounds.had_one.wait(20)
    assert rounds.sizes == [4]
