"""Issues of an entry as a whole: nothing could be taken from it, or an error of ours stopped it.

Belongs here: making them, and counting them in tables. What is wrong within a resource is found by
`__init__.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.fence import RULE, InternalError
from hc_assets.fhir.r4.issues import Issue, Severity
from hc_assets.fhir.r4.json_faults import without_place

_IN_ENTRY = re.compile(r" in (Bundle\.entry\[\d+\](?:\.resource)?)$")


def unreadable(problem: str) -> Issue:
    """Return an issue that says that no resource could be taken from a place.

    Args:
        problem: why: of the file, or the text of an `InternalError` that stopped splitting it.
    """
    failure = InternalError.of_text(problem)
    if failure is not None:
        return internal_error(failure)
    inside = _IN_ENTRY.search(without_place(problem))
    return Issue(
        severity="fatal",
        code="structure",
        expression=inside[1] if inside else "",
        rule="unreadable",
        diagnostics=problem,
    )


def internal_error(failure: InternalError, severity: Severity = "fatal") -> Issue:
    """Return an issue that says that an error of ours or of a library's stopped a row.

    Args:
        failure: that the fence gave in place of a result.
        severity: fatal where nothing more is known of the resource.
    """
    return Issue(
        severity=severity,
        code="exception",
        expression="",
        rule=RULE,
        diagnostics=failure.text,
    )


def internal_errors(columns: Iterable[pa.Array]) -> Counter[str]:
    """Count rows by the class and place of the first internal error that stopped them.

    Args:
        columns: lists of issues, row by row.
    """
    counts: Counter[str] = Counter()
    for column in columns:
        issues = column.flatten()
        is_internal = pc.equal(pc.struct_field(issues, "rule"), RULE)
        texts = pc.struct_field(issues, "diagnostics").filter(is_internal).to_pylist()
        rows = pc.list_parent_indices(column).filter(is_internal).to_pylist()
        # Backwards, so that the first of a row replaces its others
        for text in dict(zip(reversed(rows), reversed(texts), strict=True)).values():
            failure = InternalError.of_text(text)
            counts[failure.error if failure is not None else text] += 1
    return counts
