"""A fence around the rows of a record batch, for what is done to whole columns at once.

Belongs here: finding the rows that raise. What one row raises, alone, is fenced in by `fence.py`.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced

R = TypeVar("R")

# Few levels, since a row that takes too long does so on each; and few pieces, since a call for
# columns costs more than a row of them.
_PIECES = 16


def fenced_rows(
    function: Callable[[pa.RecordBatch], R],
    rows: pa.RecordBatch,
    otherwise: Callable[[pa.RecordBatch, InternalError], R],
) -> Iterator[R]:
    """Call a function for rows at once; where that raises, for ever fewer of them.

    Args:
        function: makes of rows what it makes of each of them alone.
        rows: at least one, or none at all.
        otherwise: makes the result of a row for which the function raises, by itself.

    Yields:
        Results in the order of the rows.

    Raises:
        Exception: as `fenced`; and what `otherwise` raises.
    """
    made = fenced(function, rows)
    if not isinstance(made, InternalError):
        yield made
    elif rows.num_rows <= 1:
        yield otherwise(rows, made)
    else:
        step = -(-rows.num_rows // _PIECES)
        for start in range(0, rows.num_rows, step):
            yield from fenced_rows(function, rows.slice(start, step), otherwise)
