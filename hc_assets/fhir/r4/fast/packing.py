"""The R4 table as the flat arrays that the fast path reads.

Belongs here: definitions to rows of numbers, strings and bits. The layout of the rows is in
`packed_rows.py`, how rules become code in `rule_code.py`.
"""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from hc_assets.fhir.r4.core_profiles import core_profiles
from hc_assets.fhir.r4.definitions import (
    Element,
    ExtensionDefinition,
    ExtensionSlot,
    Invariant,
    TypeDefinition,
    TypeRef,
    choice_member,
    is_definition,
    r4,
)
from hc_assets.fhir.r4.fast.code_sets import BOUND_QUANTITIES, CodeSets
from hc_assets.fhir.r4.fast.coding_rows import code_system_text, role_of, vital_sign_rows
from hc_assets.fhir.r4.fast.packed_rows import (
    FORMS,
    KINDS,
    MAX_CAPTURES,
    ExtensionRow,
    MemberRow,
    Packed,
    PackedTable,
    ShapeRow,
    SlotRow,
    halves,
)
from hc_assets.fhir.r4.fast.rule_code import Captures, RuleCompiler

_SAME_FORM = {"markdown": "string", "canonical": "uri", "url": "uri"}
_KINDS_BY_NAME = {
    "Extension": "extension",
    "Reference": "reference",
    "Meta": "meta",
    "Bundle": "bundle",
    "Bundle.entry": "bundle entry",
    "Attachment": "attachment",
    "Coding": "coding",
    "Quantity": "quantity",
    **dict.fromkeys(BOUND_QUANTITIES, "bound quantity"),
    "Observation.component": "component",
    "Observation": "observation",
    # The modules of rules require more of these than any table states.
    "CapabilityStatement.rest.resource.searchParam": "never",
    "Questionnaire.item.enableWhen": "never",
    "SampledData": "never",
    "ValueSet.compose.include.filter": "never",
    "StructureDefinition": "never",
    "CodeSystem": "never",
    "SearchParameter": "never",
    "ElementDefinition.constraint": "never",
    "Expression": "never",
}
# Members that hold absolute URLs, beside the URL that a definition is known by and its canonicals.
_ABSOLUTE = frozenset({("Identifier", "system"), ("ValueSet.compose.include", "system")})
# What C looks at itself, in this order; what rules look at comes after.
CAPTURES = {
    "Extension": ("url",),
    "Reference": ("reference", "type"),
    "Attachment": ("data", "size", "hash"),
    "Coding": ("system", "code"),
    **dict.fromkeys(BOUND_QUANTITIES, ("system", "code")),
    "Meta": ("security", "profile"),
    "Quantity": ("value", "unit", "system", "code"),
    "Observation": ("id", "subject", "effective"),
    "Bundle": ("id", "type", "total", "link"),
    "Bundle.entry": ("fullUrl", "search", "request", "response"),
}
# Rules that C checks itself, or that hold by construction.
_CHECKED_ELSEWHERE = frozenset(
    {"dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ele-1", "ext-1", "ref-1", "txt-1", "txt-2"}
    | {"bdl-1", "bdl-2", "bdl-3", "bdl-4", "bdl-7", "bdl-9", "bdl-10", "bdl-11", "bdl-12"}
)
_INT = "i"
_WORD = "Q"


def _bits(numbers: Iterable[int], words: int) -> list[int]:
    found = [0] * words
    for number in numbers:
        found[number // 64] |= 1 << number % 64
    return found


class _Place(NamedTuple):
    """A type, and the number of one of its elements."""

    owner: str
    element: int


class _Packer:
    def __init__(self) -> None:
        self.pool = bytearray()
        self.strings = array(_INT)
        self._numbers: dict[str, int] = {}
        self.sets: list[list[int]] = []
        self._codes = CodeSets(self.add_set)
        self.targets: list[frozenset[str]] = []
        self._target_numbers: dict[frozenset[str], int] = {}
        self.rules = array(_INT)
        self.code = array(_INT)
        self.names = tuple(sorted(r4().type_names))
        self.shape_of = {name: number for number, name in enumerate(self.names)}
        self.members = array(_INT)
        self.shapes = array(_INT)
        # Numbers of the members that a path such as `Patient.birthDate` names.
        self.places: dict[str, list[int]] = {}
        self._captures = {name: self._captures_of(name) for name in self.names}
        value = next(e for e in r4().type("Extension").elements if e.name == "value")
        self.value_bits = {member: bit for bit, (member, _) in enumerate(value.members())}

    @staticmethod
    def _captures_of(name: str) -> Captures:
        own = CAPTURES.get(name, ("id",) if r4().type(name).kind == "resource" else ())
        return Captures({element: slot for slot, element in enumerate(own)}, MAX_CAPTURES)

    def string(self, text: str) -> int:
        """The number of a string."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._numbers)
            encoded = text.encode()
            self.strings.extend((len(self.pool), len(encoded)))
            self.pool += encoded
        return number

    def add_set(self, items: Iterable[str]) -> int:
        """The number of a new set of strings."""
        self.sets.append([self.string(item) for item in sorted(items)])
        return len(self.sets) - 1

    def _targets(self, ref: TypeRef) -> int:
        names = frozenset(ref.targets) & r4().resource_names
        if not ref.targets or ref.code != "Reference":
            return -1
        return self.target_set(names)

    def target_set(self, names: frozenset[str]) -> int:
        """The number of a set of resource types."""
        if names not in self._target_numbers:
            self._target_numbers[names] = len(self.targets)
            self.targets.append(names)
        return self._target_numbers[names]

    def _rules(self, type_name: str, invariants: Iterable[Invariant]) -> tuple[int, int]:
        """First and number of the rules that invariants become."""
        first = len(self.rules)
        compiler = RuleCompiler(type_name, self._captures[type_name], self.string)
        for invariant in invariants:
            if invariant.key not in _CHECKED_ELSEWHERE:
                self.rules.append(len(self.code))
                self.code.extend(compiler.rule(invariant))
        return first, len(self.rules) - first

    def pack_types(self) -> None:
        """All types: their rules first, which say what values have to be kept."""
        own_rules: dict[str, tuple[int, int]] = {}
        element_rules: dict[tuple[str, str], tuple[int, int]] = {}
        read: dict[str, str] = dict.fromkeys(self.names, "")
        for name in self.names:
            definition = r4().type(name)
            found = [rule for base in r4().bases(name) for rule in r4().type(base).invariants]
            own_rules[name] = self._rules(name, found)
            read[name] += " ".join(rule.expression for rule in found)
            for element in definition.elements:
                for member, ref in element.members():
                    element_rules[name, member] = self._rules(ref.code, element.invariants)
                    read[ref.code] += " ".join(rule.expression for rule in element.invariants)
        for name in self.names:
            self._pack_type(r4().type(name), own_rules[name], element_rules, read[name])

    def _pack_type(
        self,
        definition: TypeDefinition,
        rules: tuple[int, int],
        element_rules: dict[tuple[str, str], tuple[int, int]],
        read: str,
    ) -> None:
        name = definition.name
        first = self.member_count
        words = frozenset("".join(c if c.isalnum() or c == "_" else " " for c in read).split())
        required = 0
        for number, element in enumerate(definition.elements):
            if element.max == 0:  # forbidden by a profile: the comparator of SimpleQuantity
                continue
            if element.name == "id" and definition.kind != "resource":
                continue  # ids of elements are compared with one another, by the thorough path
            required |= (element.min > 0) << number
            for member, ref in element.members():
                place = _Place(name, number)
                self._add_member(place, element, member, ref, element_rules[name, member])
                if self._may_have_sibling(name, element, ref, words):
                    self._add_sibling(place, element, member, ref)
        low, high = halves(required)
        first_rule, rule_count = rules
        row = ShapeRow(
            kind=KINDS.index(self._kind(definition)),
            name=self.string(name),
            members=first,
            member_count=self.member_count - first,
            required_low=low,
            required_high=high,
            id_element=_number(definition, "id"),
            rules=first_rule,
            rule_count=rule_count,
            text_element=_number(definition, "text"),
            contained_element=_number(definition, "contained"),
        )
        self.shapes.extend(row)

    @property
    def member_count(self) -> int:
        """Members so far."""
        return len(self.members) // len(MemberRow._fields)

    @staticmethod
    def _kind(definition: TypeDefinition) -> str:
        special = _KINDS_BY_NAME.get(definition.name)
        if special is not None or definition.kind != "resource":
            return special or "plain"
        is_domain = "DomainResource" in r4().bases(definition.name)
        return "domain resource" if is_domain else "other resource"

    @staticmethod
    def _may_have_sibling(owner: str, element: Element, ref: TypeRef, read: frozenset[str]) -> bool:
        """Whether the fast path takes `_birthDate` beside `birthDate`.

        Not where a rule reads the element: rules take an absent member for an absent element. Of a
        choice, the sibling of one type could be beside the value of another.
        """
        not_so = (*read, "id", "div")  # narrative takes nothing beside it
        is_plain = not (element.is_list or element.is_choice or element.name in not_so)
        return is_plain and owner != "Extension" and r4().type(ref.code).kind == "primitive-type"

    def _add_member(
        self,
        place: _Place,
        element: Element,
        member: str,
        ref: TypeRef,
        rules: tuple[int, int],
    ) -> None:
        owner = place.owner
        is_url = (
            (owner, member) in _ABSOLUTE
            or ref.code == "canonical"
            or (member == "url" and r4().type(owner).kind == "resource" and is_definition(owner))
        )
        is_value = owner == "Extension" and element.is_choice
        value_bit = self.value_bits[member] if is_value else -1
        if owner == "Observation" and element.name == "effective":
            value_bit = int(member != "effectiveDateTime")  # what `native/vital_signs.c` asks for
        first_rule, rule_count = rules
        extensible, extensible_systems = self._codes.extensible(ref)
        row = MemberRow(
            name=self.string(member),
            form=_form(ref),
            element=place.element,
            is_list=element.is_list,
            min=element.min,
            max=element.max or 0,
            shape=self.shape_of[ref.code],
            capture=self._captures[owner].slots.get(element.name, -1),
            codes=self._codes.required(element, ref),
            is_maximum=element.binding is not None and element.binding.is_maximum,
            targets=self._targets(ref),
            rules=first_rule,
            rule_count=rule_count,
            value_bit=value_bit,
            is_modifier=member == "modifierExtension",
            needs_absolute=is_url,
            type=self.shape_of[ref.code],
            role=role_of(owner, member),
            extensible=extensible,
            extensible_systems=extensible_systems,
        )
        self._row(owner, element, row)

    def _add_sibling(self, place: _Place, element: Element, member: str, ref: TypeRef) -> None:
        row = MemberRow(
            name=self.string(f"_{member}"),
            form=FORMS.index("object"),
            element=place.element,
            is_sibling=True,
            shape=self.shape_of["Element"],
            type=self.shape_of[ref.code],
        )
        self._row(place.owner, element, row)

    def _row(self, owner: str, element: Element, row: MemberRow) -> None:
        for base in r4().bases(owner):
            for path in (f"{base}.{element.name}", f"{base}.{element.name}[x]"):
                self.places.setdefault(path, []).append(self.member_count)
        self.members.extend(map(int, row))

    def mask(self, definition: ExtensionDefinition | ExtensionSlot) -> int:
        """The value types that an extension may have, as bits."""
        members = {choice_member("value", ref.code) for ref in definition.types}
        return sum(1 << bit for member, bit in self.value_bits.items() if member in members)


def _number(definition: TypeDefinition, name: str) -> int:
    names = [element.name for element in definition.elements]
    return names.index(name) if name in names else -1


def _form(ref: TypeRef) -> int:
    if ref.code == "Resource":
        return FORMS.index("resource")
    if r4().type(ref.code).kind != "primitive-type":
        return FORMS.index("object")
    return FORMS.index(_SAME_FORM.get(ref.code, ref.code))


def _pack_extensions(packer: _Packer, words: int) -> "tuple[array[int], ...]":
    rows, slots, types, members = array(_INT), array(_INT), array(_WORD), array(_INT)
    closures = {name: {*r4().bases(name), "Element"} for name in packer.names}
    for url in sorted(r4().extension_urls):
        definition = r4().extension(url)
        assert definition is not None  # noqa: S101 - the URL is the table's own
        contexts = {*definition.contexts}
        places = sorted({n for path in contexts for n in packer.places.get(path, ())})
        first_slot = len(slots) // len(SlotRow._fields)
        for slot in definition.slots:
            low, high = halves(packer.mask(slot))
            slots.extend(SlotRow(packer.string(slot.url), slot.min, slot.max or 0, low, high))
        is_modifier, mask = definition.is_modifier, halves(packer.mask(definition))
        counts = (first_slot, len(definition.slots), len(members), len(places))
        rows.extend(map(int, ExtensionRow(packer.string(url), is_modifier, *mask, *counts)))
        members.extend(places)
        allowed = (packer.shape_of[name] for name in packer.names if closures[name] & contexts)
        types.extend(_bits(allowed, words))
    return rows, slots, types, members


def _address(buffer: "array[int]") -> int:
    return buffer.buffer_info()[0]


def pack() -> PackedTable:
    """Pack the R4 definitions.

    Returns:
        The arrays; they are the same in every process.
    """
    packer = _Packer()
    packer.pack_types()
    words = (len(packer.names) + 63) // 64
    extensions, slots, extension_types, extension_members = _pack_extensions(packer, words)
    resource_set = packer.add_set(r4().resource_names)
    extension_set = packer.add_set(r4().extension_urls)
    vital_signs, vital_components = vital_sign_rows(packer.add_set)
    patient_targets = packer.target_set(frozenset({"Patient"}))
    targets = array(_WORD)
    for names in packer.targets:
        targets.extend(_bits((packer.shape_of[name] for name in names), words))
    sets, items = array(_INT), array(_INT)
    for numbers in packer.sets:
        sets.extend((len(items), len(numbers)))
        items.extend(numbers)
    meta = r4().type("Meta")
    forbidden = sum(1 << _number(meta, name) for name in ("versionId", "lastUpdated", "security"))
    pool, code_systems = array("B", packer.pool), array("B", code_system_text())
    buffers = (
        *(pool, packer.strings, packer.members, packer.shapes, sets, items, targets),
        *(packer.rules, packer.code, extensions, slots, extension_types, extension_members),
        *(code_systems, vital_signs, vital_components),
    )
    counts = (
        *(len(packer.strings) // 2, packer.member_count, len(packer.names), len(packer.sets)),
        *(words, len(extensions) // len(ExtensionRow._fields), words),
        *(extension_set, resource_set, *halves(forbidden)),
        *(len(code_systems), len(core_profiles().vital_signs), patient_targets),
    )
    header = Packed(*(_address(buffer) for buffer in buffers), *counts)
    return PackedTable(header, buffers, packer.names)
