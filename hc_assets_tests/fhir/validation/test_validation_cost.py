"""What validation costs grows with what a resource holds, not with its square.

Steps are counted, calls of functions, so that no clock and no other process has a say.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import load_profiles
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.validation import validate

Json = dict[str, Any]


class Steps:
    """How many functions were called."""

    count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._count)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _count(self, *_: object) -> None:
        self.count += 1


def steps_of(check: Callable[[bytes], object], resource: Json) -> int:
    raw = json.dumps(resource).encode()
    steps = Steps()
    with steps.counted():
        check(raw)
    return steps.count


def growth(check: Callable[[bytes], object], make: Callable[[int], Json], size: int = 60) -> float:
    """By how much more steps it takes when there is twice as much of everything."""
    check(json.dumps(make(2)).encode())  # what is worked out once is worked out
    return steps_of(check, make(2 * size)) / steps_of(check, make(size))


# Twice the steps for twice the input, and what n log n adds to that.
LINEAR = 2.25


def resource(type_: str, **members: Any) -> Json:
    return {"resourceType": type_, "id": "x", **members}


def organizations(n: int, **members: Any) -> list[Json]:
    return [resource("Organization", name="x", **members) | {"id": f"c{i}"} for i in range(n)]


def codings(n: int, prefix: str = "a") -> list[Json]:
    return [{"system": "http://example.org", "code": f"{prefix}{i}"} for i in range(n)]


def observation(**members: Any) -> Json:
    return resource("Observation", status="final", **({"code": {"text": "x"}} | members))


def components(n: int) -> list[Json]:
    return [{"code": {"coding": [each]}, "valueString": "y"} for each in codings(n, "b")]


def urn(number: int) -> str:
    return f"urn:uuid:0a1b2c3d-0000-4000-8000-{number:012d}"


def bundle(type_: str, *entries: Json) -> Json:
    return resource("Bundle", type=type_, entry=list(entries))


def linked(url: str, reference: str) -> Json:
    return {"fullUrl": url, "resource": observation(subject={"reference": reference})}


def document(n: int) -> Json:
    composition = resource(
        "Composition",
        status="final",
        type={"text": "x"},
        date="2020",
        author=[{"reference": urn(1)}],
        title="x",
        section=[{"entry": [{"reference": urn(1)} for _ in range(n)]}],
    )
    same = [{"fullUrl": urn(1), "resource": resource("Patient")} for _ in range(n)]
    return bundle("document", {"fullUrl": urn(0), "resource": composition}, *same)


def history(n: int) -> Json:
    return bundle(
        "collection",
        *(
            {
                "fullUrl": "http://example.org/Patient/x",
                "resource": resource(
                    "Patient",
                    meta={"versionId": str(i)},
                    link=[{"other": {"reference": f"Patient/x/_history/{i}"}, "type": "seealso"}],
                ),
            }
            for i in range(n)
        ),
    )


def elements(n: int) -> list[Json]:
    base = {"path": "Patient", "min": 0, "max": "*"}
    facts = {"definition": "x", "min": 0, "max": "*", "base": base}
    paths = ["Patient", *(f"Patient.a{i}" for i in range(n))]
    return [{"id": path, "path": path, **facts} for path in paths]


def structure(n: int) -> Json:
    return resource(
        "StructureDefinition",
        url="http://example.org/x",
        name="X",
        status="draft",
        kind="resource",
        abstract=False,
        type="Patient",
        derivation="specialization",
        snapshot={"element": elements(n)},
        differential={"element": elements(n)},
    )


def guide(n: int) -> Json:
    return resource(
        "ImplementationGuide",
        url="http://example.org/x",
        name="X",
        status="draft",
        packageId="a",
        fhirVersion=["4.0.1"],
        definition={
            "grouping": [{"id": f"g{i}", "name": "x"} for i in range(n)],
            "resource": [
                {"reference": {"reference": f"Patient/{i}"}, "groupingId": f"g{i}"}
                for i in range(n)
            ],
        },
    )


def team(n: int) -> Json:
    members = [
        {"member": {"reference": f"#c{i}"}, "onBehalfOf": {"reference": f"#c{i}"}} for i in range(n)
    ]
    return resource("CareTeam", participant=members, contained=organizations(n))


def questionnaire(n: int) -> Json:
    condition = {"operator": "exists", "answerBoolean": True}
    items = [
        {"linkId": f"l{i}", "type": "string", "enableWhen": [{"question": "l0", **condition}]}
        for i in range(n)
    ]
    return resource("Questionnaire", status="draft", item=items)


MAKERS: dict[str, Callable[[int], Json]] = {
    "contained, referred to by nothing": lambda n: resource("Patient", contained=organizations(n)),
    "contained, referring to their container": lambda n: resource(
        "Patient", contained=organizations(n, partOf={"reference": "#"})
    ),
    "contained, all of one id": lambda n: resource(
        "Patient",
        contained=[each | {"id": "c"} for each in organizations(n)],
        generalPractitioner=[{"reference": "#c"} for _ in range(n)],
    ),
    "contained, referred to and resolved": team,
    "codings of components and of their observation": lambda n: observation(
        code={"coding": codings(n)}, component=[*components(n), {"x": 1}], valueString="x"
    ),
    "entries of one fullUrl that refer to it": lambda n: bundle(
        "collection", *(linked(urn(1), urn(1)) for _ in range(n))
    ),
    "entries of one name that refer to it": lambda n: bundle(
        "batch", *(linked("http://example.org/Patient/x", "Patient/x") for _ in range(n))
    ),
    "entries that refer to the next": lambda n: bundle(
        "transaction", *(linked(urn(i), urn(i + 1)) for i in range(n))
    ),
    "versions of one resource": history,
    "a document that names one entry again and again": document,
    "elements of a definition": structure,
    "resources and groups of a guide": guide,
    "items of a questionnaire": questionnaire,
    "labels": lambda n: resource("Patient", meta={"security": codings(n)}),
    "ids of elements": lambda n: resource(
        "Patient", name=[{"id": f"n{i}", "family": "x"} for i in range(n)]
    ),
    "unknown members": lambda n: resource("Patient", **{f"x{i}": 1 for i in range(n)}),
}


@pytest.mark.parametrize("name", MAKERS)
def test_twice_the_input_takes_about_twice_the_steps(name: str) -> None:
    assert growth(validate, MAKERS[name]) < LINEAR


COMBINING = [
    "%resource.component.code.coding.combine(code.coding).isDistinct().not()",
    "(%resource.component.code.coding | code.coding).count() > 0",
    "%resource.component.code.coding.union(code.coding).exists()",
    "%resource.component.code.coding.intersect(code.coding).count() = 1",
    "code.coding.intersect(%resource.component.code.coding).count() = 1",
    "%resource.component.code.coding.exclude(code.coding).exists()",
    "code.coding.subsetOf(%resource.component.code.coding)",
    "code.coding.supersetOf(%resource.component.code.coding).not()",
    "code.coding in %resource.component.code.coding",
    "%resource.descendants().ofType(code) contains code.coding.first().code",
    "%rootResource.component.where(code.exists()).code.coding.code.isDistinct()",
]
COMBINING_ONCE = [
    "component.code.coding.aggregate($total | $this, {}).count() > 0",
    "component.code.coding.combine(component.code.coding).isDistinct().not()",
    "component.all(%context.component.code.coding contains code.coding.first())",
    "component.code.coding.code in component.code.coding.code",
    "component.code.coding ~ component.code.coding",
    "descendants().union(descendants()).distinct().count() > 0",
]


@pytest.mark.parametrize("expression", [*COMBINING, *COMBINING_ONCE])
def test_rules_of_profiles_that_combine_take_twice_the_steps_for_twice_the_input(
    expression: str, tmp_path: Path
) -> None:
    path = "Observation.component" if expression in COMBINING else "Observation"
    rule = {"key": "c-1", "severity": "error", "human": "x", "expression": expression}
    url = "http://example.org/StructureDefinition/combining"
    differential = {"element": [{"id": path, "path": path, "constraint": [rule]}]}
    base = "http://hl7.org/fhir/StructureDefinition/Observation"
    (tmp_path / "profile.json").write_text(
        json.dumps(
            structure(0)
            | {"url": url, "type": "Observation", "derivation": "constraint"}
            | {"baseDefinition": base, "snapshot": None, "differential": differential}
        ).replace('"snapshot": null, ', "")
    )
    profiles = load_profiles([tmp_path])

    def check(raw: bytes) -> None:
        issues = profiles.validate(raw)
        assert [issue.rule for issue in issues if issue.rule == "c-1"] == []

    def make(n: int) -> Json:
        return observation(meta={"profile": [url]}, component=components(n))

    assert growth(check, make) < LINEAR


@pytest.mark.parametrize(
    "make",
    [
        lambda n: resource(
            "Patient",
            contained=organizations(n),
            generalPractitioner=[{"reference": f"#c{i}"} for i in range(n)],
        ),
        lambda n: resource(
            "Patient",
            contained=organizations(1),
            generalPractitioner=[{"reference": "#c0"} for _ in range(n)],
        ),
        lambda n: observation(
            code={"coding": codings(n)}, component=components(1), valueString="x"
        ),
    ],
    ids=["contained", "references to one", "codings"],
)
def test_what_compiled_code_would_compare_with_each_other_it_leaves_alone(
    make: Callable[[int], Json],
) -> None:
    few, many = (json.dumps(make(n)).encode() for n in (10, 200))
    assert accept(few) is not None
    assert accept(many) is None
    assert not [issue for issue in validate(many) if issue.severity == "error"]
