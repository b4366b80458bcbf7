"""Mutations of structure and values: one accident in a resource that was whole.

Belongs here: what goes for any resource by the definitions of its elements. What needs to know a
rule belongs to `mutations_of_rules.py`.
"""

import copy
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import msgspec

from hc_assets.fhir.r4.bindings import codes_of
from hc_assets.fhir.r4.definitions import Element, choice_member, r4
from hc_assets.fhir.r4.issues import Findings
from hc_assets.fhir.r4.json_text import read_document
from hc_assets.fhir.r4.primitives import json_kind
from hc_assets.fhir.r4.walker import Member, Visit, Walker, members_of

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_KEPT_PER_ELEMENT = 40
OID = "urn:oid:2.16.840.1.113883.19"

# What stands for a primitive: right and wrong, at the edges of what its format allows.
VALUES: dict[str, tuple[Any, ...]] = {
    "base64Binary": ("QUI=", "QUI", "Q U I=", "%%%", "QUI=\n"),
    "boolean": (True, False),
    "canonical": ("http://x.org/a|1.0", "http://x.org/a b", "relative/a", "#a", "urn:uuid:1"),
    "code": ("a", "a b", " a", "a  b", "a ", "a\tb"),
    "date": (
        *("2020", "2020-02", "2020-02-29", "2021-02-29", "2020-13", "2020-00-01", "2020-1-1"),
        *("20200101", "0000-01-01", "2020-02-30", "2020-01-01T00:00:00Z", "9999-12-31", "1000"),
    ),
    "dateTime": (
        *("2020", "2020-02", "2020-02-29T23:59:59Z", "2020-02-29T23:59:60Z", "2020-01-01T10:00"),
        *("2020-01-01T10:00:00", "2020-01-01T24:00:00Z", "2020-01-01T10:00:00+14:00"),
        *("2020-01-01T10:00:00+15:00", "2020-01-01T10:00:00.123456789Z", "2020-01-01 10:00:00Z"),
        *("2021-02-29", "2020-01-01T10:00:00z", "2020-01-01T10:00:00.Z", "01/02/2020"),
    ),
    "decimal": (0, -1, Decimal("1.00"), Decimal("1E3"), Decimal("-0.0"), Decimal("1e-20"), 10**17),
    "id": ("a", "a-b.C9", "x" * 64, "x" * 65, "a_b", "a b", "ä"),
    "instant": (
        *("2020-01-01T10:00:00Z", "2020-01-01T10:00:00.1+02:00", "2020-01-01", "2020-01-01T10:00Z"),
        *("2020-02-30T10:00:00Z", "2020-01-01T10:00:00"),
    ),
    "integer": (0, -1, 2**31 - 1, 2**31, -(2**31), Decimal("1.5"), Decimal("1.0"), Decimal("1e2")),
    "markdown": ("a", "# a\nb", " ", "a\n"),
    "oid": (OID, "1.2.3", "urn:oid:1.02.3", "urn:oid:3.1", "urn:oid:a"),
    "positiveInt": (1, 0, -1, 2**31 - 1, 2**31, Decimal("1.5")),
    "string": ("a", " a", "a ", "a\tb", "ä", "\u00a0", " ", "x" * 3000),
    "time": ("10:00:00", "10:00", "24:00:00", "10:00:00Z", "23:59:60", "10:00:00.5", "1:00:00"),
    "unsignedInt": (0, 1, -1, 2**31 - 1, 2**31, Decimal("0.5")),
    "uri": (
        *(
            "http://x.org/a",
            "urn:oid:2.16.840.1.113883.19",
            "urn:uuid:1",
            "http://x.org/a b",
            "a",
            "oid:1.2",
        ),
        *("urn:oid:1.x", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "mailto:a@x.org"),
    ),
    "url": ("http://x.org/a", "a b", "/a", "urn:uuid:1", "ftp://x.org"),
    "uuid": ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:1", "0c3151bd"),
    "xhtml": (
        '<div xmlns="http://www.w3.org/1999/xhtml"><p>a</p></div>',
        '<div xmlns="http://www.w3.org/1999/xhtml"></div>',
        "<div>a</div>",
        '<div xmlns="http://www.w3.org/1999/xhtml"><script>a</script></div>',
        "a",
    ),
}


class Pool:
    """Values that elements have in published resources, and where each is found."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        """Walk the texts, keeping some values of each element."""
        self._values: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for text in texts:
            for visit in visits_of(text)[0]:
                for name, value in visit.value.items():
                    kept = self._values[visit.type_name, name]
                    if len(kept) < _KEPT_PER_ELEMENT:
                        kept.append(value)

    def draw(self, chance: random.Random, type_name: str, name: str) -> Any:
        """A copy of a value that the member of a type has somewhere; None for no such value."""
        kept = self._values.get((type_name, name))
        return copy.deepcopy(chance.choice(kept)) if kept else None


class Place(NamedTuple):
    """A member of an object that is there."""

    visit: Visit
    name: str
    member: Member


def visits_of(text: bytes) -> tuple[list[Visit], Any]:
    """Every object of a resource, and the resource as a whole."""
    document = read_document(text)
    walker = Walker(document, Findings())
    walker.resource(document.root, "")
    return walker.visits, document.root


class Draft(NamedTuple):
    """A resource that is being changed.

    Attributes:
        root: the resource; changes are made in it.
        visits: its objects.
        chance: decides.
        pool: values to take from.
    """

    root: dict[str, Any]
    visits: list[Visit]
    chance: random.Random
    pool: Pool

    @classmethod
    def read(cls, text: bytes, chance: random.Random, pool: Pool) -> "Draft":
        """Take a resource apart."""
        visits, root = visits_of(text)
        return cls(root, visits, chance, pool)

    def text(self) -> bytes:
        """The resource as JSON."""
        return _ENCODER.encode(self.root)

    def places(self, wanted: Callable[[Place], bool]) -> list[Place]:
        """The members that are there and wanted."""
        found = []
        for visit in self.visits:
            members = members_of(visit.type_name)
            for name in visit.value:
                member = members.get(name)
                if member is not None:
                    place = Place(visit, name, member)
                    if wanted(place):
                        found.append(place)
        return found

    def pick(self, wanted: Callable[[Place], bool]) -> Place | None:
        """One of the members that are there and wanted."""
        found = self.places(wanted)
        return self.chance.choice(found) if found else None

    def replace(self, place: Place, value: Any) -> None:
        """Put a value in place of one that is there, or of one of several."""
        held = place.visit.value[place.name]
        if isinstance(held, list) and held:
            held[self.chance.randrange(len(held))] = value
        else:
            place.visit.value[place.name] = value


# Changes the draft; True or a text where it could, False where the resource has no place for it.
Mutation: TypeAlias = Callable[[Draft], bool | bytes]


def _primitive(place: Place) -> bool:
    return place.member.is_primitive


def _complex(place: Place) -> bool:
    return not place.member.is_primitive and place.member.ref.code != "Resource"


def _put(draft: Draft, wanted: Callable[[Place], bool], value: Callable[[Place], Any]) -> bool:
    place = draft.pick(wanted)
    if place is None:
        return False
    draft.replace(place, value(place))
    return True


def required_removed(draft: Draft) -> bool:
    place = draft.pick(lambda place: place.member.element.min > 0)
    if place is None:
        return False
    del place.visit.value[place.name]
    return True


def optional_removed(draft: Draft) -> bool:
    place = draft.pick(lambda place: place.member.element.min == 0)
    if place is None:
        return False
    del place.visit.value[place.name]
    return True


def optional_added(draft: Draft) -> bool:
    visit = draft.chance.choice(draft.visits)
    names = [name for name in members_of(visit.type_name) if name not in visit.value]
    draft.chance.shuffle(names)
    for name in names:
        value = draft.pool.draw(draft.chance, visit.type_name, name)
        if value is not None:
            visit.value[name] = value
            return True
    return False


def value_of_another(draft: Draft) -> bool:
    place = draft.pick(lambda _: True)
    if place is None:
        return False
    value = draft.pool.draw(draft.chance, place.visit.type_name, place.name)
    place.visit.value[place.name] = value
    return value is not None


def value_repeated(draft: Draft) -> bool:
    place = draft.pick(lambda place: place.member.element.is_list)
    if place is None or not isinstance(place.visit.value[place.name], list):
        return False
    held = place.visit.value[place.name]
    held.append(copy.deepcopy(draft.chance.choice(held)))
    return True


def unknown_member(draft: Draft) -> bool:
    visit = draft.chance.choice(draft.visits)
    name = draft.chance.choice(["foo", "status_", "Id", "valueFoo", "fhir_comments", "_text"])
    visit.value[name] = draft.chance.choice(["a", 1, {"id": "a"}, ["a"]])
    return True


def misspelt_member(draft: Draft) -> bool:
    place = draft.pick(lambda _: True)
    if place is None:
        return False
    name = draft.chance.choice([place.name + "s", place.name.title(), place.name[:-1] or "x"])
    place.visit.value[name] = place.visit.value.pop(place.name)
    return True


def array_for_single(draft: Draft) -> bool:
    place = draft.pick(lambda place: not place.member.element.is_list)
    if place is None:
        return False
    place.visit.value[place.name] = [place.visit.value[place.name]]
    return True


def single_for_array(draft: Draft) -> bool:
    place = draft.pick(lambda place: place.member.element.is_list)
    if place is None:
        return False
    place.visit.value[place.name] = place.visit.value[place.name][0]
    return True


def wrong_json_type(draft: Draft) -> bool:
    def other(place: Place) -> Any:
        kind = json_kind(place.member.ref.code)
        return draft.chance.choice(
            {
                "string": [1, True, {"value": "a"}, ["a"], Decimal("1.5")],
                "number": ["1", True, "a", {"value": 1}],
                "boolean": ["true", 1, "a", 0],
            }[kind]
        )

    return _put(draft, _primitive, other)


def primitive_for_object(draft: Draft) -> bool:
    return _put(draft, _complex, lambda _: draft.chance.choice(["a", 1, True, ["a"]]))


def null_value(draft: Draft) -> bool:
    return _put(draft, lambda _: True, lambda _: None)


def empty_string(draft: Draft) -> bool:
    return _put(
        draft,
        lambda place: _primitive(place) and json_kind(place.member.ref.code) == "string",
        lambda _: draft.chance.choice(["", "", "", "", " ", "\n"]),
    )


def empty_array(draft: Draft) -> bool:
    place = draft.pick(lambda place: place.member.element.is_list)
    if place is None:
        return False
    place.visit.value[place.name] = []
    return True


def empty_object(draft: Draft) -> bool:
    return _put(draft, _complex, lambda _: draft.chance.choice([{}] * 7 + [{"id": "a"}]))


def second_choice(draft: Draft) -> bool:
    place = draft.pick(lambda place: len(place.member.element.types) > 1)
    if place is None:
        return False
    element = place.member.element
    for ref in draft.chance.sample(element.types, len(element.types)):
        name = choice_member(element.name, ref.code)
        value = draft.pool.draw(draft.chance, place.visit.type_name, name)
        if name != place.name and value is not None:
            place.visit.value[name] = value
            return True
    return False


def duplicate_member(draft: Draft) -> bool | bytes:
    place = draft.pick(_primitive)
    if place is None:
        return False
    text = draft.text().decode()
    name = json.dumps(place.name)
    at = text.find(f"{name}:")
    return f'{text[:at]}{name}:"a",{text[at:]}'.encode() if at >= 0 else False


def sibling(draft: Draft) -> bool:
    place = draft.pick(_primitive)
    if place is None:
        return False
    extension = {"extension": [{"url": "http://x.org/a", "valueString": "b"}]}
    value = place.visit.value[place.name]
    some = draft.chance.choice([extension, {"id": "a1"}, {}, {"foo": 1}, None, "a"])
    if isinstance(value, list):
        some = draft.chance.choice([[some] * len(value), [some], [some] * (len(value) + 1), some])
    place.visit.value[f"_{place.name}"] = some
    if draft.chance.random() < 0.3:
        del place.visit.value[place.name]
    return True


def resource_type(draft: Draft) -> bool:
    value = draft.chance.choice([None, "", "Foo", "patient", 1, "DomainResource", "Observation"])
    if value is None:
        del draft.root["resourceType"]
    else:
        draft.root["resourceType"] = value
    return True


def primitive_value(draft: Draft) -> bool:
    return _put(
        draft,
        lambda place: place.member.ref.code in VALUES and place.member.ref.code != "xhtml",
        lambda place: draft.chance.choice(VALUES[place.member.ref.code]),
    )


def rare_primitive(draft: Draft) -> bool:
    usual = ("string", "code", "uri", "xhtml", "id", "markdown", "canonical")
    return _put(
        draft,
        lambda place: place.member.ref.code in VALUES and place.member.ref.code not in usual,
        lambda place: draft.chance.choice(VALUES[place.member.ref.code]),
    )


def narrative(draft: Draft) -> bool:
    return _put(
        draft,
        lambda place: place.member.ref.code == "xhtml",
        lambda _: draft.chance.choice(VALUES["xhtml"]),
    )


def _bound(element: Element) -> frozenset[str] | None:
    return None if element.binding is None else codes_of(element.binding.value_set)


def code_outside(draft: Draft) -> bool:
    return _put(
        draft,
        lambda place: _primitive(place) and place.member.element.binding is not None,
        lambda place: draft.chance.choice(["foo", str(place.visit.value[place.name]).upper(), "x"]),
    )


def code_of_the_set(draft: Draft) -> bool:
    return _put(
        draft,
        lambda place: _primitive(place) and bool(_bound(place.member.element)),
        lambda place: draft.chance.choice(sorted(_bound(place.member.element) or "a")),
    )


def coding_outside(draft: Draft) -> bool:
    place = draft.pick(lambda p: _complex(p) and p.member.element.binding is not None)
    if place is None:
        return False
    some = [
        {"coding": [{"system": "http://x.org/a", "code": "b"}]},
        {"text": "a"},
        {"coding": [{"code": "b"}]},
    ]
    draft.replace(place, draft.chance.choice(some))
    return True


def not_json(draft: Draft) -> bytes:
    text = draft.text()
    at = draft.chance.randrange(len(text))
    comma = text.find(b",")
    return draft.chance.choice(
        [
            text[:at],
            text[:comma] + b",," + text[comma:],
            text[:-1] + b",}",
            text + b"x",
            text.replace(b'"', b"'", 2),
            re.sub(rb":(\d)", rb":0\1", text, count=1),
            text + b"\n\n",
            b"/* a */" + text,
            b"[" + text + b"]",
        ]
    )


def wrong_type_elsewhere(draft: Draft) -> bool:
    """The value of one element of another type."""
    place, other = draft.pick(lambda _: True), draft.pick(lambda _: True)
    if place is None or other is None:
        return False
    place.visit.value[place.name] = copy.deepcopy(other.visit.value[other.name])
    return True


def known_types() -> list[str]:
    """The resource types of R4."""
    return sorted(r4().resource_names)


MUTATIONS: dict[str, Mutation] = {
    each.__name__: each
    for each in (
        *(required_removed, optional_removed, optional_added, value_of_another, value_repeated),
        *(unknown_member, misspelt_member, array_for_single, single_for_array, wrong_json_type),
        *(primitive_for_object, null_value, empty_string, empty_array, empty_object),
        *(second_choice, duplicate_member, sibling, resource_type, primitive_value),
        *(rare_primitive, narrative, code_outside, code_of_the_set, coding_outside, not_json),
        wrong_type_elsewhere,
    )
}
