"""What validation says of a resource: one issue, and where and why.

Belongs here: the shape of an issue. The OperationOutcome made of issues belongs to
`hc_assets.fhir.validation`.
"""

from typing import Literal

import msgspec

Severity = Literal["fatal", "error", "warning", "information"]
# The codes of HL7's value set issue-type that validation uses.
IssueCode = Literal[
    "business-rule",
    "code-invalid",
    "duplicate",
    "extension",
    "incomplete",
    "invalid",
    "invariant",
    "not-found",
    "not-supported",
    "required",
    "structure",
    "too-costly",
    "too-long",
    "value",
]


class Issue(msgspec.Struct, frozen=True):
    """One finding.

    Attributes:
        severity: fatal: nothing further could be checked; error: the resource is invalid.
        code: code of HL7's value set issue-type.
        expression: FHIRPath of the element, with JSON's member names and indexes from 0, for
            example `Observation.component[2].valueQuantity.value`; "" for the text as a whole.
        rule: id of the rule that is broken: an invariant's key, or a name such as `cardinality`.
        diagnostics: what was found and what was expected, without the element's own text.
    """

    severity: Severity
    code: IssueCode
    expression: str
    rule: str
    diagnostics: str
