"""Where the current resources of a type lie in the batch that brought them.

Belongs here: asking the warehouse for their places, and taking them from the batch's rows.
"""

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

_PLACES = """
    SELECT place, source, resolved FROM fhir.resource_versions
    WHERE is_current AND NOT is_deleted AND resource_type = ? AND batch = ?
    ORDER BY place
"""


class Places(msgspec.Struct, frozen=True):
    """Where current resources of one type lie in their batch.

    Attributes:
        places: of the rows, ascending.
        sources: of each of them.
        resolved: content of those whose references by query were resolved, by place.
    """

    places: np.ndarray
    sources: pa.Array
    resolved: dict[int, bytes]


def places_of(connection: duckdb.DuckDBPyConnection, type_: str, batch: str) -> Places:
    """Where the current resources of a type and batch lie."""
    rows = connection.sql(_PLACES, params=[type_, batch]).to_arrow_table()
    places = rows["place"].to_numpy()
    resolved = rows["resolved"]
    found = {}
    if resolved.null_count < len(resolved):
        pairs = zip(places.tolist(), resolved.to_pylist(), strict=True)
        found = {place: content for place, content in pairs if content is not None}
    return Places(places, rows["source"].combine_chunks(), found)


def taken(resources: pa.Array, first: int, places: Places) -> tuple[list[bytes], slice]:
    """Take the current resources from some rows of a batch.

    Args:
        resources: content of the rows.
        first: place of the first of them.
        places: of all that are current, in the batch.

    Returns:
        The resources, and which of the places they are.
    """
    begin, end = np.searchsorted(places.places, [first, first + len(resources)])
    wanted = places.places[begin:end]
    chosen = resources.take(pa.array(wanted - first)).to_pylist()
    if places.resolved:
        for index, place in enumerate(wanted.tolist()):
            chosen[index] = places.resolved.get(place, chosen[index])
    return chosen, slice(int(begin), int(end))
