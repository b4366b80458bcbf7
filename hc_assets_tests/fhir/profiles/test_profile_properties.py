import copy
import json
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.profiles import ProfileSet, load_profiles
from hc_assets.fhir.profiles.matching import has_pattern, is_fixed

Json = dict[str, Any]
BASE = "https://example.org/StructureDefinition/"
PLAIN = BASE + "plain"
LOINC = "http://loinc.org"


def _discriminated(path: str, kind: str = "value", rules: str = "open") -> Json:
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules}


def _structure(name: str, type_name: str, elements: list[Json]) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": BASE + name,
        "kind": "resource",
        "type": type_name,
        "derivation": "constraint",
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "differential": {"element": elements},
    }


def _element(path: str, **demands: Any) -> Json:
    plain = ".".join(part.partition(":")[0] for part in path.split("."))
    name = path.rpartition(":")[2] if ":" in path.rpartition(".")[2] else None
    return {"id": path, "path": plain} | ({"sliceName": name} if name else {}) | demands


# One profile with a demand of every kind, so that odd data meets all code.
EVERYTHING = _structure(
    "everything",
    "Observation",
    [
        _element("Observation", constraint=[]),
        _element("Observation.extension", slicing=_discriminated("url")),
        _element(
            "Observation.extension:own",
            min=1,
            type=[{"code": "Extension", "profile": [BASE + "own"]}],
        ),
        _element("Observation.status", fixedCode="final"),
        _element(
            "Observation.category",
            min=1,
            max="2",
            slicing=_discriminated("coding.code", rules="closed"),
            binding={"strength": "required", "valueSet": BASE + "set"},
        ),
        _element("Observation.category:lab", max="1"),
        _element("Observation.category:lab.coding.code", fixedCode="lab"),
        _element("Observation.code", patternCodeableConcept={"coding": [{"system": LOINC}]}),
        _element("Observation.code.coding.display", maxLength=3),
        _element(
            "Observation.subject",
            min=1,
            type=[{"code": "Reference", "targetProfile": [BASE + "named"]}],
        ),
        _element("Observation.performer", slicing=_discriminated("resolve()", "type")),
        _element(
            "Observation.performer:who",
            type=[{"code": "Reference", "targetProfile": [BASE + "named"]}],
        ),
        _element("Observation.hasMember", slicing=_discriminated("resolve()", "profile")),
        _element(
            "Observation.hasMember:own",
            type=[{"code": "Reference", "targetProfile": [BASE + "everything"]}],
        ),
        _element("Observation.value[x]", slicing=_discriminated("$this", "type", "closed")),
        _element("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
        _element(
            "Observation.value[x]:valueQuantity.value", minValueDecimal=0, maxValueDecimal=10.5
        ),
        _element("Observation.effective[x]", minValueDateTime="2000-01-01"),
        _element("Observation.component", slicing=_discriminated("interpretation", "exists")),
        _element("Observation.component:rated", max="1"),
        _element("Observation.component:rated.interpretation", min=1),
        _element("Observation.component.referenceRange", contentReference="#Observation"),
        _element("Observation.contained", max="1"),
    ],
)
EVERYTHING["differential"]["element"][0]["constraint"] = [
    {
        "key": "own-1",
        "severity": "error",
        "human": "h",
        "expression": f"code.memberOf('{BASE}set') or contained.conformsTo('{BASE}named') or "
        "value.value > 1 or subject.resolve().name.exists() or component.code.count() < 3",
    }
]
NAMED = _structure("named", "Patient", [_element("Patient.name", min=1)])
OWN = _structure(
    "own",
    "Extension",
    [
        _element("Extension.url", fixedUri=BASE + "own"),
        _element("Extension.value[x]", min=1, type=[{"code": "code"}]),
    ],
)
ENTRY = _structure(
    "entry",
    "Bundle",
    [
        _element("Bundle.entry", slicing=_discriminated("resource", "profile")),
        _element("Bundle.entry:named", min=1),
        _element(
            "Bundle.entry:named.resource", type=[{"code": "Patient", "profile": [BASE + "named"]}]
        ),
    ],
)
MINIMA = _structure(
    "plain",
    "Observation",
    [
        _element("Observation.category", min=1),
        _element("Observation.component", min=1, slicing=_discriminated("code")),
        _element("Observation.component:a", min=1),
        _element("Observation.component:a.code", patternCodeableConcept={"text": "a"}),
        _element("Observation.component:a.interpretation", min=1),
        _element("Observation.component:b", min=2),
        _element("Observation.component:b.code", patternCodeableConcept={"text": "b"}),
        _element("Observation.component.value[x]", min=1),
    ],
)
CODES = {
    "resourceType": "ValueSet",
    "url": BASE + "set",
    "compose": {"include": [{"system": LOINC, "concept": [{"code": "1-8"}]}, {"system": "s:x"}]},
}


@cache
def _profiles() -> ProfileSet:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "all.json"
        file.write_text(json.dumps([EVERYTHING, NAMED, OWN, ENTRY, MINIMA, CODES]))
        return load_profiles([file])


NAMES = st.sampled_from(
    [
        "resourceType",
        "id",
        "meta",
        "profile",
        "extension",
        "modifierExtension",
        "url",
        "valueCode",
        "_status",
        "status",
        "category",
        "coding",
        "system",
        "code",
        "display",
        "text",
        "subject",
        "reference",
        "type",
        "performer",
        "hasMember",
        "valueQuantity",
        "value",
        "unit",
        "effectiveDateTime",
        "component",
        "interpretation",
        "referenceRange",
        "contained",
        "entry",
        "resource",
        "fullUrl",
        "name",
        "valueString",
        "identifier",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(
        [
            *(
                "Observation",
                "Patient",
                "Bundle",
                "final",
                "lab",
                "#p",
                "#",
                "Patient/p",
                "p",
                "1-8",
            ),
            *(LOINC, "2020", "2020-02-30", "1999-01-01", BASE + "own", BASE + "everything"),
        ]
    )
)
JSON = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=6),
    max_leaves=40,
)


@given(JSON, st.sampled_from(["Observation", "Patient", "Bundle", "Extension"]))
def test_no_json_makes_it_raise(content: Any, name: str) -> None:
    profiles = _profiles()
    if isinstance(content, dict):
        content = content | {"resourceType": name}
    text = json.dumps(content).encode()
    for options in ({}, {"profiles": sorted(profiles.urls)}, {"for_every": sorted(profiles.urls)}):
        for issue in profiles.validate(text, **options):
            assert issue.severity in ("fatal", "error", "warning", "information")
            assert issue.rule
            assert issue.diagnostics


@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    assert all(issue.severity == "fatal" for issue in _profiles().validate(raw))


@given(
    st.sampled_from(["Observation", "Bundle"]),
    st.sampled_from(sorted(_profiles().urls)),
    st.integers(min_value=1, max_value=60),
)
def test_depth_does_not_matter(name: str, url: str, depth: int) -> None:
    below: Json = {"url": BASE + "own"}
    for _ in range(depth):
        below = {"extension": [below], "url": "x:y"}
    resource = {"resourceType": name, "extension": [below], "component": [below]}
    assert _profiles().validate(json.dumps(resource).encode(), [url])


CATEGORY = {"text": "x"}
COMPONENTS = [
    {"code": {"text": "a"}, "interpretation": [{"text": "H"}], "valueString": "x"},
    {"code": {"text": "b"}, "valueInteger": 1},
    {"code": {"text": "c"}, "_valueString": {"extension": [{"url": "u:x", "valueCode": "x"}]}},
]
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "category": st.lists(st.just(CATEGORY), min_size=1, max_size=2),
        "component": st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=4),
    },
)


def _too_few(resource: Json) -> set[tuple[str, str]]:
    issues = _profiles().validate(json.dumps(resource).encode(), [PLAIN])
    return {
        (issue.expression, issue.diagnostics.partition("found")[0])
        for issue in issues
        if issue.rule == "profile-cardinality" and "at least" in issue.diagnostics
    }


@given(CONTENTS, st.sampled_from([("category", CATEGORY), *(("component", c) for c in COMPONENTS)]))
def test_adding_good_content_never_makes_too_few(members: Json, addition: tuple[str, Json]) -> None:
    before = {"resourceType": "Observation"} | members
    name, one = addition
    after = copy.deepcopy(before)
    after.setdefault(name, []).append(one)
    assert _too_few(after) <= _too_few(before)


@given(st.lists(st.sampled_from(COMPONENTS), max_size=5))
def test_exactly_what_a_slice_lacks_is_reported(components: list[Json]) -> None:
    resource = {"resourceType": "Observation", "category": [CATEGORY]}
    if components:
        resource["component"] = components
    texts = [component["code"]["text"] for component in components]
    expected = set()
    if not components:
        expected.add("")
    expected |= {
        f"slice {name}: " for name, least in (("a", 1), ("b", 2)) if texts.count(name) < least
    }
    assert _too_few(resource) == {("Observation.component", what) for what in expected}


NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.booleans() | NUMBERS | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=2), below),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_is_fixed_to_itself_and_has_itself_as_pattern(value: Any) -> None:
    assert is_fixed(value, value)
    assert has_pattern(value, value)


@given(VALUES, VALUES)
def test_what_is_fixed_has_the_pattern(value: Any, wanted: Any) -> None:
    assert has_pattern(value, wanted) or not is_fixed(value, wanted)


@given(st.dictionaries(st.text(max_size=2), VALUES), st.text(max_size=3), VALUES)
def test_members_and_entries_beside_a_pattern_are_allowed(
    value: Json, name: str, other: Any
) -> None:
    larger = {name: other} | value
    assert has_pattern(larger, value)
    assert has_pattern([other, value], [value])
    assert is_fixed(larger, value) == (name in value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(0, 3))
def test_trailing_zeros_make_no_other_number(number: Decimal, zeros: int) -> None:
    longer = Decimal(str(number) + "0" * zeros)
    assert is_fixed(longer, number)
    assert not is_fixed(str(number), number)
    decoded = msgspec.json.Decoder(float_hook=Decimal).decode(str(longer).encode())
    assert has_pattern(decoded, number)
