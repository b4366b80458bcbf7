"""Examples of guides, each spoiled in one place that its profile speaks of: all are found there.

Runs where guides are at hand; see `test_guides.py`. Single demands are tested beside this.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from hc_assets.fhir.profiles.packages import files_of
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.profile_rules import given_profiles, profile_issues
from hc_assets_tests.fhir.profiles.test_guides import guides  # noqa: F401 - a fixture

Json = dict[str, Any]
MUTANTS_OF_KIND = 100
_LARGE = 300_000
_NO_CODE = "no-such-code"
_OF_R4 = "http://hl7.org/fhir/ValueSet/"
_INDEX = re.compile(r"\[\d+\]")


class Mutant(NamedTuple):
    """A spoiled example.

    Attributes:
        kind: what was spoiled.
        path: of the element, as the profile names it, without `[x]`.
        resource: with that one fault.
    """

    kind: str
    path: str
    resource: Json


def nodes(resource: Json, path: list[str]) -> Iterator[Json]:
    """The objects that a path leads to."""
    if not path:
        yield resource
        return
    value = resource.get(path[0])
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from nodes(each, path[1:])


def names_of(node: Json, name: str) -> list[str]:
    """Members of an object that an element of a profile stands for."""
    if name.endswith("[x]"):
        stem = name.removesuffix("[x]")
        return [each for each in node if re.fullmatch(f"_?{stem}[A-Z].*", each)]
    return [each for each in (name, f"_{name}") if each in node]


def matches(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and matches(value[key], each) for key, each in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(matches(each, wanted) for each in value) for wanted in pattern
        )
    return bool(value == pattern)


def without_code(value: Any) -> Any:
    """A code, Coding or CodeableConcept with a code that there is not."""
    if isinstance(value, str):
        return _NO_CODE
    if isinstance(value, dict) and "coding" in value:
        return value | {"coding": [each | {"code": _NO_CODE} for each in value["coding"]]}
    return value | {"code": _NO_CODE} if isinstance(value, dict) and "code" in value else None


def fixed_in(element: Json) -> Any:
    return next((v for key, v in element.items() if re.match("(fixed|pattern)[A-Z]", key)), None)


def mutants(resource: Json, profile: Json, value_sets: Set[str]) -> Iterator[Mutant]:
    """All mutants of an example by a profile that it conforms to.

    Codes are those of value sets that are there: of others nobody knows the codes.
    """
    elements = profile["snapshot"]["element"]
    for element in elements:
        path, id_ = element["path"], element["id"]
        _, *parents, name = path.split(".") if "." in path else ("", "")
        plain = path.removesuffix("[x]")
        if not name or name in ("id", "extension") or "[x]" in ".".join(parents):
            continue
        if ":" in id_:
            if id_.rpartition(".")[2].count(":") == 1 and ":" not in id_.rpartition(".")[0]:
                yield from _without_slice(resource, element, elements)
            continue
        for number, node in enumerate(nodes(resource, parents)):
            present = names_of(node, name)
            if not present:
                continue
            spoiled = copy.deepcopy(resource)
            spot = list(nodes(spoiled, parents))[number]
            value = node[present[0]]
            first = value[0] if isinstance(value, list) else value
            if element["min"] > element.get("base", element)["min"]:
                for each in present:
                    del spot[each]
                yield Mutant("required element", plain, copy.deepcopy(spoiled))
                spot.update({each: node[each] for each in present})
            if name.endswith("[x]") and len(present) == 1:
                allowed = {each["code"] for each in element["type"]}
                other = next((t for t in ("Time", "Integer") if t.lower() not in allowed), None)
                if other is not None:
                    del spot[present[0]]
                    spot[plain.rpartition(".")[2] + other] = 1 if other == "Integer" else "12:00:00"
                    yield Mutant("type", plain, copy.deepcopy(spoiled))
            wrong = without_code(first)
            is_fixed = fixed_in(element) is not None
            binding = element.get("binding", {})
            value_set = binding.get("valueSet", "").partition("|")[0]
            is_bound = binding.get("strength") == "required" and (
                value_set in value_sets or value_set.startswith(_OF_R4)
            )
            if (is_fixed or is_bound) and wrong is not None and not present[0].startswith("_"):
                again = copy.deepcopy(resource)
                spot = list(nodes(again, parents))[number]
                spot[present[0]] = [wrong, *value[1:]] if isinstance(value, list) else wrong
                yield Mutant("fixed value" if is_fixed else "code", plain, again)


def _without_slice(resource: Json, element: Json, elements: list[Json]) -> Iterator[Mutant]:
    """Take out what is in a slice that must be there, where values alone say what is in it."""
    _, *parents, name = element["path"].split(".")
    if not element["min"] or name.endswith("[x]"):
        return
    own = f"{element['id']}."
    patterns = {
        each["id"].removeprefix(own): fixed_in(each)
        for each in elements
        if each["id"].startswith(own)
        and ":" not in each["id"].removeprefix(own)
        and fixed_in(each) is not None
    }
    whole = fixed_in(element)

    def is_in(value: Any) -> bool:
        return (whole is None or matches(value, whole)) and all(
            any(
                matches(found.get(path.rpartition(".")[2]), pattern)
                for found in nodes(value, path.split(".")[:-1])
            )
            for path, pattern in patterns.items()
        )

    if whole is None and not patterns:
        return
    for number, node in enumerate(nodes(resource, parents)):
        value = node.get(name)
        if not isinstance(value, list) or not any(is_in(each) for each in value):
            continue
        spoiled = copy.deepcopy(resource)
        spot = list(nodes(spoiled, parents))[number]
        spot[name] = [each for each in value if not is_in(each)]
        if not spot[name]:
            del spot[name]
        yield Mutant("slice", element["path"], spoiled)


def is_at(expression: str, path: str) -> bool:
    """Whether an issue is at an element, in it, or at what holds it."""
    place = _INDEX.sub("", expression)
    within = re.match(rf"{re.escape(path)}($|[A-Z.])", place)
    return within is not None or place == path.rpartition(".")[0]


def test_each_fault_in_an_example_is_found_at_its_place(guides: list[Path]) -> None:  # noqa: F811
    profiles = given_profiles(guides)
    resources = [
        json.loads(file.text)
        for path in guides
        for file in files_of(path)
        if b'"resourceType"' in file.text and len(file.text) < _LARGE
    ]
    known = {
        each["url"]: each
        for each in resources
        if each["resourceType"] == "StructureDefinition" and "snapshot" in each
    }
    # Which codes SNOMED CT has below another one, no package says
    value_sets = {
        each["url"]
        for each in resources
        if each["resourceType"] == "ValueSet"
        and all("concept" in part for part in each.get("compose", {}).get("include", [{}]))
    }
    made: dict[str, list[Mutant]] = {}
    for resource in resources:
        named = [known.get(url) for url in resource.get("meta", {}).get("profile", ())]
        profile = next((each for each in named if each), None)
        if profile is None or profile["type"] != resource["resourceType"]:
            continue
        text = json.dumps(resource).encode()
        if not has_errors([*validate(text), *profile_issues(text, profiles)]):
            for mutant in mutants(resource, profile, value_sets):
                made.setdefault(mutant.kind, []).append(mutant)
    random = Random(1)  # noqa: S311 - tests
    counts: Counter[str] = Counter()
    missed = []
    for kind, found in sorted(made.items()):
        for mutant in random.sample(found, min(len(found), MUTANTS_OF_KIND)):
            text = json.dumps(mutant.resource).encode()
            issues = [*validate(text), *profile_issues(text, profiles)]
            wrong = [each for each in issues if each.severity in ("fatal", "error")]
            counts[kind] += 1
            if not any(is_at(each.expression, mutant.path) for each in wrong):
                found_at = [(each.rule, each.expression) for each in wrong]
                missed.append((kind, mutant.path, mutant.resource.get("id"), found_at))
    assert missed == [], counts
    assert sum(counts.values()) >= MUTANTS_OF_KIND
