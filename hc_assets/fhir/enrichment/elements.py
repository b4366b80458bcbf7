"""What enrichment reads of a resource, as typed structs: the few elements that it needs.

Belongs here: reading, nothing else. All that is not named here is skipped by the decoder, which is
what makes enrichment fast. Resources are valid R4, so types are not checked any further; numbers
stay text, since FHIR's decimals are longer than any float.
"""

import msgspec

_NOTHING = msgspec.Raw(b"")


class Period(msgspec.Struct, gc=False):
    """A Period: its ends as text."""

    start: str | None = None
    end: str | None = None


class Coding(msgspec.Struct, gc=False):
    """A Coding: what identifies the concept."""

    system: str | None = None
    code: str | None = None


class Concept(msgspec.Struct):
    """A CodeableConcept."""

    coding: list[Coding] = []
    text: str | None = None


class Quantity(msgspec.Struct):
    """A Quantity; `value` is its text."""

    value: msgspec.Raw = msgspec.Raw(b"")
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Range(msgspec.Struct):
    """A Range."""

    low: Quantity | None = None
    high: Quantity | None = None


class ReferenceRange(msgspec.Struct):
    """Observation.referenceRange."""

    low: Quantity | None = None
    high: Quantity | None = None
    type: Concept | None = None
    applies_to: list[Concept] = msgspec.field(name="appliesTo", default_factory=list)
    age: Range | None = None
    text: str | None = None


class Measured(msgspec.Struct):
    """What an Observation and its components have in common; `interpretation` as JSON."""

    code: Concept | None = None
    quantity: Quantity | None = msgspec.field(name="valueQuantity", default=None)
    concept: Concept | None = msgspec.field(name="valueCodeableConcept", default=None)
    string: str | None = msgspec.field(name="valueString", default=None)
    reference_range: list[ReferenceRange] = msgspec.field(
        name="referenceRange", default_factory=list
    )
    interpretation: msgspec.Raw = _NOTHING


class Encounter(msgspec.Struct):
    """An Encounter."""

    period: Period | None = None


class Observation(Measured):
    """An Observation; `category` and `derived_from` as JSON."""

    status: str | None = None
    category: msgspec.Raw = _NOTHING
    derived_from: msgspec.Raw = msgspec.field(name="derivedFrom", default=_NOTHING)
    effective: str | None = msgspec.field(name="effectiveDateTime", default=None)
    effective_instant: str | None = msgspec.field(name="effectiveInstant", default=None)
    effective_period: Period | None = msgspec.field(name="effectivePeriod", default=None)
    issued: str | None = None
    component: list[Measured] = []


class Patient(msgspec.Struct):
    """A Patient."""

    gender: str | None = None
    birth_date: str | None = msgspec.field(name="birthDate", default=None)
    is_dead: bool = msgspec.field(name="deceasedBoolean", default=False)
    deceased: str | None = msgspec.field(name="deceasedDateTime", default=None)
    is_multiple_birth: bool = msgspec.field(name="multipleBirthBoolean", default=False)
    birth_order: int | None = msgspec.field(name="multipleBirthInteger", default=None)


class Meta(msgspec.Struct):
    """What enrichment asks of Resource.meta."""

    last_updated: str | None = msgspec.field(name="lastUpdated", default=None)
    source: str | None = None
    version_id: str | None = msgspec.field(name="versionId", default=None)


class Stamped(msgspec.Struct):
    """Any resource, as to when it was updated."""

    meta: Meta | None = None


decode_stamped = msgspec.json.Decoder(Stamped).decode
decode_patient = msgspec.json.Decoder(Patient).decode
decode_observation = msgspec.json.Decoder(Observation).decode
decode_encounter = msgspec.json.Decoder(Encounter).decode
decode_meta = msgspec.json.Decoder(Meta).decode
