"""What resources state as facts that two of them can't state differently.

Belongs here: which facts those are. That two resources of a batch contradict one another is found
by comparing the hashes, in `batch_index.py`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import xxhash

# Types of which one resource can contradict another.
STATING = frozenset({"Condition", "Observation", "Patient"})
# Not yet a statement, or no longer one (HL7 ObservationStatus).
_NOT_STATED = frozenset({"registered", "entered-in-error", "cancelled", "unknown"})
_ASSERTED = frozenset({"confirmed", "refuted"})
_NOTHING = msgspec.Raw(b"")


class _Part(msgspec.Struct, gc=False):
    """A component, without what somebody may have added to it."""

    code: msgspec.Raw = _NOTHING
    quantity: msgspec.Raw = msgspec.field(name="valueQuantity", default=_NOTHING)
    concept: msgspec.Raw = msgspec.field(name="valueCodeableConcept", default=_NOTHING)
    text: msgspec.Raw = msgspec.field(name="valueString", default=_NOTHING)


class _Reading(msgspec.Struct, gc=False):
    """An Observation, in parts whose text is compared."""

    status: str = ""
    code: msgspec.Raw = _NOTHING
    effective: str = msgspec.field(name="effectiveDateTime", default="")
    body_site: msgspec.Raw = msgspec.field(name="bodySite", default=_NOTHING)
    method: msgspec.Raw = _NOTHING
    specimen: msgspec.Raw = _NOTHING
    device: msgspec.Raw = _NOTHING
    quantity: msgspec.Raw = msgspec.field(name="valueQuantity", default=_NOTHING)
    concept: msgspec.Raw = msgspec.field(name="valueCodeableConcept", default=_NOTHING)
    text: msgspec.Raw = msgspec.field(name="valueString", default=_NOTHING)
    boolean: msgspec.Raw = msgspec.field(name="valueBoolean", default=_NOTHING)
    integer: msgspec.Raw = msgspec.field(name="valueInteger", default=_NOTHING)
    component: list[_Part] = []


class _Status(msgspec.Struct):
    coding: list[dict[str, Any]] = []


class _Diagnosis(msgspec.Struct):
    code: msgspec.Raw = _NOTHING
    onset: str = msgspec.field(name="onsetDateTime", default="")
    verification: _Status | None = msgspec.field(name="verificationStatus", default=None)


class _Identity(msgspec.Struct):
    identifier: list[dict[str, Any]] = []
    birth_date: str = msgspec.field(name="birthDate", default="")
    gender: str = ""


_decode_reading = msgspec.json.Decoder(_Reading).decode
_decode_diagnosis = msgspec.json.Decoder(_Diagnosis, float_hook=str).decode
_decode_identity = msgspec.json.Decoder(_Identity, float_hook=str).decode


def statements(type_: str, patient_id: str | None, resource: bytes) -> Iterator[tuple[int, int]]:
    """Give the statements of a valid resource: hash of what each is about, hash of what it says.

    - An Observation says the value of a code for a patient at a time of the day (a date alone
      leaves room for several), by one method, on one specimen, at one site.
    - A Condition says whether a patient has what is coded, from an onset: confirmed or refuted.
    - A Patient says birth date and gender of whom an identifier with a system names.

    Args:
        type_: of the resource.
        patient_id: whom it is about.
        resource: as JSON.
    """
    if type_ == "Observation":
        if patient_id is not None:
            yield from _of_reading(patient_id, _decode_reading(resource))
    elif type_ == "Condition":
        if patient_id is not None:
            yield from _of_diagnosis(patient_id, _decode_diagnosis(resource))
    elif type_ == "Patient":
        yield from _of_identity(_decode_identity(resource))


def _of_reading(patient_id: str, seen: _Reading) -> Iterator[tuple[int, int]]:
    if "T" not in seen.effective or seen.status in _NOT_STATED:
        return
    told = [seen.quantity, seen.concept, seen.text, seen.boolean, seen.integer]
    for part in seen.component:
        told += part.code, part.quantity, part.concept, part.text
    if any(map(bytes, told)):
        about = seen.code, seen.body_site, seen.method, seen.specimen, seen.device
        yield _hash(_joined(patient_id, seen.effective, *about)), _hash(_joined(*told))


def _of_diagnosis(patient_id: str, seen: _Diagnosis) -> Iterator[tuple[int, int]]:
    if not seen.onset or seen.verification is None:
        return
    for coding in seen.verification.coding:
        said = coding.get("code")
        if said in _ASSERTED:
            yield _hash(_joined(patient_id, seen.onset, seen.code)), _hash(said)


def _of_identity(seen: _Identity) -> Iterator[tuple[int, int]]:
    if not seen.birth_date and not seen.gender:
        return
    for identifier in seen.identifier:
        system, value = identifier.get("system"), identifier.get("value")
        if system and value:
            yield _hash(f"{system}|{value}"), _hash(f"{seen.birth_date}|{seen.gender}")


def _hash(text: str | bytes) -> int:
    return xxhash.xxh3_64_intdigest(text if isinstance(text, bytes) else text.encode())


def _joined(*parts: msgspec.Raw | str) -> bytes:
    """One text of several, the same whatever white space stands between their tokens."""
    texts = [
        b'"%b"' % part.encode() if isinstance(part, str) else bytes(part) or b"null"
        for part in parts
    ]
    return msgspec.json.format(b"[%b]" % b",".join(texts), indent=-1)
