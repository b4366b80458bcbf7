"""Rows of several sources, taken apart: an id says something within its source only.

Belongs here: dividing rows, and what of a file's entries a source's rows may refer to. Which source
a row is of is found when it is split, in `fhir/bundles/sources.py`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hc_assets.core.source_names import is_base
from hc_assets.fhir.bundles.sources import address

Places = npt.NDArray[np.int64]


def by_source(rows: pa.RecordBatch) -> list[tuple[str | None, pa.RecordBatch, Places]]:
    """Divide rows by their source, in the order of the first of each.

    Args:
        rows: with the column source.

    Returns:
        Each source, its rows, and their numbers; once where there are no rows.
    """
    column = rows["source"]
    if column.null_count == len(column):
        return [(None, rows, np.arange(len(column)))]
    named = column.dictionary_encode(null_encoding="encode")
    sources = named.dictionary.to_pylist()
    if len(sources) == 1:
        return [(sources[0], rows, np.arange(len(column)))]
    which = named.indices.to_numpy()
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
    return [
        (sources[number], rows.take(pa.array(places)), places)
        for number, places in enumerate(parts)
    ]


def put_together(parts: list[tuple[pa.RecordBatch, Places]]) -> pa.RecordBatch:
    """Put rows that were divided in the order that they had."""
    if len(parts) == 1:
        return parts[0][0]
    table = pa.Table.from_batches([rows for rows, _ in parts]).combine_chunks()
    order = np.argsort(np.concatenate([places for _, places in parts]))
    (rows,) = table.take(pa.array(order)).combine_chunks().to_batches()
    return rows


def targets_of_source(
    targets: Mapping[str, Mapping[str, str]], source: str | None
) -> Mapping[str, Mapping[str, str]]:
    """Leave out what the addresses of other servers stand for: ids there are others here.

    Args:
        targets: `<type>/<id>` by fullUrl, by hash of the file.
        source: of the rows whose references are resolved. Where it is a name, all of its files are
            of that one source.
    """
    if source is not None and not is_base(source):
        return targets
    return {file: _of_source(of_file, source) for file, of_file in targets.items()}


def _of_source(targets: Mapping[str, str], source: str | None) -> Mapping[str, str]:
    others = {url for url in targets if "://" in url and _base(url) not in (None, source)}
    if not others:
        return targets
    return {url: target for url, target in targets.items() if url not in others}


def _base(url: str) -> str | None:
    found = address(url)
    return None if found is None else found.base
