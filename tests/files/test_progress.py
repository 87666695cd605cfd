"""What progress says of the time that is left."""

import logging
import time

import pytest

from speechllm.files import progress
from speechllm.files.progress import Progress


@pytest.mark.parametrize(
    ("done", "expected"),
    [(1, "1/4 s, ETA 0:"), (4, "4/4 s, ETA 0:00:00"), (9, "9/4 s, ETA 0:00:00")],
)
def test_nothing_is_left_behind_the_end(monkeypatch, caplog, done, expected):
    """A run of seconds ends at the first step beyond them."""
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "speechllm")
    with Progress("training", 4, "s") as shown:
        shown._start -= 100.0
        shown.advance(done)
    assert f"training: {expected}" in caplog.messages[0]
    assert "day" not in caplog.text and time.monotonic() > shown._start
