"""The thorough path from bytes to issues: reading, walking, and the rules that need the whole tree.

Belongs here: the order of the steps. Each step's rules belong to its own module.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hc_assets.fhir.r4.issues import Findings, Issue, IssueCode, TooManyIssuesError
from hc_assets.fhir.r4.json_text import JsonProblem, read_document
from hc_assets.fhir.r4.rules.bundle_references import check_bundle_references
from hc_assets.fhir.r4.rules.bundle_rules import check_bundle, entries_of
from hc_assets.fhir.r4.rules.definition_rules import check_definitions
from hc_assets.fhir.r4.rules.extension_rules import check_extensions
from hc_assets.fhir.r4.rules.invariant_rules import check_invariants
from hc_assets.fhir.r4.rules.questionnaire_rules import check_questionnaires
from hc_assets.fhir.r4.rules.resource_rules import check_resources
from hc_assets.fhir.r4.rules.search_rules import check_searches
from hc_assets.fhir.r4.rules.structure_rules import check_structures
from hc_assets.fhir.r4.walker import Visit, Walker

# Where the resources are that a Bundle or Parameters hold.
_HELD = re.compile(
    r"(?:Bundle\.entry\[(?P<entry>\d+)\]|Parameters\.parameter\[\d+\](?:\.part\[\d+\])*)"
    r"\.resource(?=[.\[]|\Z)"
)


def unreadable_text(problem: JsonProblem) -> list[Issue]:
    """The issue of a text that can't be taken apart."""
    code: IssueCode = "invalid" if problem.rule == "json-syntax" else "too-costly"
    return [Issue("fatal", code, "", problem.rule, problem.text)]


def _check_bundles(bundles: list[Visit], visits: list[Visit], findings: Findings) -> None:
    entries = entries_of(visits)
    for visit in bundles:
        if visit.type_name == "Bundle":
            own = entries.get(id(visit), [])
            check_bundle(visit, own, findings)
            check_bundle_references(visit, own, visits, findings)


def _check(
    visits: list[Visit], bundles: list[Visit], visits_in_bundles: list[Visit], findings: Findings
) -> None:
    check_resources(visits, findings)
    check_extensions(visits, findings)
    _check_bundles(bundles, visits_in_bundles, findings)
    check_definitions(visits, findings)
    check_searches(visits, findings)
    check_structures(visits, findings)
    check_questionnaires(visits, findings)
    check_invariants(visits, findings)


def thorough_issues(raw: bytes) -> list[Issue]:
    """Find everything that is wrong with a resource.

    Args:
        raw: any bytes.

    Returns:
        The issues, in the order of the document within each step. Never raises.
    """
    try:
        document = read_document(raw)
    except JsonProblem as problem:
        return unreadable_text(problem)
    findings = Findings()
    # Too many issues: what has been found is reported.
    with suppress(TooManyIssuesError):
        walker = Walker(document, findings)
        walker.resource(document.root, "")
        _check(walker.visits, walker.visits, walker.visits, findings)
    return findings.issues


class _Beside(Findings):
    """Issues that are not those of a resource that is judged on its own."""

    def __init__(self, is_held: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_held = is_held
        self._of_held: set[tuple[str, str]] = set()
        self.takes_held = False

    def take(self, issue: Issue) -> None:
        """Take in an issue of the whole, or one of a resource that only the whole gives it."""
        if not self._is_held(issue.expression):
            super().take(issue)
        elif not self.takes_held:
            self._of_held.add((issue.expression, issue.rule))
        elif (issue.expression, issue.rule) not in self._of_held:
            super().take(issue)


def issues_beside_resources(raw: bytes) -> list[Issue]:
    """Find what is wrong with a Bundle or Parameters beside what each held resource is judged by.

    Args:
        raw: any bytes. Of a resource in an entry or a parameter only type, id, versionId and
            references are looked at, unless it is in a DELETE: then it is judged here.

    Returns:
        The issues of the whole: those outside of resources, and those in resources that only follow
        from what is around them. Never raises.
    """
    try:
        document = read_document(raw)
    except JsonProblem as problem:
        return unreadable_text(problem)
    deletions = _deletions(document.root)

    def is_held(expression: str) -> bool:
        found = _HELD.match(expression)
        return found is not None and found["entry"] not in deletions

    findings = _Beside(is_held)
    with suppress(TooManyIssuesError):
        walker = Walker(document, findings)
        walker.resource(document.root, "")
        findings.takes_held = True
        own = [visit for visit in walker.visits if not is_held(visit.path)]
        _check(own, own[:1], walker.visits, findings)
    return findings.issues


def _deletions(root: Any) -> frozenset[str | None]:
    """Numbers, as texts, of the entries that delete."""
    entries = root.get("entry") if isinstance(root, dict) else None
    return frozenset(
        str(number)
        for number, entry in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
        and isinstance(entry.get("request"), dict)
        and entry["request"].get("method") == "DELETE"
    )
