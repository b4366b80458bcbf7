"""Rows into record batches, such that a row that does not fit the schema costs itself.

Belongs here: that, and finding the rows that stand for failures. The fence is in `core/fence.py`;
what becomes of a failure is up to each table.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced

Row = dict[str, Any]
Failed = Callable[[Row, InternalError], Row]


def divided_batch(
    rows: Sequence[Row], schema: pa.Schema
) -> tuple[pa.RecordBatch, list[tuple[Row, InternalError]]]:
    """Make a record batch of the rows that can be made one.

    Args:
        rows: in order.
        schema: of the batch.

    Returns:
        The batch, and the rows that are not in it, each with what was raised for it.
    """
    whole = fenced(_batch_of, rows, schema)
    if not isinstance(whole, InternalError):
        return whole, []
    kept, failures = [], []
    for row in rows:
        alone = fenced(_batch_of, [row], schema)
        if isinstance(alone, InternalError):
            failures.append((row, alone))
        else:
            kept.append(row)
    return _batch_of(kept, schema), failures


def whole_batch(rows: Sequence[Row], schema: pa.Schema, failed: Failed) -> pa.RecordBatch:
    """Make a record batch of all rows.

    Args:
        rows: in order.
        schema: of the batch.
        failed: makes the row that stands for one that can't be a row of the schema.
    """
    whole = fenced(_batch_of, rows, schema)
    if not isinstance(whole, InternalError):
        return whole
    made = []
    for row in rows:
        alone = fenced(_batch_of, [row], schema)
        made.append(failed(row, alone) if isinstance(alone, InternalError) else row)
    return _batch_of(made, schema)


def errors_in(reasons: str | Sequence[str] | None) -> list[InternalError]:
    """What was raised for a row, as its reason, or its list of warnings, tells it."""
    texts = [reasons] if isinstance(reasons, str) else reasons or ()
    return [error for text in texts if (error := InternalError.of_text(text)) is not None]


def _batch_of(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema)
