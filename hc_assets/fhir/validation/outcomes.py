"""What `validate` found as OperationOutcomes for programs: which file, line, entry, type and id.

Belongs here: HL7's extensions and ours on an OperationOutcome. Its issues are written by
`__init__.py`, and what may be printed of them is decided in `redacted_issues.py`.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hc_assets.fhir.enrichment.extensions import JUDGED_RESOURCE, url
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.json_faults import Place
from hc_assets.fhir.validation import issue_members
from hc_assets.fhir.validation.files import Finding
from hc_assets.fhir.validation.redacted_issues import UNKNOWN_TYPE, known_type

# Ids as FHIR has them, and longer ones and those with further characters that vendors send. What
# has spaces or letters of other kinds may be anything, a name too.
_ID = re.compile(r"[A-Za-z0-9._:=~-]{1,256}")
_HL7 = "http://hl7.org/fhir/StructureDefinition/operationoutcome-"


def outcome(
    file: str, finding: Finding, issues: Sequence[Issue], base: str, *, show_values: bool
) -> bytes:
    """Write what was found in one resource as an R4 OperationOutcome.

    Args:
        file: that the resource is in.
        finding: on the resource.
        issues: of the finding, as they may be printed.
        base: URL that our extensions share.
        show_values: name types that FHIR does not know, and ids that are none, as well.
    """
    type_, id_ = finding.resource_type, finding.resource_id
    if not show_values:
        type_, id_ = known_type(type_), id_ if id_ and _ID.fullmatch(id_) else None
    judged: list[dict[str, Any]] = [{"url": "line", "valuePositiveInt": finding.line}]
    if finding.way:
        _, number, *_ = finding.way
        judged.append({"url": "entry", "valueUnsignedInt": number})
    judged.append({"url": "type", "valueString": _text(type_ or UNKNOWN_TYPE)})
    if id_ and id_.strip():
        judged.append({"url": "id", "valueString": _text(id_)})
    extensions = [_file(file), {"url": url(base, JUDGED_RESOURCE), "extension": judged}]
    places = finding.places or [None] * len(issues)
    return _written(
        extensions,
        [
            {
                "extension": _of_issue(file, place or Place(finding.line, 0)),
                **issue_members(_printable(issue)),
            }
            for issue, place in zip(issues, places, strict=True)
        ],
    )


def outcome_of_file(file: str, issue: Issue) -> bytes:
    """Write why a file can't be read as an R4 OperationOutcome."""
    source = {"url": f"{_HL7}issue-source", "valueString": _file_name(file)}
    return _written([_file(file)], [{"extension": [source], **issue_members(issue)}])


def _written(extensions: list[dict[str, Any]], issues: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(
        {"resourceType": "OperationOutcome", "extension": extensions, "issue": issues}
    )


def _file(file: str) -> dict[str, Any]:
    return {"url": f"{_HL7}file", "valueString": _file_name(file)}


def _of_issue(file: str, place: Place) -> list[dict[str, Any]]:
    column = [{"url": f"{_HL7}issue-col", "valueInteger": place.column}] if place.column else []
    return [
        {"url": f"{_HL7}issue-source", "valueString": _file_name(file)},
        {"url": f"{_HL7}issue-line", "valueInteger": place.line},
        *column,
    ]


def _printable(issue: Issue) -> Issue:
    """An issue whose texts are FHIR strings, whatever was found."""
    return msgspec.structs.replace(
        issue, diagnostics=_text(issue.diagnostics), expression=_text(issue.expression)
    )


def _text(found: str) -> str:
    """A text without the control characters that no FHIR string may have."""
    return "".join(each if each.isprintable() else "\ufffd" for each in found)


def _file_name(file: str) -> str:
    # Bytes of a name that are not UTF-8 stand as backslash escapes, as in manifests.
    return _text(os.fsencode(file).decode("utf-8", "backslashreplace"))
