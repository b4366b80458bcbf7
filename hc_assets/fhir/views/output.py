"""Rows of a view as CSV, NDJSON or Parquet.

Belongs here: what a value looks like in each of them. In NDJSON decimals are numbers with all their
digits.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hc_assets.fhir.views.definition import Family, View
from hc_assets.fhir.views.table import arrow_schema


class OutputFormat(StrEnum):
    """Formats of `views run`."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


def write_rows(
    view: View, batches: Iterable[pa.RecordBatch], format_: OutputFormat, sink: IO[bytes]
) -> None:
    """Write the rows of a view.

    Args:
        view: whose rows they are.
        batches: the rows.
        format_: how.
        sink: where to.
    """
    if format_ is OutputFormat.PARQUET:
        with pq.ParquetWriter(sink, arrow_schema(view), compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    elif format_ is OutputFormat.CSV:
        sink.write(_csv([[column.name for column in view.columns()]]))
        for batch in batches:
            sink.write(_csv(map(_texts, zip(*_columns(batch), strict=True))))
    else:
        for batch in batches:
            sink.write(ndjson_lines(view, batch))


def ndjson_lines(view: View, batch: pa.RecordBatch) -> bytes:
    """Rows as lines of JSON."""
    families = {column.name: column.family for column in view.columns()}
    return msgspec.json.Encoder().encode_lines([_json(row, families) for row in batch.to_pylist()])


def _columns(batch: pa.RecordBatch) -> list[list[Any]]:
    return [column.to_pylist() for column in batch.columns]


def _texts(row: Iterable[Any]) -> list[str]:
    return [_text(value) for value in row]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, list) else str(value)


def _csv(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _json(row: Mapping[str, Any], families: Mapping[str, Family]) -> dict[str, Any]:
    return {
        name: _numbers(value) if families[name] == "decimal" else value
        for name, value in row.items()
    }


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return None if value is None else msgspec.Raw(value.encode())
