"""The thorough path from bytes to issues: reading, walking, and the rules that need the whole tree.

Belongs here: the order of the steps. Each step's rules belong to its own module.
"""

from contextlib import suppress
from functools import lru_cache

from hc_assets.fhir.r4.issues import Findings, Issue, IssueCode, TooManyIssuesError
from hc_assets.fhir.r4.json_text import JsonProblem, read_document
from hc_assets.fhir.r4.walker import Walker


@lru_cache(maxsize=4096)
def narrative_missing(path: str) -> Issue:
    """The warning that a domain resource has no narrative (dom-6).

    Args:
        path: where the resource stands.
    """
    return Issue(
        "warning", "invariant", path, "dom-6", "no text.div, expected narrative for human readers"
    )


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
    # Too many issues: what has been found is told.
    with suppress(TooManyIssuesError):
        walker = Walker(document, findings)
        walker.resource(document.root, "")
    return findings.issues
