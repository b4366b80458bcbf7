"""Whether all that came in came out: the evaluators behind the FHIR checks.

Belongs here: counting and comparing keys. Which check uses what, and how bad a failure is, is in
`fhir/checks.py`.
"""

import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.verdicts import Verdict, all_accounted_for, none_of
from hc_assets.lake.tables import LakeTable

_ENTRY = ["batch", "source_file", "position"]
_IDENTITY = ["batch", "source", "resource_type", "resource_id"]


def entries_accounted_for(raw: pa.Table, validated: pa.Table, quarantined: pa.Table) -> Verdict:
    """Judge that each entry is validated or quarantined, and exactly once.

    Args:
        raw: columns batch, source_file and position of the raw entries.
        validated: the same columns of the validated ones.
        quarantined: the same columns of the quarantined ones.

    Returns:
        A verdict whose value counts entries that are missing, doubled or from nowhere.
    """
    came_out = pa.concat_tables([validated.select(_ENTRY), quarantined.select(_ENTRY)])
    counts = all_accounted_for(
        raw.num_rows, validated.num_rows, quarantined.num_rows, what="entries"
    )
    astray = _difference(raw.select(_ENTRY), came_out)
    return Verdict(
        passed=counts.passed and not astray,
        value=float(astray),
        threshold=0.0,
        explanation=f"{counts.explanation}; {astray} missing, doubled or from nowhere",
        counts=counts.counts,
    )


def _difference(left: pa.Table, right: pa.Table) -> int:
    """How many rows two tables hold not equally often."""
    sign = {1: left, -1: right}
    signed = pa.concat_tables(
        [
            table.append_column("sign", pa.array([value] * table.num_rows, pa.int64()))
            for value, table in sign.items()
        ]
    )
    balance = signed.group_by(_ENTRY).aggregate([("sign", "sum")])["sign_sum"]
    return pc.sum(pc.abs(balance)).as_py() or 0


def identifiers_unique(identities: pa.Table) -> Verdict:
    """Judge that no resource type and id of a source comes twice in a batch.

    Args:
        identities: columns batch, source, resource_type and resource_id; rows without an id do not
            count.

    Returns:
        A verdict whose value counts the identities that come more than once.
    """
    listed = identities.select(_IDENTITY)
    named = listed.filter(
        pc.and_(listed["resource_type"].is_valid(), listed["resource_id"].is_valid())
    )
    counts = named.group_by(_IDENTITY).aggregate([([], "count_all")])["count_all"]
    repeated = pc.sum(pc.greater(counts, 1)).as_py() or 0
    return none_of(repeated, len(counts), what="resource ids that come more than once in a batch")


def entry_keys(table: LakeTable) -> pa.Table:
    """Read the columns that `entries_accounted_for` compares."""
    return table.to_table(_ENTRY)


def identity_keys(table: LakeTable) -> pa.Table:
    """Read the columns that `identifiers_unique` compares."""
    return table.to_table(_IDENTITY)
