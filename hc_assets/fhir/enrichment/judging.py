"""Whether enriched rows are valid still, and what becomes of one that is not.

Belongs here: judging rows as they are made, and leaving out, row by row, what would make them
invalid. A row that nothing can be added to goes on as it was sent (`unenriched.py`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.r4.fast.fast_path import undecided
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.validation import has_errors, is_valid, validate
from hc_assets.fhir.validation.issue_columns import issue_lists
from hc_assets.fhir.validation.profile_rules import profile_issues

RULE = "enrichment-invalid"
"""Rule of the issue that says what was left out of a row, since it would not be valid with it."""
_BROKEN = " would break "
_INDEX = re.compile(r"\[\d+\]")


class Way(NamedTuple):
    """A way of making less of a row.

    Attributes:
        left_out: what it leaves out, for people.
        make: makes rows of ENRICHED_RESOURCES of validated ones.
    """

    left_out: str
    make: Callable[[pa.RecordBatch], pa.RecordBatch]


def valid_rows(
    sent: pa.RecordBatch,
    made: pa.RecordBatch,
    ways: Sequence[Way],
    last: Way,
    profiles: tuple[str, ...] = (),
) -> pa.RecordBatch:
    """Keep enriched rows that are valid, and make less of the others.

    Args:
        sent: the validated rows.
        made: of ENRICHED_RESOURCES, one of each.
        ways: that are tried in their order for a row that is not valid.
        last: that adds nothing; its rows are as valid as those that were sent.
        profiles: of the deployment, that they are to conform to as those that were sent do.

    Returns:
        The rows. One of which less was made has an issue of the rule `enrichment-invalid`, with the
        rule that would have been broken and the place.
    """
    pieces, begin = [], 0
    # Of most rows nothing more is to be known, and they are not copied
    asked = range(made.num_rows) if profiles else _undecided(made["resource"])
    for row in asked:
        if _passes(made["resource"][row].as_py(), profiles):
            continue
        one = sent.slice(row, 1)
        broken = _broken_by_enrichment(_resource(made, row), _resource(sent, row), profiles)
        if broken is None:
            continue
        less = _less_of(one, broken, ways, last, profiles)
        pieces += [made.slice(begin, row - begin), less]
        begin = row + 1
    if not pieces:
        return made
    return pa.concat_batches([*pieces, made.slice(begin)])


def _less_of(
    one: pa.RecordBatch,
    broken: Issue,
    ways: Sequence[Way],
    last: Way,
    profiles: tuple[str, ...],
) -> pa.RecordBatch:
    for way in ways:
        less = way.make(one)
        if _broken_by_enrichment(_resource(less, 0), _resource(one, 0), profiles) is None:
            return with_issue(less, _left_out(way.left_out, broken))
    return with_issue(last.make(one), _left_out(last.left_out, broken))


def _resource(rows: pa.RecordBatch, row: int) -> bytes:
    resource: bytes = rows["resource"][row].as_py()
    return resource


def _undecided(resources: pa.Array) -> list[int]:
    """Rows whose resources are not certainly valid: nearly always none."""
    _, places, data = resources.buffers()
    offsets = np.frombuffer(places, np.int32)[resources.offset :][: len(resources) + 1]
    found = undecided(data.address, offsets.tolist()) if data is not None else []
    return [row for row in found if resources[row].is_valid]


def _passes(resource: bytes | None, profiles: tuple[str, ...]) -> bool:
    if resource is None:
        return True
    return is_valid(resource) and not (profiles and has_errors(profile_issues(resource, profiles)))


def _broken_by_enrichment(made: bytes, sent: bytes, profiles: tuple[str, ...]) -> Issue | None:
    """The first error of an enriched resource that it did not have as it was sent.

    It may have had some: those that a deployment lets through.
    """
    errors = _errors(made, profiles)
    if not errors:
        return None
    before = {issue.rule for issue in _errors(sent, profiles)}
    return next((issue for issue in errors if issue.rule not in before), None)


def _errors(resource: bytes, profiles: tuple[str, ...]) -> list[Issue]:
    found = validate(resource) + profile_issues(resource, profiles)
    return [issue for issue in found if issue.severity in ("fatal", "error")]


def _left_out(what: str, broken: Issue) -> Issue:
    return Issue(
        severity="warning",
        code="invariant",
        expression=broken.expression,
        rule=RULE,
        diagnostics=f"{what} left out: it{_BROKEN}{broken.rule}",
    )


def with_issue(row: pa.RecordBatch, issue: Issue) -> pa.RecordBatch:
    """Add an issue to a row of ENRICHED_RESOURCES."""
    (there,) = row["issues"].to_pylist()
    (added,) = issue_lists([[issue]]).to_pylist()
    issues = pa.array([[*(there or []), *added]], ENRICHED_RESOURCES.field("issues").type)
    arrays = [issues if name == "issues" else row[name] for name in ENRICHED_RESOURCES.names]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)


def invalid_enrichments(columns: Iterable[pa.Array]) -> Counter[str]:
    """Count rows of which something was left out, by the rule and the place, without indexes.

    Args:
        columns: lists of issues, row by row.
    """
    counts: Counter[str] = Counter()
    for column in columns:
        issues = column.flatten()
        found = issues.filter(pc.equal(pc.struct_field(issues, "rule"), RULE))
        for issue in found.to_pylist():
            rule = issue["diagnostics"].rpartition(_BROKEN)[2]
            counts[f"{rule} at {_without_indexes(issue['expression'])}"] += 1
    return counts


def _without_indexes(expression: str) -> str:
    return _INDEX.sub("", expression)
