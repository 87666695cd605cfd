"""Choice of what the model does next: a round of pieces that are decoded together."""

from collections.abc import Sequence

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.serve.job import SpeechJob

Share = tuple[SpeechJob, list[tuple[int, int]]]
"""A job, and the pieces of it that a round takes: (start, end) in samples."""


def choose_round(jobs: Sequence[SpeechJob], batch_seconds: float) -> list[Share]:
    """Choose the pieces of the next round, and count them as taken.

    The round is of the kind of the first job, the one that has waited longest. Jobs take turns,
    piece by piece, so that a long recording does not hold up the short ones. A streamed job starts
    with one piece and doubles its share each time: its first piece comes early, and the rest is
    decoded in large batches.

    Args:
        jobs: jobs with pieces left, in the order in which they have waited.
        batch_seconds: most seconds of audio, unless the first piece alone has more.

    Returns:
        Jobs with their pieces, in the order of `jobs`.
    """
    alike = [job for job in jobs if job.kind == jobs[0].kind]
    first = {job: job.taken for job in alike}
    room = {job: max(1, job.taken) if job.is_streamed else len(job.cuts) for job in alike}
    left = batch_seconds * SAMPLE_RATE
    turn = [job for job in alike if not job.is_taken]
    is_first = True
    while turn:
        for job in list(turn):
            start, end = job.cuts[job.taken]
            if end - start > left and not is_first:
                return _shares(alike, first)
            is_first = False
            left -= end - start
            job.taken += 1
            if job.is_taken or job.taken - first[job] == room[job]:
                turn.remove(job)
    return _shares(alike, first)


def _shares(jobs: Sequence[SpeechJob], first: dict[SpeechJob, int]) -> list[Share]:
    return [(job, job.cuts[first[job] : job.taken]) for job in jobs if job.taken > first[job]]
