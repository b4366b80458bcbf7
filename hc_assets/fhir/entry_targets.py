"""Where references to a bundle's entries lead: the fullUrls of files, read when asked for.

Belongs here: reading them from the raw rows of a batch without reading the whole batch. Replacing
references is in `references.py`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.fhir.requests import IDENTITY, known_id

_CACHED_BATCHES = 2
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
    for path in dict.fromkeys(path for path, _ in groups):
        with UPath(path).open("rb") as stream, pq.ParquetFile(stream) as file:
            of_part = [group for other, group in groups if other == path]
            rows = file.read_row_groups(of_part, _COLUMNS)
            for row in rows.filter(pc.is_valid(rows["full_url"])).to_pylist():
                if row["source_sha256"] in wanted:
                    _add(found[row["source_sha256"]], row, ambiguous)
    for sha256, full_url in ambiguous:
        del found[sha256][full_url]
    return found


def _add(targets: dict[str, str], row: Mapping[str, str], ambiguous: set[tuple[str, str]]) -> None:
    id_ = known_id(row)
    if row["resource_type"] is None or id_ is None:
        return
    target = f"{row['resource_type']}/{id_}"
    if targets.setdefault(row["full_url"], target) != target:
        ambiguous.add((row["source_sha256"], row["full_url"]))


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
