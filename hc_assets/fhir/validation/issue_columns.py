"""Issues as a column of a table.

Belongs here: writing them. Which columns of issues a table has is in `fhir/schemas.py`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from hc_assets.fhir.issue_schema import ISSUE
from hc_assets.fhir.r4.issues import Issue


def issue_lists(lists: Sequence[Sequence[Issue] | None]) -> pa.Array:
    """Return issues as a column of lists of `ISSUE`; null where there is no list."""
    ends = np.cumsum([0, *(len(each or ()) for each in lists)], dtype=np.int32)
    flat = [issue for issues in lists for issue in issues or ()]
    columns = [pa.array([getattr(i, f.name) for i in flat], f.type) for f in ISSUE]
    absent = pa.array([each is None for each in lists], pa.bool_())
    items = pa.StructArray.from_arrays(columns, fields=list(ISSUE))
    return pa.ListArray.from_arrays(pa.array(ends), items, pa.list_(ISSUE), mask=absent)
