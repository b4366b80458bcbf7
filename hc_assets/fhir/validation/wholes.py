"""What `validate` finds in a Bundle or Parameters beside what it finds in each resource in it.

Belongs here: bringing together R4's rules on the whole, the release it is of, and profiles. The
rules themselves are in `fhir/r4/`, cutting a whole down to what they look at in
`fhir/bundles/envelopes.py`.
"""

import re
from collections.abc import Callable
from functools import cache, partial

from hc_assets.fhir.bundles import envelopes
from hc_assets.fhir.profiles.core_profiles import core_profile_issues, may_name_core_profile
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.validation import has_errors
from hc_assets.fhir.validation.profile_rules import profile_issues
from hc_assets.fhir.validation.release_issues import release_issues

_IN_RESOURCE = re.compile(
    r"(?:Bundle\.entry\[\d+\]|Parameters\.parameter\[\d+\](?:\.part\[\d+\])*)\.resource\b"
)
_Key = tuple[str, str]


def issues_of_whole(data: bytes, profiles: tuple[str, ...] = ()) -> list[Issue]:
    """Find what is wrong with a Bundle or Parameters beside what is wrong with what they hold.

    Args:
        data: as for `envelopes.issues_of_whole`, whose issues these are.
        profiles: as for `profile_issues`.

    Returns:
        Those issues; what profiles, R4's own among them, find that they do not find in a resource
        on its own, be it outside of resources or because of what is around one; and where R4
        refuses the whole, which other release it is of.
    """
    issues = envelopes.issues_of_whole(data)
    if any(issue.severity == "fatal" for issue in issues):
        return issues
    if may_name_core_profile(data):
        issues = issues + _beside_resources(data, core_profile_issues)
    if has_errors(issues):
        found = release_issues(data, issues)
        issues = issues + [each for each in found if not _IN_RESOURCE.match(each.expression)]
    if profiles:
        issues = issues + _beside_resources(data, partial(profile_issues, profiles=profiles))
    return issues


def _beside_resources(data: bytes, judge: Callable[[bytes], list[Issue]]) -> list[Issue]:
    """What a judge finds in the whole, and not in a resource alone."""
    found = judge(data)
    if not any(_IN_RESOURCE.match(issue.expression) for issue in found):
        return found
    resources = envelopes.resources_by_place(data)

    @cache
    def alone(place: str) -> set[_Key]:
        issues = judge(bytes(resources[place]))
        return {(issue.rule, issue.expression.partition(".")[2]) for issue in issues}

    def is_of_resource(issue: Issue) -> bool:
        held = _IN_RESOURCE.match(issue.expression)
        if held is None or held[0] not in resources:
            return False
        return (issue.rule, issue.expression[held.end() :].lstrip(".")) in alone(held[0])

    return [each for each in found if not is_of_resource(each)]
