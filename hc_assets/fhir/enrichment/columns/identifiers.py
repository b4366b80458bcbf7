"""Business identifiers of many rows at once.

Belongs here: finding them in the texts of rows. What a token is is in `../identifiers.py`.
"""

import numpy as np
import pyarrow as pa

from hc_assets.fhir.enrichment.columns.column_rows import Rows
from hc_assets.fhir.enrichment.identifiers import identifier_tokens


def identifiers_of(rows: Rows) -> pa.Array:
    """Tokens of each row's identifiers."""
    places = rows.places(shape.identifier for shape in rows.shapes)
    of_rows = np.flatnonzero(places[:, 0] >= 0)
    buffer = rows.members.texts.buffer
    tokens = [identifier_tokens(buffer[begin:end]) for begin, end in places[of_rows].tolist()]
    counts = np.zeros(len(places), np.int64)
    counts[of_rows] = [len(each) for each in tokens]
    ends = np.cumsum([0, *counts], dtype=np.int32)
    values = pa.array([token for of_row in tokens for token in of_row], pa.string())
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=rows.absent)
