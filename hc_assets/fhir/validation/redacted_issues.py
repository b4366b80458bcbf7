"""Issues as they may be shown outside the tables: rule, place and kind, nothing that was found.

Belongs here: what is taken out. A message may quote a code or a URL, and a place may name a member
that FHIR does not know: any of it can be a person's name.
"""

import re
from functools import cache

import msgspec

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.releases import names_of_releases, releases

# As Python writes a string: what messages quote is written so. An apostrophe in a word is no quote.
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_REDACTED = "(not shown)"
# What a parser expected is its own word: `expected ',' or '}'`. Nobody is named so.
_PUNCTUATION = frozenset(",:[]{}")
UNKNOWN_TYPE = "unknown"
_MEMBER = re.compile(r"[^.\[\]()]+")


def without_values(issue: Issue) -> Issue:
    """Take out of an issue what its resource holds.

    Args:
        issue: of `validation.validate` or of a profile.

    Returns:
        The same, with `(not shown)` for what its message quotes, other than the punctuation of
        JSON, and `unknown` for each part of its place that is no type or element of any release.
    """
    return msgspec.structs.replace(
        issue,
        diagnostics=_QUOTED.sub(_redacted, issue.diagnostics),
        expression=_MEMBER.sub(_known_part, issue.expression),
    )


def known_type(resource_type: str | None) -> str:
    """Return a resource's type where some release of FHIR has it, else `unknown`."""
    is_known = resource_type in r4().resource_names or any(
        release.has_resource(resource_type) for release in releases()
    )
    return resource_type if resource_type and is_known else UNKNOWN_TYPE


def _redacted(found: re.Match[str]) -> str:
    return found[0] if found[0][1:-1] in _PUNCTUATION else _REDACTED


def _known_part(found: re.Match[str]) -> str:
    part = found[0]
    return part if part in _members() or part.isdigit() else UNKNOWN_TYPE


@cache
def _members() -> frozenset[str]:
    """Every name that a place in a resource may have: types and their members."""
    found = set(r4().type_names) | names_of_releases()
    for name in r4().type_names:
        for element in r4().type(name).elements:
            for member in (element.name, *(member for member, _ in element.members())):
                found |= {member, f"_{member}"}
    return frozenset(found)
