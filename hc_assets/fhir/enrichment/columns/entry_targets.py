"""Where references to a bundle's entries lead: the fullUrls of files, read when asked for.

Belongs here: reading them from the raw rows of a batch without reading the whole batch. Replacing
references is in `fhir/references.py`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.lake.tables import opened_part

_CACHED_BATCHES = 2
# Batches of rows that follow one another come from the same few row groups.
_CACHED_GROUPS = 4
_COLUMNS = ["source_sha256", "resource_type", "resource_id", "full_url"]


def entry_targets(parts: tuple[str, ...], files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Find what the fullUrls of some files stand for.

    Args:
        parts: paths of the raw parts of the batch.
        files: hashes of the files.

    Returns:
        `<type>/<id>` by fullUrl, by hash of the file. A fullUrl that a file gives to several
        resources stands for none.
    """
    places = _row_groups(parts)
    found: dict[str, dict[str, str]] = {}
    for file in set(files):
        listed = [_entries_of(*place).get(file, []) for place in places.get(file, ())]
        found[file] = _targets([entries for of_group in listed for entries in of_group])
    return found


Entries = dict[str, str]


def _targets(several: Sequence[Entries]) -> Entries:
    """Put together what fullUrls stand for; those that stand for several resources, for none."""
    if len(several) == 1:
        return several[0]
    targets: Entries = {}
    ambiguous = set()
    for entries in several:
        for full_url, target in entries.items():
            if targets.setdefault(full_url, target) != target:
                ambiguous.add(full_url)
    for full_url in ambiguous:
        del targets[full_url]
    return targets


@lru_cache(maxsize=_CACHED_GROUPS)
def _entries_of(path: str, group: int) -> dict[str, list[Entries]]:
    """`<type>/<id>` by fullUrl of the entries of a row group that have both, by hash of the file.

    Several for a file whose rows are not together, or give a fullUrl twice.
    """
    with opened_part(path) as file:
        rows = file.read_row_group(group, _COLUMNS)
        if rows["resource_id"].null_count:
            rows = file.read_row_group(group, ["source_sha256", *IDENTITY])
    rows = rows.filter(pc.and_(pc.is_valid(rows["full_url"]), pc.is_valid(rows["resource_type"])))
    ids = rows["resource_id"]
    if ids.null_count:
        ids = pa.array([known_id(row) for row in rows.select(IDENTITY).to_pylist()], pa.string())
        rows, ids = rows.filter(pc.is_valid(ids)), pc.drop_null(ids)
    types = rows["resource_type"].cast(pa.string())
    targets = pc.binary_join_element_wise(types, ids, "/").to_pylist()
    full_urls = rows["full_url"].to_pylist()
    files = rows["source_sha256"].combine_chunks().dictionary_encode()
    numbers = files.indices.to_numpy()
    begins = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
    found: dict[str, list[Entries]] = {}
    for begin, end in pairwise([*begins, len(numbers)]):
        of_file = found.setdefault(files.dictionary[int(numbers[begin])].as_py(), [])
        pairs = list(zip(full_urls[begin:end], targets[begin:end], strict=True))
        entries = dict(pairs)
        of_file += [entries] if len(entries) == len(pairs) else [dict([pair]) for pair in pairs]
    return found


@lru_cache(maxsize=_CACHED_BATCHES)
def _row_groups(parts: tuple[str, ...]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Part and row group of the rows that have a fullUrl, by hash of their file."""
    places: dict[str, list[tuple[str, int]]] = {}
    for path in parts:
        with opened_part(path) as file:
            full_url = file.schema_arrow.get_field_index("full_url")
            for group in range(file.num_row_groups):
                known = file.metadata.row_group(group).column(full_url).statistics
                if known is not None and known.has_null_count and not known.num_values:
                    continue  # lines have no fullUrl
                hashes = file.read_row_group(group, ["source_sha256"])["source_sha256"]
                for sha256 in pc.unique(pa.chunked_array(hashes)).to_pylist():
                    places.setdefault(sha256, []).append((path, group))
    return {sha256: tuple(listed) for sha256, listed in places.items()}
