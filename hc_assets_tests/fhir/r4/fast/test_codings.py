"""Codes of the code systems that R4 publishes whole: what is unknown, and what was meant.

Belongs here: both paths' look-up of codes. Required bindings are in the tests of values.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.r4.build.code_systems import build_code_systems
from hc_assets.fhir.r4.build.package import Package, read_package
from hc_assets.fhir.r4.code_systems import (
    CODE_SYSTEMS_PATH,
    code_systems,
    is_unknown_code,
    nearest_code,
)
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.redacted_issues import without_values

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_CATEGORY = f"{_TERMINOLOGY}observation-category"


def _observation(**members: Any) -> bytes:
    code = {"coding": [{"system": "http://loinc.org", "code": "2951-2"}]}
    resource = {"resourceType": "Observation", "status": "final", "code": code, **members}
    return json.dumps(resource).encode()


def _coded(system: str, code: str, **members: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **members}]}


def _warnings(raw: bytes) -> list[tuple[str, str]]:
    return [(i.expression, i.diagnostics) for i in validate(raw) if i.rule == "code-system"]


def test_a_misspelled_code_warns_with_the_code_that_was_meant() -> None:
    raw = _observation(category=[_coded(_CATEGORY, "labratory")])
    issue = next(issue for issue in validate(raw) if issue.rule == "code-system")
    assert (issue.severity, issue.code) == ("warning", "code-invalid")
    assert issue.expression == "Observation.category[0].coding[0].code"
    assert issue.diagnostics.endswith("the nearest one is laboratory")
    assert not has_errors(validate(raw))


def test_what_was_sent_is_redacted_and_what_hl7_says_is_not() -> None:
    raw = _observation(category=[_coded(_CATEGORY, "labratory")])
    issue = next(issue for issue in validate(raw) if issue.rule == "code-system")
    shown = without_values(issue).diagnostics
    assert "labratory" not in shown
    assert shown.endswith(f"expected one of code system {_CATEGORY}; the nearest one is laboratory")


_MARITAL = f"{_TERMINOLOGY}v3-MaritalStatus"


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"meta": {"tag": [{"system": _CATEGORY, "code": "exams"}]}}, "meta.tag[0].code"),
        (
            {
                "extension": [
                    {"url": "http://a.b/c", "valueCoding": {"system": _CATEGORY, "code": "x"}}
                ]
            },
            "extension[0].valueCoding.code",
        ),
        ({"valueCodeableConcept": _coded(_MARITAL, "MM")}, "valueCodeableConcept.coding[0].code"),
        (
            {"component": [{"code": _coded(_CATEGORY, "surgery"), "valueString": "x"}]},
            "component[0].code.coding[0].code",
        ),
        (
            {"interpretation": [_coded(f"{_TERMINOLOGY}v3-ObservationInterpretation", "HHH")]},
            "interpretation[0].coding[0].code",
        ),
        (
            {"bodySite": _coded("http://dicom.nema.org/resources/ontology/DCM", "0000")},
            "bodySite.coding[0].code",
        ),
    ],
)
def test_codes_are_looked_up_wherever_a_coding_stands(members: dict[str, Any], place: str) -> None:
    raw = _observation(**members)
    assert accept(raw) is None
    assert [where for where, _ in _warnings(raw)] == [f"Observation.{place}"]


def test_codes_inside_a_hierarchy_are_found() -> None:
    # HH is below H, which is below _ObservationInterpretationNormality.
    system = f"{_TERMINOLOGY}v3-ObservationInterpretation"
    assert accept(_observation(interpretation=[_coded(system, "HH")])) is not None


def test_case_counts_as_the_code_system_says() -> None:
    assert is_unknown_code(_CATEGORY, None, "Laboratory")  # caseSensitive: true
    assert nearest_code(_CATEGORY, "Laboratory") == "laboratory"
    assert not is_unknown_code(f"{_TERMINOLOGY}v2-0203", None, "mr")  # it doesn't say
    assert not _warnings(_observation(bodySite=_coded(f"{_TERMINOLOGY}v2-0203", "mr")))


@pytest.mark.parametrize(
    "concept",
    [
        _coded("http://snomed.info/sct", "nosuch"),
        _coded("http://example.org/own", "nosuch"),
        # Only examples of its codes are published.
        _coded(f"{_TERMINOLOGY}service-type", "nosuch"),
        # Another version has other codes.
        _coded(_CATEGORY, "nosuch", version="9.9"),
        {"text": "no coding"},
        {"coding": [{"system": _CATEGORY, "display": "no code"}]},
        {"coding": [{"code": "nosuch"}]},
    ],
)
def test_what_can_t_be_told_is_not_reported(concept: dict[str, Any]) -> None:
    assert _warnings(_observation(category=[concept])) == []


def test_a_code_that_resembles_none_gets_no_hint() -> None:
    ((_, text),) = _warnings(_observation(category=[_coded(_CATEGORY, "zzz" * 30)]))
    assert "nearest" not in text


def test_every_code_of_every_system_is_accepted_by_both_paths() -> None:
    for url, system in code_systems().items():
        categories = [_coded(url, code) for code in system.codes if " " not in code[:1]]
        raw = _observation(category=categories)
        assert accept(raw) is not None, url
        assert not any(is_unknown_code(url, None, code) for code in system.codes)


def test_both_paths_tell_the_same_codes() -> None:
    for url, system in list(code_systems().items())[::25]:
        for code in system.codes[:5]:
            for other in (code, f"{code}x", code[:-1] or "q", code.swapcase()):
                raw = _observation(category=[_coded(url, other)])
                unknown = "code-system" in {issue.rule for issue in thorough_issues(raw)}
                assert unknown == is_unknown_code(url, None, other)
                if accept(raw) is not None:
                    assert not unknown


def _package(*resources: dict[str, Any]) -> Package:
    files = {"package.json": b'{"name": "p", "version": "1", "fhirVersions": ["4.0.1"]}'}
    return Package(files | {f"{n}.json": json.dumps(r).encode() for n, r in enumerate(resources)})


def test_only_whole_code_systems_are_kept_and_versions_of_one_url_together() -> None:
    import gzip

    def system(url: str, code: str, content: str = "complete", **members: Any) -> dict[str, Any]:
        concepts = [{"code": code, "concept": [{"code": f"{code}1"}]}]
        found = {"resourceType": "CodeSystem", "url": url, "content": content, **members}
        return found | {"concept": concepts}

    package = _package(
        system("http://a/1|1.0", "a", caseSensitive=True, version="1.0"),
        system("http://a/1|2.0", "b", caseSensitive=True, version="2.0"),
        system("http://a/2", "c", "fragment"),
        system("http://a/3", "d", compositional=True),
        system("http://a/4", "e"),
    )
    built = json.loads(gzip.decompress(build_code_systems(package)))
    assert built == {
        "http://a/1": {"codes": ["a", "a1", "b", "b1"], "versions": ["1.0", "2.0"]},
        "http://a/4": {"codes": ["e", "e1"], "ignores_case": True},
    }


@pytest.mark.skipif("HC_R4_PACKAGE" not in os.environ, reason="HC_R4_PACKAGE names no package")
def test_the_shipped_code_systems_are_those_of_the_package() -> None:
    package = read_package(Path(os.environ["HC_R4_PACKAGE"]))
    assert build_code_systems(package) == CODE_SYSTEMS_PATH.read_bytes()
    assert CODE_SYSTEMS_PATH.stat().st_size < 100_000
