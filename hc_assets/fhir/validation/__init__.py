"""Whether an R4 resource is valid, and if not, what is wrong and where.

Belongs here: the functions that the rest of the package calls. The rules live in `fhir/r4/`, in two
paths over the same definitions: a fast one that passes on what it can't decide, and a thorough one.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from hc_assets.fhir.profiles.core_profiles import core_profile_issues
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.rules.resource_rules import narrative_missing
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation.release_issues import release_issues

__all__ = ["Issue", "has_errors", "is_valid", "operation_outcome", "validate"]


def is_valid(resource: bytes) -> bool:
    """Whether a resource is valid R4.

    Args:
        resource: one resource as JSON; any bytes.

    Returns:
        True where `validate` finds no error.
    """
    return accept(resource) is not None or not has_errors(_issues_of_r4(resource))


def validate(resource: bytes) -> list[Issue]:
    """Find everything that is wrong with a resource.

    Args:
        resource: one resource as JSON (a Bundle is one resource); any bytes whatever.

    Returns:
        The issues in the order of the document; of an invalid one those after them that say which
        other release of FHIR it is of. Empty, or without errors, where it is valid.
    """
    bare = accept(resource)
    if bare is None:
        issues = _issues_of_r4(resource)
        return issues + release_issues(resource, issues) if has_errors(issues) else issues
    return [narrative_missing(path) for path in bare]


def _issues_of_r4(resource: bytes) -> list[Issue]:
    return thorough_issues(resource) + core_profile_issues(resource)


def has_errors(issues: Iterable[Issue]) -> bool:
    """Whether some issue makes the resource invalid: severity fatal or error."""
    for issue in issues:  # noqa: SIM110 - asked several times of each resource: a generator costs
        if issue.severity in ("fatal", "error"):
            return True
    return False


def issue_members(issue: Issue) -> dict[str, Any]:
    """Return an issue as an `OperationOutcome.issue`."""
    return {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"text": issue.rule},
        "diagnostics": issue.diagnostics,
        **({"expression": [issue.expression]} if issue.expression else {}),
    }


def operation_outcome(issues: Iterable[Issue], *, source: str | None = None) -> bytes:
    """Write issues as an R4 OperationOutcome.

    Args:
        issues: what `validate` found.
        source: URI of what they were found in, for `meta.source`.

    Returns:
        The resource as JSON. `details.text` carries the rule, `diagnostics` the text, `expression`
        the location. Without issues it holds one of severity information, as R4 asks for one.
    """
    listed = [issue_members(issue) for issue in issues]
    if not listed:
        listed = [{"severity": "information", "code": "informational", "diagnostics": "no issues"}]
    meta = {"meta": {"source": source}} if source else {}
    return msgspec.json.encode({"resourceType": "OperationOutcome", **meta, "issue": listed})
