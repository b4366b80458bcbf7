"""The thorough path from bytes to issues: reading, walking, and the rules that need the whole tree.

Belongs here: the order of the steps. Each step's rules belong to its own module.
"""

from contextlib import suppress

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


def _check_bundles(visits: list[Visit], findings: Findings) -> None:
    entries = entries_of(visits)
    for visit in visits:
        if visit.type_name == "Bundle":
            own = entries.get(id(visit), [])
            check_bundle(visit, own, findings)
            check_bundle_references(visit, own, visits, findings)


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
        code: IssueCode = "invalid" if problem.rule == "json-syntax" else "too-costly"
        return [Issue("fatal", code, "", problem.rule, problem.text)]
    findings = Findings()
    # Too many issues: what has been found is reported.
    with suppress(TooManyIssuesError):
        walker = Walker(document, findings)
        walker.resource(document.root, "")
        check_resources(walker.visits, findings)
        check_extensions(walker.visits, findings)
        _check_bundles(walker.visits, findings)
        check_definitions(walker.visits, findings)
        check_searches(walker.visits, findings)
        check_structures(walker.visits, findings)
        check_questionnaires(walker.visits, findings)
        check_invariants(walker.visits, findings)
    return findings.issues
