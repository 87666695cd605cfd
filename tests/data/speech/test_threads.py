"""Results come in order, work does not run away from who takes them, and errors arrive."""

import threading
import time

import pytest

from speechllm.data.speech.threads import in_order


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_in_the_order_of_the_items(threads: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.01 if item % 3 == 0 else 0)
        return item * item

    assert list(in_order(work, range(10), threads)) == [n * n for n in range(10)]
    assert list(in_order(work, [], threads)) == []


def test_several_work_at_once() -> None:
    both = threading.Barrier(2, timeout=30)
    assert list(in_order(lambda item: both.wait() >= 0, range(2), 2)) == [True, True]


def test_work_is_no_further_ahead_than_there_are_threads() -> None:
    begun = []
    found = in_order(begun.append, range(10), 3)
    next(found)
    time.sleep(0.05)
    assert len(begun) <= 4


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_error_ends_it(threads: int) -> None:
    def work(item: int) -> int:
        if item >= 4:
            raise ValueError(item)
        return item

    found = in_order(work, range(100), threads)
    assert [next(found) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"^4$"):
        next(found)
