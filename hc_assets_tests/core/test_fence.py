import errno
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from loky import get_reusable_executor
from loky.process_executor import TerminatedWorkerError

from hc_assets.core.compute import NativeCodeTimeoutError, executor, in_order
from hc_assets.core.errors import DamagedLakeError
from hc_assets.core.fence import ROW_SECONDS, InternalError, fenced, fenced_each, row_seconds
from hc_assets.core.settings import CoreSettings
from hc_assets.core.transient import is_transient


def raising(error: BaseException) -> None:
    raise error


def recursing(number: int) -> int:
    return recursing(number + 1)


def test_a_result_passes_through_the_fence() -> None:
    assert fenced(divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize(
    "error", [ValueError("Doe"), KeyError("Doe"), MemoryError(), AttributeError("Doe")]
)
def test_what_is_raised_is_a_value_that_names_class_and_place_and_no_text(
    error: Exception,
) -> None:
    failure = fenced(raising, error)

    assert isinstance(failure, InternalError)
    assert type(error).__name__ in failure.text
    assert "Doe" not in failure.text
    assert InternalError.of_text(failure.text) == failure


def test_another_reason_is_no_internal_error() -> None:
    assert InternalError.of_text("not JSON: trailing characters") is None


def test_recursion_without_end_costs_the_row() -> None:
    failure = fenced(recursing, 0)

    assert isinstance(failure, InternalError)
    assert "RecursionError" in failure.text


@pytest.mark.parametrize(
    "error",
    [DamagedLakeError("a part"), OSError(errno.ENOSPC, "full"), ConnectionError(), TimeoutError()],
)
def test_what_is_not_the_rows_fault_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        fenced(raising, error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_an_interruption_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)):
        fenced(raising, error)


def test_a_generator_that_raises_ends_with_its_failure() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError

    first, second, failure = fenced_each(items())

    assert (first, second) == (1, 2)
    assert isinstance(failure, InternalError)


def test_what_cannot_be_iterated_is_its_own_failure() -> None:
    (failure,) = fenced_each(None)  # type: ignore[arg-type]

    assert isinstance(failure, InternalError)


def test_a_row_that_takes_too_long_costs_itself() -> None:
    with row_seconds(0.2):
        failure = fenced(partial(time.sleep, 60))
        after = fenced(divmod, 7, 2)

    assert isinstance(failure, InternalError)
    assert "RowTimeoutError" in failure.text
    assert after == (3, 1)


def test_the_setting_bounds_rows_as_workers_do_by_themselves() -> None:
    assert CoreSettings.model_fields["row_seconds"].default == ROW_SECONDS


def test_a_row_in_another_thread_has_no_bound() -> None:
    results = []
    with row_seconds(0.05):
        thread = threading.Thread(target=lambda: results.append(fenced(time.sleep, 0.3)))
        thread.start()
        thread.join()

    assert results == [None]


NATIVE_CODE_THAT_NEVER_RETURNS = """
import ctypes
from hc_assets.core.fence import fenced, row_seconds
from hc_assets.core.places import at

library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
with row_seconds(0.2), at("file 0a1b"):
    fenced(library.pthread_mutex_lock, mutex)
"""


def test_a_process_whose_native_code_does_not_return_ends_itself() -> None:
    pool = get_reusable_executor(max_workers=1, timeout=5)

    with pytest.raises(TerminatedWorkerError):
        pool.submit(exec, NATIVE_CODE_THAT_NEVER_RETURNS).result(timeout=60)


def test_it_is_said_and_not_tried_again() -> None:
    pool = executor(2, 2)

    with pytest.raises(NativeCodeTimeoutError, match="seconds in native code") as caught:
        list(in_order(pool, exec, [NATIVE_CODE_THAT_NEVER_RETURNS] * 2, row_seconds=0.2))

    assert not is_transient(caught.value)


def test_no_thread_is_left_where_no_time_is_bounded() -> None:
    with row_seconds(600):
        fenced(divmod, 7, 2)
        assert "row-seconds" in {thread.name for thread in threading.enumerate()}
    assert "row-seconds" not in {thread.name for thread in threading.enumerate()}
