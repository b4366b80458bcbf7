"""The profiles that R4 itself publishes, held against the resources that they are for.

Belongs here: which resources those are, and how bad a breach is. The profiles themselves are data,
in `fhir/r4/core_profiles.py`; what they demand is compiled as that of any profile.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec

from hc_assets.fhir.profiles.elements import core_type
from hc_assets.fhir.profiles.instance import Run
from hc_assets.fhir.profiles.profile_library import ProfileLibrary
from hc_assets.fhir.profiles.profile_set import ProfileSet
from hc_assets.fhir.profiles.reading import core_definitions
from hc_assets.fhir.profiles.rules import Profile
from hc_assets.fhir.profiles.survey import Found, survey
from hc_assets.fhir.r4.core_profiles import CORE_PROFILE_BASE, LOINC, core_profiles
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Issue, TooManyIssuesError
from hc_assets.fhir.r4.json_text import JsonProblem, read_document

_ERRORS = ("fatal", "error")
# Other spellings in JSON of what is in a URL.
_ESCAPED = re.compile(rb"\\(?:u00([2-7][0-9A-Fa-f])|/)")
_LONGEST = 100


@cache
def _profiles() -> ProfileSet:
    return ProfileSet(ProfileLibrary(core_definitions()))


@cache
def core_profile_urls() -> frozenset[str]:
    """URLs of the profiles, without versions."""
    return _profiles().urls


@cache
def core_constraints() -> frozenset[str]:
    """Keys of the rules in FHIRPath that the profiles add to R4's."""
    return _profiles().constraints


@cache
def _marks() -> tuple[bytes, ...]:
    """What is in the text of each resource that a profile is for; or in one with escapes."""
    codes = [f'"{code}"'.encode() for code in core_profiles().vital_signs]
    return (CORE_PROFILE_BASE.encode(), b"\\", *codes)


@cache
def _names() -> frozenset[bytes]:
    """Names that follow the base in a URL of R4: of its profiles, and of its types."""
    names = {url.removeprefix(CORE_PROFILE_BASE) for url in core_profile_urls()}
    return frozenset(name.encode() for name in names | r4().resource_names)


def may_name_core_profile(resource: bytes) -> bool:
    """Whether something in a resource may name one of the profiles, or a type, in `meta.profile`.

    Costs next to nothing where none is named.

    Args:
        resource: JSON; any bytes.
    """
    text = _ESCAPED.sub(_unescaped, resource)
    base = CORE_PROFILE_BASE.encode()
    at = text.find(base)
    while at >= 0:
        at += len(base)
        if re.split(rb'["|]', text[at : at + _LONGEST], maxsplit=1)[0] in _names():
            return True
        at = text.find(base, at)
    return False


def _unescaped(found: re.Match[bytes]) -> bytes:
    return b"/" if found[1] is None else bytes.fromhex(found[1].decode())


def core_profile_issues(resource: bytes) -> list[Issue]:
    """Hold a resource, and those inside it, against R4's own profiles.

    Args:
        resource: JSON; any bytes.

    Returns:
        The issues, by resource. Where `meta.profile` names a profile its demands are errors; those
        of a vital sign's on an Observation with its code, which does not name it, are warnings.
        None where the text can't be read or walked, which R4's other rules report.
    """
    if not any(mark in resource for mark in _marks()):
        return []
    try:
        root = read_document(resource).root
    except JsonProblem:
        return []
    found = survey(root) if isinstance(root, dict) and "resourceType" in root else None
    run = _profiles().run_of(root)
    # Too many issues: what has been found is reported.
    with suppress(TooManyIssuesError):
        for one in found or ():
            named = list(_named(one, run))
            for profile in named:
                _profiles().hold(one, profile, run)
            for profile in _of_vital_signs(one):
                if profile not in named:
                    _as_warnings(one, profile, run)
    return run.findings.issues


def _named(one: Found, run: Run) -> Iterator[Profile]:
    """The profiles that a resource names; types of others are reported."""
    meta = one.node.value.get("meta")
    urls = meta.get("profile") if isinstance(meta, dict) else None
    for index, url in enumerate(urls if isinstance(urls, list) else ()):
        if isinstance(url, str) and (
            url.partition("|")[0] in core_profile_urls() or core_type(url) is not None
        ):
            yield from _profiles().named(one, url, f"{one.path}.meta.profile[{index}]", run)


def _of_vital_signs(one: Found) -> Iterator[Profile]:
    """The profiles of the vital signs that an Observation's code names."""
    code: Any = one.node.value.get("code") if one.node.type_name == "Observation" else None
    codings = code.get("coding") if isinstance(code, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        if not isinstance(coding, dict) or coding.get("system") != LOINC:
            continue
        value = coding.get("code")
        sign = core_profiles().vital_signs.get(value) if isinstance(value, str) else None
        profile = None if sign is None else _profiles().profile(sign.profile)
        if profile is not None:
            yield profile


def _as_warnings(one: Found, profile: Profile, run: Run) -> None:
    """Hold a resource against a profile that it doesn't name; what is reported already stays."""
    errors = {(issue.rule, issue.expression) for issue in run.findings.issues}
    trial = run.trial()
    with suppress(TooManyIssuesError):
        _profiles().hold(one, profile, trial)
    for issue in trial.findings.issues:
        if issue.severity != "information" and (issue.rule, issue.expression) not in errors:
            milder = issue.severity in _ERRORS
            run.findings.take(
                msgspec.structs.replace(issue, severity="warning") if milder else issue
            )
