import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib import import_module
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.core.compute import InPlace, executor, in_order

# What workers are sent functions of: each must import without Dagster.
WORKER_MODULES = (
    "hc_assets.fhir.bundles.workers",
    "hc_assets.fhir.validation.workers",
    "hc_assets.fhir.enrichment.workers",
    "hc_assets.fhir.validation.files",
    "hc_assets.imaging.headers.workers",
    "hc_assets.imaging.quality.workers",
    "hc_assets.imaging.preprocessing.workers",
)


class Recording(Executor):
    """Runs nothing until it is asked for a result, and keeps count of what is in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.most = 0
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        recording = self

        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                recording.in_flight -= 1
                return fn(*args, **kwargs)

        future = Lazy()
        self.futures.append(future)
        return future


def double(number: int) -> int:
    return 2 * number


def refuse(number: int) -> int:
    if number == 3:
        raise LookupError("three")
    return number


# --- In place or in processes ---


@pytest.mark.parametrize(("units", "workers"), [(1, 0), (1, 8), (0, 8), (5, 1)])
def test_what_one_can_do_alone_runs_in_place(units, workers):
    pool = executor(units, workers)
    assert isinstance(pool, InPlace)
    assert pool.submit(os.getpid).result() == os.getpid()


def test_a_unit_in_place_runs_at_once_and_keeps_its_exception_for_the_result():
    done = []
    future = InPlace().submit(done.append, 1)
    assert done == [1]
    assert future.done()
    failed = InPlace().submit(refuse, 3)
    assert isinstance(failed.exception(), LookupError)
    with pytest.raises(LookupError, match="three"):
        failed.result()


def test_several_units_run_in_other_processes():
    # A function without a name in a module is sent as it is: workers can't import this file.
    pids = set(in_order(executor(4, workers=2), lambda _: os.getpid(), range(4)))
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_results_of_processes_keep_the_order_of_the_units():
    assert list(in_order(executor(50, workers=2), abs, range(-50, 0))) == list(range(50, 0, -1))


def test_an_exception_in_a_process_comes_out_as_it_is_and_the_processes_live_on():
    units = ["1", "2", "no number", "4"]
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_order(executor(4, workers=2), int, units))
    assert list(in_order(executor(4, workers=2), int, ["5", "6"])) == [5, 6]


def test_workers_do_not_import_dagster():
    def slow_modules(names: tuple[str, ...]) -> dict[str, list[str]]:
        found = {}
        for name in names:
            import_module(name)
            found[name] = sorted({"dagster", "duckdb"} & sys.modules.keys())
        return found

    executor(2, workers=2).shutdown(kill_workers=True)  # they may know what other tests sent them
    (found,) = in_order(executor(2, workers=2), slow_modules, [WORKER_MODULES])
    assert found == {name: [] for name in WORKER_MODULES}


# --- Order, bounds, failures ---


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_the_order_is_kept_and_no_more_than_the_bound_is_in_flight(units, in_flight):
    pool = Recording()
    assert list(in_order(pool, double, units, in_flight=in_flight)) == [2 * n for n in units]
    assert pool.most == min(in_flight, len(units))
    assert pool.in_flight == 0


def test_units_are_read_only_as_far_as_the_bound_asks():
    read = []

    def units() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    results = in_order(InPlace(), double, units(), in_flight=4)
    assert read == []
    assert next(results) == 0
    assert read == [0, 1, 2, 3]
    assert next(results) == 2
    assert read == [0, 1, 2, 3, 4]
    results.close()
    assert len(read) == 5


def test_the_order_is_kept_where_later_units_are_done_first():
    first_may_end = Event()

    def unit(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(300)
        else:
            first_may_end.set()
        return number

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(pool, unit, range(6))) == list(range(6))


def test_an_exception_surfaces_in_its_place_and_cancels_what_has_not_begun():
    pool = Recording()
    results = in_order(pool, refuse, range(10), in_flight=4)
    assert [next(results), next(results), next(results)] == [0, 1, 2]
    with pytest.raises(LookupError, match="three"):
        next(results)
    assert len(pool.futures) < 10
    assert all(future.cancelled() for future in pool.futures[4:])
    assert next(results, "over") == "over"


def test_whoever_stops_early_cancels_what_has_not_begun():
    pool = Recording()
    results = in_order(pool, double, range(10), in_flight=4)
    next(results)
    results.close()
    assert [future.cancelled() for future in pool.futures] == [False, True, True, True]


def test_an_exception_of_the_units_themselves_surfaces():
    def units() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    pool = Recording()
    with pytest.raises(OSError, match="disk"):
        list(in_order(pool, double, units()))
    assert pool.futures[0].cancelled()
