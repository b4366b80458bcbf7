import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.core.errors import DamagedLakeError
from hc_assets.core.fence import InternalError
from hc_assets.core.fenced_rows import fenced_rows


def batch(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"number": pa.array(range(count), pa.int64())})


@given(st.integers(0, 300), st.sets(st.integers(0, 299), max_size=5))
def test_only_the_rows_that_raise_are_made_otherwise(count: int, bad: set[int]) -> None:
    def function(rows: pa.RecordBatch) -> list[int]:
        numbers: list[int] = rows["number"].to_pylist()
        if bad.intersection(numbers):
            raise MemoryError
        return numbers

    def otherwise(row: pa.RecordBatch, failure: InternalError) -> list[int]:
        assert "MemoryError" in failure.error
        return [-1 - number for number in row["number"].to_pylist()]

    made = [number for each in fenced_rows(function, batch(count), otherwise) for number in each]

    assert made == [-1 - number if number in bad else number for number in range(count)]


def test_what_is_not_the_rows_fault_is_raised() -> None:
    def function(_: pa.RecordBatch) -> None:
        raise DamagedLakeError("a part")

    with pytest.raises(DamagedLakeError):
        list(fenced_rows(function, batch(3), lambda _, __: None))
