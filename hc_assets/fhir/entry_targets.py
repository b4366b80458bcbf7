"""Where references to a bundle's entries lead: the fullUrls of files, read when asked for.

Belongs here: reading them from the raw rows of a batch without reading the whole batch. Replacing
references is in `references.py`.
"""

from collections.abc import Iterable
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.fhir.requests import IDENTITY, known_id

_CACHED_BATCHES = 2
# Batches of rows that follow one another come from the same few row groups.
_CACHED_GROUPS = 4
_COLUMNS = ["source_sha256", *IDENTITY]


def entry_targets(parts: tuple[str, ...], files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Say what the fullUrls of some files stand for.

    Args:
        parts: paths of the raw parts of the batch.
        files: hashes of the files.

    Returns:
        `<type>/<id>` by fullUrl, by hash of the file. A fullUrl that a file gives to several
        resources stands for none.
    """
    places = _row_groups(parts)
    wanted = set(files)
    found: dict[str, dict[str, str]] = {file: {} for file in wanted}
    ambiguous: set[tuple[str, str]] = set()
    groups = sorted({place for file in wanted for place in places.get(file, ())})
    for place in groups:
        for sha256, target, full_url in _entries_of(*place):
            if sha256 in wanted and found[sha256].setdefault(full_url, target) != target:
                ambiguous.add((sha256, full_url))
    for sha256, full_url in ambiguous:
        del found[sha256][full_url]
    return found


@lru_cache(maxsize=_CACHED_GROUPS)
def _entries_of(path: str, group: int) -> list[tuple[str, str, str]]:
    """Hash of the file, `<type>/<id>` and fullUrl of the entries of a row group that have them."""
    with UPath(path).open("rb") as stream, pq.ParquetFile(stream) as file:
        rows = file.read_row_group(group, _COLUMNS)
    listed = (rows[name].to_pylist() for name in _COLUMNS)
    entries = []
    for sha256, type_, id_, full_url, *rest in zip(*listed, strict=True):
        if full_url is None or type_ is None:
            continue
        known = id_ or known_id(dict(zip(IDENTITY, (type_, id_, full_url, *rest), strict=True)))
        if known is not None:
            entries.append((sha256, f"{type_}/{known}", full_url))
    return entries


@lru_cache(maxsize=_CACHED_BATCHES)
def _row_groups(parts: tuple[str, ...]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Part and row group of the rows that have a fullUrl, by hash of their file."""
    places: dict[str, list[tuple[str, int]]] = {}
    for path in parts:
        with UPath(path).open("rb") as stream, pq.ParquetFile(stream) as file:
            full_url = file.schema_arrow.get_field_index("full_url")
            for group in range(file.num_row_groups):
                known = file.metadata.row_group(group).column(full_url).statistics
                if known is not None and known.has_null_count and not known.num_values:
                    continue  # lines have no fullUrl
                hashes = file.read_row_group(group, ["source_sha256"])["source_sha256"]
                for sha256 in pc.unique(pa.chunked_array(hashes)).to_pylist():
                    places.setdefault(sha256, []).append((path, group))
    return {sha256: tuple(listed) for sha256, listed in places.items()}
