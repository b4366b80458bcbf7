"""Guides as their publishers pack them (US Core, IPS, mCODE and others), where they are at hand.

Belongs here: their own examples. What single demands of a profile do is in the tests beside this.
"""

import os
from pathlib import Path

import pytest

from hc_assets.fhir.bundles.entries import resource_entry
from hc_assets.fhir.profiles.packages import files_of
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.profile_rules import given_profiles, profile_issues

_VARIABLE = "HC_GUIDE_PACKAGES"
_LARGE = 3_000_000
# HL7's packages of terminology have some that lack what a shareable one must have: no examples.
_DEFINITIONS = ("CodeSystem", "ValueSet")
# Examples that break what their own guide demands, by the rule: mCODE 4.0.0 allows codes of
# cancerstaging.org and SNOMED CT there, and this one has one of data-absent-reason.
_BROKEN = {
    "Observation-tnm-pathologic-distant-metastases-category-jenny-m.json": "profile-binding",
}


@pytest.fixture(scope="module")
def guides() -> list[Path]:
    paths = [Path(each) for each in os.environ.get(_VARIABLE, "").split(os.pathsep) if each]
    if not paths or not all(path.exists() for path in paths):
        pytest.skip(
            f"{_VARIABLE} names no packages of guides with those that they depend on"
            " (.tgz, .zip or folders, separated as in PATH)"
        )
    return paths


def test_the_examples_of_guides_conform_to_the_profiles_that_they_name(guides: list[Path]) -> None:
    profiles = given_profiles(guides)
    named = 0
    for file in (file for path in guides for file in files_of(path)):
        if b'"profile"' not in file.text or b'"resourceType"' not in file.text:
            continue
        if len(file.text) > _LARGE or b'"StructureDefinition"' in file.text:
            continue
        if resource_entry(0, file.text).resource_type in _DEFINITIONS:
            continue
        issues = [*validate(file.text), *profile_issues(file.text, profiles)]
        known = _BROKEN.get(str(file.name).rpartition("/")[2])
        issues = [each for each in issues if each.rule != known]
        assert not has_errors(issues), (file.name, [i for i in issues if i.severity == "error"])
        named += 1
    assert named
