import threading
from collections.abc import Iterator

import pytest

from hc_assets.lake.background import BackgroundWorker, prefetched


def test_things_are_done_in_order_beside_the_caller():
    done: list[int] = []
    threads: set[int] = set()

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        done.append(number)

    with BackgroundWorker() as beside:
        for number in range(50):
            beside.run(lambda number=number: work(number))
    assert done == list(range(50))
    assert threading.get_ident() not in threads


def test_what_went_wrong_beside_is_raised_in_the_caller():
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), BackgroundWorker() as beside:
        beside.run(fail)
        beside.run(lambda: None)
    with pytest.raises(OSError, match="disk full"), BackgroundWorker() as beside:
        beside.run(fail)


def test_the_callers_own_error_is_not_hidden():
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(ValueError, match="mine"), BackgroundWorker() as beside:
        beside.run(fail)
        raise ValueError("mine")


def test_items_come_in_order_and_at_most_one_is_made_ahead():
    made = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    passed = []
    for item in prefetched(items()):
        passed.append(item)
        assert len(made) <= len(passed) + 2
    assert passed == list(range(20))


def test_an_error_of_the_items_comes_after_those_before_it():
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_items_are_closed_when_the_caller_stops():
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    found = prefetched(items())
    assert next(found) == 0
    found.close()
    assert closed.is_set()
