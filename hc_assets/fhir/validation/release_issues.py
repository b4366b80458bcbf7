"""Which other release of FHIR a resource is of, where R4 refuses it, or where it says so itself.

Belongs here: the rule `fhir-version`. What releases have is in `fhir/r4/releases.py`, how much of a
batch is of which is judged in `fhir/verdicts/releases.py`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import MAX_ISSUES, Issue, Severity
from hc_assets.fhir.r4.json_text import JsonProblem, read_document
from hc_assets.fhir.r4.releases import (
    Misfit,
    Release,
    release_r4,
    releases,
    shapes_of_r4,
)

RULE = "fhir-version"
_MOST_ISSUES = 5
_BINDING = "required-binding"
_STRUCTURE = frozenset({"unknown-member", "json-type", "resource-type", "null-value", "choice"})
# A resource of an unknown type says more than whatever is in one of a known type.
_OF_TYPE = 1_000

_INDEX = re.compile(r"\[\d+\]$")
_STEP = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")
# Only HL7's own definitions: the version of another guide, `us-core-patient|5.0.0`, is its own.
_PROFILE = re.compile(
    r"http://hl7\.org/fhir/(?:([\w.]+)/StructureDefinition/\w+(?:\|.*)?"
    r"|StructureDefinition/\w+\|([\d.]+).*)"
)
_PROFILE_IN_TEXT = re.compile(
    rb"http://hl7\.org/fhir/(?:[\w.]+/StructureDefinition/|StructureDefinition/\w+\|)"
)
_BEGINNING = 512
_NAMES = {"STU3": "STU3", "R3": "STU3", "R4B": "R4B", "R5": "R5"}
# Ballots of R4B and R5 had numbers of their own.
_VERSIONS = {
    "3.0": "STU3",
    **dict.fromkeys(("4.1", "4.3"), "R4B"),
    **dict.fromkeys(("4.2", "4.4", "4.5", "4.6", "5.0"), "R5"),
}
_LABEL = re.compile(r" (?:is|names) ((?:STU3|R4B|R5)(?: or (?:STU3|R4B|R5))*)$")


class _Evidence(NamedTuple):
    """What speaks for other releases.

    Attributes:
        path: where it is.
        says: what it is, with the names of the releases.
        severity: error for what R4 refuses; information for what a resource says of itself.
    """

    path: str
    says: str
    severity: Severity = "error"


def release_issues(resource: bytes, issues: Sequence[Issue]) -> list[Issue]:
    """Name the releases that have what R4 refuses a resource for, or that it names itself.

    Args:
        resource: JSON that is not valid R4.
        issues: why it is not.

    Returns:
        An issue for each type, member, shape or code of another release, of the first few in each
        resource of a Bundle; none where R4 refuses the resource for other reasons.
    """
    root = _root(resource)
    if root is None:
        return []
    codes = {issue.expression for issue in issues if issue.rule == _BINDING}
    # Without such issues the resource has nothing that R4 lacks; but entries are to be looked at.
    may_differ = len(issues) > MAX_ISSUES or any(issue.rule in _STRUCTURE for issue in issues)
    if may_differ or root.get("resourceType") in ("Bundle", "Parameters"):
        resources = _resources(root)
    else:
        resources = iter([(root, "", [])])
    found = (
        each
        for value, path, misfits in resources
        for each in _first_of_each(_evidence(value, path, misfits, codes))
    )
    return [_issue(each) for each in islice(found, MAX_ISSUES)]


def named_releases(resource: bytes) -> list[Issue]:
    """Say which other release a valid resource names in `meta.profile` or `fhirVersion`, if any.

    Args:
        resource: valid R4 JSON.
    """
    root = _root(resource)
    if root is None:
        return []
    found = (
        each
        for value, path, _ in _resources(root)
        for each in _first_of_each(_claims(value, path or str(value.get("resourceType"))))
    )
    return [_issue(each) for each in islice(found, MAX_ISSUES)]


def may_name_release(members: Mapping[str, msgspec.Raw]) -> bool:
    """Whether `named_releases` is to be asked of a resource.

    Args:
        members: of the resource, as JSON.
    """
    meta = members.get("meta")
    return "fhirVersion" in members or (
        meta is not None and _PROFILE_IN_TEXT.search(meta) is not None
    )


def seems_to_name_release(resource: bytes, resource_type: str | None) -> bool:
    """Whether the same holds of one whose members are not known.

    Of a valid resource nothing else is asked but what the fast path asks, so this is to cost next
    to nothing: `meta` is looked for where resources have it, at the beginning.
    """
    at = resource.find(b'"profile"', 0, _BEGINNING)
    if at >= 0 and _PROFILE_IN_TEXT.search(resource, at, at + _BEGINNING) is not None:
        return True
    return resource_type in _versioned() and b'"fhirVersion"' in resource


@cache
def _versioned() -> frozenset[str]:
    return frozenset(
        name for name in r4().resource_names if "fhirVersion" in shapes_of_r4().get(name, {})
    )


def _first_of_each(found: Iterable[_Evidence]) -> list[_Evidence]:
    """What is said of a resource, each once, and not more than anyone reads."""
    first: dict[str, _Evidence] = {}
    for each in found:
        first.setdefault(each.says, each)
    return list(first.values())[:_MOST_ISSUES]


def label_of(issue: Mapping[str, str]) -> str | None:
    """Return the releases that an issue of this rule names: `R5`, or `R4B or R5`.

    Args:
        issue: with rule and diagnostics.
    """
    found = _LABEL.search(issue["diagnostics"]) if issue["rule"] == RULE else None
    return found[1] if found else None


def _root(resource: bytes) -> dict[str, Any] | None:
    try:
        root = read_document(resource).root
    except JsonProblem:
        return None
    return root if isinstance(root, dict) else None


def _issue(found: _Evidence) -> Issue:
    return Issue(found.severity, "not-supported", found.path, RULE, found.says)


_Resource = tuple[dict[str, Any], str, list[Misfit]]


def _resources(root: dict[str, Any]) -> Iterator[_Resource]:
    """A resource, and those in a Bundle or Parameters; with what R4 lacks of each."""
    waiting = [(root, "")]
    for value, path in waiting:
        fit = release_r4().fit(value, path)
        yield value, path, fit.misfits
        waiting += fit.nested


def _evidence(
    value: dict[str, Any], path: str, in_r4: list[Misfit], codes: set[str]
) -> Iterator[_Evidence]:
    """What speaks for the releases that fit a resource best, if they fit it better than R4."""
    here = path or str(value.get("resourceType"))
    refused = [(each, code) for each in codes if (code := _coded(value, here, each)) is not None]
    explained: dict[str, list[Misfit]] = {}
    scores: dict[str, int] = {}
    for release in releases() if in_r4 or refused else ():
        others = release.fit(value, path).misfits if in_r4 else []
        misfits = {(each.path, each.what) for each in others}
        known = {(each.path, each.what) for each in in_r4}
        found = [each for each in in_r4 if (each.path, each.what) not in misfits]
        found += _codes_of(release, refused)
        weight = sum(_OF_TYPE if each.is_type else 1 for each in found)
        if found:
            scores[release.name] = weight - len(misfits - known)
            explained[release.name] = found
    best = max(scores.values(), default=0)
    if best > 0:
        chosen = [name for name, score in scores.items() if score == best]
        for each in dict.fromkeys(each for name in chosen for each in explained[name]):
            names = [name for name in chosen if each in explained[name]]
            yield _Evidence(each.path, f"{each.what} is {' or '.join(names)}")
    for claim in _claims(value, here):
        # An error where R4 refuses the version; a profile refuses nothing by being named
        is_refused = any(_INDEX.sub("", code) == claim.path for code in codes)
        yield claim._replace(severity="error") if is_refused else claim


class _Code(NamedTuple):
    """A code that R4 does not allow, and the element that it is in, by the path of its type."""

    element: str
    code: str


def _coded(value: dict[str, Any], here: str, expression: str) -> _Code | None:
    """Follow the location of a code that R4 refuses; None where it is in another resource."""
    if not expression.startswith(f"{here}."):
        return None
    type_: str | None = str(value.get("resourceType"))
    at: Any = value
    element = ""
    for name, index in _STEP.findall(expression[len(here) + 1 :]):
        if type_ is None or not isinstance(at, dict) or name not in at:
            return None
        element = f"{type_}.{name}"
        shape = release_r4().member(type_, name)
        at = at[name]
        if index:
            at = at[int(index)]
        type_ = None if shape is None else shape.rstrip("*")
        if type_ == "Resource":
            type_ = str(at.get("resourceType"))
    return _Code(element, at) if isinstance(at, str) else None


def _codes_of(release: Release, refused: list[tuple[str, _Code]]) -> Iterator[Misfit]:
    for path, (element, code) in refused:
        if not element.endswith(".fhirVersion") and code in release.codes.get(element, ()):
            yield Misfit(path, f"code {code} of {element}")


def _claims(value: dict[str, Any], here: str) -> Iterator[_Evidence]:
    """Releases that a resource names itself."""
    versions = value.get("fhirVersion")
    for version in versions if isinstance(versions, list) else [versions]:
        named = _VERSIONS.get(str(version)[:3])
        if named is not None:
            says = f"{_type(value)}.fhirVersion names {named}"
            yield _Evidence(f"{here}.fhirVersion", says, "information")
    meta = value.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    for profile in profiles if isinstance(profiles, list) else [profiles]:
        found = _PROFILE.fullmatch(str(profile))
        named = found and (_NAMES.get(found[1] or "") or _VERSIONS.get((found[1] or found[2])[:3]))
        if named:
            says = f"{_type(value)}.meta.profile names {named}"
            yield _Evidence(f"{here}.meta.profile", says, "information")


def _type(value: dict[str, Any]) -> str:
    name = value.get("resourceType")
    known = any(each.has_resource(name) for each in (release_r4(), *releases()))
    return str(name) if known else "Resource"
