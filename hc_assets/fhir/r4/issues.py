"""What validation says about a resource: one issue, and where and why.

Belongs here: the shape of an issue, and the list that collects them. The OperationOutcome made of
issues belongs to `hc_assets.fhir.validation`.
"""

from typing import Literal

import msgspec

Severity = Literal["fatal", "error", "warning", "information"]
# The codes of HL7's value set issue-type that validation uses; exception is for errors of ours.
IssueCode = Literal[
    "business-rule",
    "code-invalid",
    "duplicate",
    "exception",
    "extension",
    "incomplete",
    "informational",
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


# A hostile resource could break a rule at every byte; more findings help nobody. Errors and milder
# issues are counted apart, so that warnings never hide an error.
MAX_ISSUES = 1000
_CLIP = 60


class TooManyIssuesError(Exception):
    """More errors than anyone reads: validation ends early."""


class Findings:
    """The issues of one resource, as they are found.

    Attributes:
        issues: the issues so far.
    """

    def __init__(self) -> None:
        """Begin with no issue."""
        self.issues: list[Issue] = []
        self._errors = 0
        self._milder = 0

    @property
    def takes_milder(self) -> bool:
        """Whether a warning would still be kept."""
        return self._milder < MAX_ISSUES

    def add(
        self, severity: Severity, code: IssueCode, expression: str, rule: str, diagnostics: str
    ) -> None:
        """Take an issue in; the arguments are the attributes of `Issue`.

        Raises:
            TooManyIssuesError: it is one error too many; the last issue says so.
        """
        self.take(Issue(severity, code, expression, rule, diagnostics))

    def take(self, issue: Issue) -> None:
        """Take in an issue as it is.

        Raises:
            TooManyIssuesError: see `add`.
        """
        if issue.severity in ("fatal", "error"):
            if self._errors == MAX_ISSUES:
                text = f"more than {MAX_ISSUES} errors, the rest is left out"
                self.issues.append(Issue("error", "too-costly", "", "too-many-issues", text))
                raise TooManyIssuesError
            self._errors += 1
        else:
            if self._milder == MAX_ISSUES:
                text = f"more than {MAX_ISSUES} warnings, the rest is left out"
                issue = Issue("information", "too-costly", "", "too-many-issues", text)
            elif self._milder > MAX_ISSUES:
                return
            self._milder += 1
        self.issues.append(issue)

    def error(self, code: IssueCode, expression: str, rule: str, diagnostics: str) -> None:
        """Take in an issue of severity error.

        Raises:
            TooManyIssuesError: see `add`.
        """
        self.add("error", code, expression, rule, diagnostics)


def clipped(text: str) -> str:
    """A name or code that was found, short enough for a line."""
    return text if len(text) <= _CLIP else text[: _CLIP - 3] + "..."
