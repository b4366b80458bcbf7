"""Mutations that aim at a rule: references, extensions, contained resources, bundles, definitions.

Belongs here: accidents that need to know what a rule is about. Those that go for any element are in
`mutations.py`.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks.oracles.hl7.mutations import OID, VALUES, Draft, Mutation, Place, known_types
from hc_assets.fhir.r4.definitions import choice_member, r4
from hc_assets.fhir.r4.walker import Visit, members_of


def _visits(draft: Draft, *types: str) -> list[Visit]:
    return [visit for visit in draft.visits if visit.type_name in types]


def _one(draft: Draft, *types: str) -> Visit | None:
    found = _visits(draft, *types)
    return draft.chance.choice(found) if found else None


def _object(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a member that should be an array of objects."""
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


_REFERENCES = (
    *("#none", "#", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", OID, "http://x.org/a"),
    *("http://x.org/Patient/1", "Patient/1/_history/2", "Patient?identifier=a|b", "Group/1"),
)
_NO_REFERENCES = ("Foo/1", "Patient", "patient/1", "urn:uuid:1", "a b", "Patient/a_b", "/Patient/1")


def reference(draft: Draft) -> bool:
    """To another type, to nothing, in another form, or with another type beside it."""
    visit = _one(draft, "Reference")
    if visit is None:
        return False
    other = draft.chance.choice(known_types())
    match draft.chance.randrange(8):
        case 0 | 1 | 2:
            visit.value["reference"] = f"{other}/1"
        case 3 | 4:
            visit.value["reference"] = draft.chance.choice(_REFERENCES)
        case 5:
            visit.value["reference"] = draft.chance.choice(_NO_REFERENCES)
        case 6:
            visit.value["type"] = draft.chance.choice(["Foo", other])
        case 7:
            visit.value.clear()
            visit.value.update(
                draft.chance.choice([{"display": "a"}, {"identifier": {"value": "a"}}])
            )
    return True


def contained(draft: Draft) -> bool:
    root = draft.root
    inner: dict[str, Any] = {"resourceType": "Basic", "id": "c1", "code": {"text": "a"}}
    match draft.chance.randrange(7):
        case 0:
            del inner["id"]
        case 1:
            inner["contained"] = [copy.deepcopy(inner)]
        case 2:
            inner["meta"] = {"versionId": "1"}
        case 3:
            inner["meta"] = {"security": [{"system": "http://x.org/a", "code": "b"}]}
        case 4:
            held = root.get("contained")
            if isinstance(held, list) and held:
                inner["id"] = held[0].get("id", "c1") if isinstance(held[0], dict) else "c1"
        case 5:
            inner["text"] = {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>',
            }
    held = root.setdefault("contained", [])
    if not isinstance(held, list):
        return False
    held.append(inner)
    visit = _one(draft, "Reference")
    if visit is not None and draft.chance.random() < 0.7:
        visit.value["reference"] = "#c1"
    return True


@cache
def _extension_urls() -> tuple[str, ...]:
    return tuple(sorted(r4().extension_urls))


def _extension(draft: Draft, url: str) -> dict[str, Any]:
    """An extension by its definition, filled from what published resources have."""
    definition = r4().extension(url)
    made: dict[str, Any] = {"url": url}
    types = definition.types if definition is not None else ()
    if types:
        ref = draft.chance.choice(types)
        name = choice_member("value", ref.code)
        value = draft.pool.draw(draft.chance, "Extension", name)
        if value is None and ref.code in VALUES:
            value = VALUES[ref.code][0]
        if value is not None:
            made[name] = value
    return made


def extension_known(draft: Draft) -> bool:
    visit = draft.chance.choice(draft.visits)
    if "extension" not in members_of(visit.type_name):
        return False
    made = _extension(draft, draft.chance.choice(_extension_urls()))
    visit.value["extension"] = [*_object(visit.value, "extension"), made]
    return True


def extension_content(draft: Draft) -> bool:
    visit = _one(draft, "Extension")
    if visit is None:
        visit = draft.chance.choice(draft.visits)
        if "extension" not in members_of(visit.type_name):
            return False
        made: dict[str, Any] = {"url": "http://x.org/a", "valueString": "b"}
        visit.value["extension"] = [*_object(visit.value, "extension"), made]
        value = made
    else:
        value = visit.value
    match draft.chance.randrange(7):
        case 0:
            value["extension"] = [{"url": "b", "valueString": "c"}]
        case 1:
            for name in [name for name in value if name.startswith("value")]:
                del value[name]
        case 2:
            value.pop("url", None)
        case 3:
            value["url"] = draft.chance.choice(["a", "a b", "", OID, "/a"])
        case 4:
            value["valueBoolean"] = True
        case 5:
            value["url"] = "http://hl7.org/fhir/StructureDefinition/no-such-extension"
        case 6:
            for name in [name for name in value if name.startswith(("value", "extension"))]:
                del value[name]
            value["valueInteger"] = 1
    return True


def extension_modifier(draft: Draft) -> bool:
    visit = draft.chance.choice(draft.visits)
    if "modifierExtension" not in members_of(visit.type_name):
        return False
    url = draft.chance.choice(["http://x.org/a", draft.chance.choice(_extension_urls())])
    visit.value["modifierExtension"] = [{"url": url, "valueBoolean": True}]
    return True


_PARTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Period", {"start": "2020-02-01", "end": "2020-01-01"}),
    ("Period", {"start": "2020-01", "end": "2020-01-01"}),
    ("Quantity", {"value": 1, "code": "mg"}),
    ("Quantity", {"value": 1, "unit": "mg", "system": "http://unitsofmeasure.org"}),
    ("Quantity", {"comparator": "<"}),
    ("Range", {"low": {"value": 2}, "high": {"value": 1}}),
    ("Ratio", {"numerator": {"value": 1}}),
    ("Ratio", {"extension": [{"url": "http://x.org/a", "valueString": "b"}]}),
    ("ContactPoint", {"value": "a"}),
    ("ContactPoint", {"system": "phone"}),
    ("Attachment", {"data": "QUI="}),
    ("Attachment", {"contentType": "text/plain", "data": "QUI=", "size": 3}),
    ("Attachment", {"contentType": "text/plain", "data": "QUI=", "hash": "QUI="}),
    ("Identifier", {"system": "a", "value": "b"}),
    ("Identifier", {"system": "http://x.org/a"}),
    ("Coding", {"display": "a"}),
    ("Coding", {"system": "a", "code": "b"}),
    ("CodeableConcept", {"text": "a"}),
    ("SampledData", {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1  2"}),
    ("Timing", {"repeat": {"duration": 1}}),
    ("Timing", {"repeat": {"period": -1, "periodUnit": "d"}}),
    ("Timing", {"repeat": {"offset": 1}}),
    ("Timing", {"repeat": {"timeOfDay": ["10:00:00"], "when": ["AC"]}}),
    ("Timing", {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}),
    ("Expression", {"language": "text/fhirpath"}),
    ("Expression", {"language": "text/fhirpath", "expression": "a and"}),
    ("TriggerDefinition", {"type": "named-event"}),
    ("UsageContext", {"code": {"code": "a"}}),
    ("ParameterDefinition", {"use": "in", "type": "string", "min": 1, "max": "0"}),
    ("Money", {"value": 1, "currency": "USD"}),
    ("Money", {"value": 1, "currency": "usd"}),
    ("Age", {"value": -1, "code": "a", "system": "http://unitsofmeasure.org"}),
    ("Age", {"value": 1, "code": "mg", "system": "http://unitsofmeasure.org"}),
    ("Duration", {"value": 1}),
    ("Count", {"value": 1, "code": "2", "system": "http://unitsofmeasure.org"}),
    ("Distance", {"value": 1}),
    ("SimpleQuantity", {"value": 1, "comparator": "<"}),
    ("Annotation", {"text": "a"}),
    ("HumanName", {"use": "official"}),
    ("Address", {"country": "a"}),
    ("Signature", {"who": {"display": "a"}}),
)


@cache
def _holders() -> dict[str, list[tuple[dict[str, Any], bool]]]:
    grouped: dict[str, list[tuple[dict[str, Any], bool]]] = {}
    for name, value in _PARTS:
        grouped.setdefault(name, []).append((value, True))
    return grouped


def data_type(draft: Draft) -> bool:
    """A value of a data type that keeps or breaks the type's own rules."""
    parts = _holders()
    place = draft.pick(lambda place: place.member.ref.code in parts)
    if place is None:
        return False
    value, _ = draft.chance.choice(parts[place.member.ref.code])
    draft.replace(place, copy.deepcopy(value))
    return True


def data_type_added(draft: Draft) -> bool:
    """The same where there was nothing."""
    parts = _holders()
    free: list[Place] = [
        Place(visit, name, member)
        for visit in draft.visits
        for name, member in members_of(visit.type_name).items()
        if member.ref.code in parts
        and name not in visit.value
        and not (
            member.element.is_choice and any(n in visit.value for n, _ in member.element.members())
        )
    ]
    if not free:
        return False
    place = draft.chance.choice(free)
    value = copy.deepcopy(draft.chance.choice(parts[place.member.ref.code])[0])
    place.visit.value[place.name] = [value] if place.member.element.is_list else value
    return True


def element_id(draft: Draft) -> bool:
    visits = [visit for visit in draft.visits if visit.ref is not None]
    if not visits:
        return False
    name = draft.chance.choice(["a1", "a1", "a b", "x" * 70, "a_b", ""])
    for visit in draft.chance.sample(visits, min(len(visits), draft.chance.choice([1, 2]))):
        visit.value["id"] = name
    return True


def security_labels(draft: Draft) -> bool:
    label = {"system": "http://x.org/a", "code": "b"}
    draft.root["meta"] = {"security": [label] * draft.chance.choice([1, 2])}
    return True


def _entries(draft: Draft) -> list[dict[str, Any]]:
    return _object(draft.root, "entry")


def bundle_type(draft: Draft) -> bool:
    types = ("document", "message", "transaction", "transaction-response", "batch")
    more = ("batch-response", "history", "searchset", "collection", "foo")
    draft.root["type"] = draft.chance.choice([*types, *more])
    return draft.root.get("resourceType") == "Bundle"


def bundle_full_url(draft: Draft) -> bool:
    entries = _entries(draft)
    if not entries:
        return False
    entry, other = draft.chance.choice(entries), draft.chance.choice(entries)
    match draft.chance.randrange(5):
        case 0:
            entry.pop("fullUrl", None)
        case 1:
            entry["fullUrl"] = other.get("fullUrl", OID)
        case 2:
            entry["fullUrl"] = draft.chance.choice(
                ["Patient/1", "urn:uuid:1", "http://x.org/Patient/zzz", "http://x.org/a"]
            )
        case 3:
            entry["fullUrl"] = "http://x.org/Patient/1/_history/1"
        case 4:
            entries.append(copy.deepcopy(entry))
            draft.root["entry"] = entries
    return True


def bundle_entry(draft: Draft) -> bool:
    entries = _entries(draft)
    if not entries:
        return False
    entry = draft.chance.choice(entries)
    match draft.chance.randrange(9):
        case 0:
            entry["request"] = {"method": "GET", "url": "Patient/1"}
        case 1:
            entry.pop("request", None)
        case 2:
            entry["response"] = {"status": "200"}
        case 3:
            entry.pop("response", None)
        case 4:
            entry["search"] = {"mode": draft.chance.choice(["match", "include", "outcome"])}
        case 5:
            entry.pop("resource", None)
        case 6:
            entries.remove(entry)
            draft.root["entry"] = entries
        case 7:
            draft.chance.shuffle(entries)
            draft.root["entry"] = entries
        case 8:
            resource = entry.get("resource")
            if isinstance(resource, dict):
                resource["id"] = draft.chance.choice(["zzz", "a_b"])
    return True


def bundle_head(draft: Draft) -> bool:
    match draft.chance.randrange(6):
        case 0:
            draft.root["total"] = draft.chance.choice([0, 5, -1])
        case 1:
            draft.root.pop("total", None)
        case 2:
            draft.root["link"] = [{"relation": "self", "url": "http://x.org/a"}] * 2
        case 3:
            draft.root.pop("timestamp", None)
        case 4:
            draft.root.pop("identifier", None)
        case 5:
            draft.root.pop("entry", None)
    return draft.root.get("resourceType") == "Bundle"


def _change(
    draft: Draft, *types: str, changes: tuple[Callable[[dict[str, Any], Draft], None], ...]
) -> bool:
    visit = _one(draft, *types)
    if visit is None:
        return False
    draft.chance.choice(changes)(visit.value, draft)
    return True


def _set(name: str, *values: Any) -> Callable[[dict[str, Any], Draft], None]:
    def change(value: dict[str, Any], draft: Draft) -> None:
        value[name] = copy.deepcopy(draft.chance.choice(values))

    return change


def _drop(name: str) -> Callable[[dict[str, Any], Draft], None]:
    def change(value: dict[str, Any], _: Draft) -> None:
        value.pop(name, None)

    return change


def definition_code_system(draft: Draft) -> bool:
    twice = [{"code": "a"}, {"code": "a", "display": "b"}]
    return _change(
        draft,
        "CodeSystem",
        changes=(
            _set("count", 0, 1, 100000),
            _set("url", "a", "http://x.org/a", OID, "http://x.org/a#b"),
            _set("name", "a b", "A", "a1", "1A"),
            _set("content", "supplement", "not-present", "fragment", "complete"),
            _set("supplements", "http://x.org/a"),
            _set("concept", twice, [{"code": "a b"}], [{"display": "a"}]),
            _set("concept", [{"code": "a", "property": [{"code": "zz", "valueString": "b"}]}]),
            _set("property", [{"code": "a", "type": "string"}, {"code": "a", "type": "code"}]),
            _set("hierarchyMeaning", "is-a", "foo"),
            _drop("content"),
        ),
    )


def definition_value_set(draft: Draft) -> bool:
    system = "http://loinc.org"
    rule = {"property": "a", "op": "=", "value": "b"}
    return _change(
        draft,
        "ValueSet",
        changes=(
            _set("compose", {"include": [{"concept": [{"code": "a"}]}]}),
            _set("compose", {"include": [{"system": system, "filter": [rule]}]}),
            _set(
                "compose",
                {"include": [{"system": system, "filter": [rule], "concept": [{"code": "a"}]}]},
            ),
            _set("compose", {"include": [{"system": "a"}]}, {"include": []}, {}),
            _set("compose", {"include": [{"version": "1"}]}),
            _set("compose", {"exclude": [{"system": system}]}),
            _set("compose", {"include": [{"valueSet": ["http://x.org/a"]}]}),
            _set("compose", {"include": [{"system": system, "filter": [{**rule, "op": "foo"}]}]}),
            _set("expansion", {"timestamp": "2020-01-01T00:00:00Z"}),
            _set("expansion", {"timestamp": "2020-01-01", "contains": [{"display": "a"}]}),
            _set(
                "expansion",
                {"timestamp": "2020-01-01", "contains": [{"code": "a"}]},
                {"timestamp": "2020-01-01", "contains": [{"abstract": True, "system": system}]},
            ),
            _set("url", "a", "urn:uuid:1"),
            _set("name", "a b", "A"),
        ),
    )


def definition_of_search(draft: Draft) -> bool:
    return _change(
        draft,
        "SearchParameter",
        changes=(
            _set("type", "composite", "token", "reference", "foo"),
            _set("expression", "Patient.name", "Patient.name.where(", "Observation.code", "a b"),
            _set("base", ["Patient"], ["Foo"], []),
            _set("derivedFrom", "http://hl7.org/fhir/SearchParameter/Patient-name"),
            _set("component", [{"definition": "http://x.org/a", "expression": "a"}]),
            _set("chain", ["a"]),
            _drop("expression"),
            _set("xpath", "a"),
            _set("target", ["Patient"]),
            _set("multipleOr", True),
            _set("name", "a b"),
        ),
    )


def definition_of_structure(draft: Draft) -> bool:
    return _change(
        draft,
        "StructureDefinition",
        "ElementDefinition",
        changes=(
            _set("path", "Patient", "Foo.a", "Patient.foo", "a b"),
            _set("type", "Patient", "Foo", [{"code": "string"}, {"code": "string"}]),
            _set("min", 0, 2, -1),
            _set("max", "0", "*", "a"),
            _set("id", "a", "a b"),
            _set("constraint", [{"key": "a-1", "severity": "error", "human": "a"}]),
            _set(
                "constraint",
                [{"key": "a-1", "severity": "error", "human": "a", "expression": "a and"}],
            ),
            _set("derivation", "constraint", "specialization"),
            _set("kind", "resource", "logical"),
            _set("url", "http://x.org/a", "a"),
            _set("abstract", True, False),
            _set("context", [{"type": "element", "expression": "Patient"}]),
            _set("binding", {"strength": "required"}, {"strength": "foo"}),
            _set("binding", {"strength": "example", "valueSet": "a"}),
            _set("fixedString", "a"),
            _set("patternString", "a"),
            _set("sliceName", "a", "a/b", "a b"),
            _set("slicing", {"rules": "open"}),
            _set("mapping", [{"identity": "zz", "map": "a"}]),
            _drop("snapshot"),
            _drop("differential"),
            _drop("baseDefinition"),
        ),
    )


def questionnaire(draft: Draft) -> bool:
    return _change(
        draft,
        *("Questionnaire.item", "Questionnaire.item.enableWhen", "Questionnaire"),
        *("QuestionnaireResponse.item", "QuestionnaireResponse"),
        changes=(
            _set("linkId", "1", "zz"),
            _set("type", "group", "display", "choice", "question", "string", "quantity"),
            _set("question", "1", "zz"),
            _set("operator", "exists", "="),
            _set("answerBoolean", True),
            _set("answerOption", [{"valueString": "a"}]),
            _set("answerValueSet", "http://x.org/a"),
            _set("initial", [{"valueString": "a"}], [{"valueString": "a"}] * 2),
            _set("maxLength", 3, -1),
            _set("required", True),
            _set("repeats", True),
            _set("readOnly", True),
            _set("enableBehavior", "all"),
            _set(
                "enableWhen", [{"question": "1", "operator": "exists", "answerBoolean": True}] * 2
            ),
            _set("item", [{"linkId": "1", "type": "string"}] * 2, []),
            _set("code", [{"code": "a"}]),
            _set("answer", [{"valueString": "a"}], [{}]),
            _set("questionnaire", "http://x.org/a", "Questionnaire/1"),
            _set("subjectType", ["Patient"], ["Foo"]),
        ),
    )


MUTATIONS: dict[str, Mutation] = {
    each.__name__: each
    for each in (
        *(reference, contained, extension_known),
        *(extension_content, extension_modifier, data_type, data_type_added, element_id),
        *(security_labels, bundle_type, bundle_full_url, bundle_entry, bundle_head),
        *(definition_code_system, definition_value_set, definition_of_search),
        *(definition_of_structure, questionnaire),
    )
}
