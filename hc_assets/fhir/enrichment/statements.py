"""What resources state as facts that two of them can't state differently.

Belongs here: which facts those are. That two resources of a batch contradict one another is found
by comparing the hashes, in `batch_index.py`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from hc_assets.fhir.enrichment.columns.resource_columns import Keys, distinct, hashed
from hc_assets.fhir.enrichment.columns.resource_texts import Members, Numbers, members_in, texts_of
from hc_assets.fhir.enrichment.significance.answers import filed_as, is_derived, is_score_value

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


# What an Observation's statement is about, and what it says.
_ABOUT = ("effectiveDateTime", "code", "bodySite", "method", "specimen", "device")
_VALUES = (
    "valueQuantity",
    "valueCodeableConcept",
    "valueString",
    "valueBoolean",
    "valueInteger",
    "component",
)
_DATE = len('"2026-01-31"')


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


_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_diagnosis = msgspec.json.Decoder(_Diagnosis, float_hook=str).decode
_decode_identity = msgspec.json.Decoder(_Identity, float_hook=str).decode


def statements(type_: str, patient_id: str | None, resource: bytes) -> Iterator[tuple[int, int]]:
    """Find the statements of a valid resource: hash of what each is about, hash of what it says.

    - A Condition says whether a patient has what is coded, from an onset: confirmed or refuted.
    - A Patient says birth date and gender of whom an identifier with a system names.

    Args:
        type_: of the resource; those of Observations are given by `readings`.
        patient_id: whom it is about.
        resource: as JSON.
    """
    if type_ == "Condition":
        if patient_id is not None:
            yield from _of_diagnosis(patient_id, _decode_diagnosis(resource))
    elif type_ == "Patient":
        yield from _of_identity(_decode_identity(resource))


def readings(resources: pa.Array, patients: Keys) -> tuple[Numbers, Keys, Keys]:
    """Find the statements of valid Observations.

    Each says the value of a code for a patient at a time of the day (a date alone leaves room for
    several), by one method, on one specimen, at one site. Answers of a survey and scores state
    nothing: a question may have several, and two people score differently.

    Args:
        resources: binary, as JSON.
        patients: hash of the id of whom each is about.

    Returns:
        Numbers of those that state anything; hash of what it is about; hash of what it says.
    """
    texts = texts_of(resources)
    members = members_in(texts)
    about = np.stack([members.places(name) for name in _ABOUT], axis=1)
    values = np.stack([members.places(name) for name in _VALUES], axis=1)
    effective = about[:, 0]
    has_time = effective[:, 1] - effective[:, 0] > _DATE
    states = has_time & _is_stated(members) & (values[:, :, 0] >= 0).any(axis=1)
    states &= ~_is_answer(members, states)
    rows = np.flatnonzero(states)
    about, values = about[rows], values[rows]
    parts, size = [texts.buffer], len(texts.buffer)
    for number in np.flatnonzero(values[:, -1, 0] >= 0).tolist():
        # Without what somebody may have added to the components.
        begin, end = values[number, -1].tolist()
        parts.append(_bare(texts.buffer[begin:end]))
        values[number, -1] = size, size + len(parts[-1])
        size += len(parts[-1])
    data = b"".join(parts)
    seeds = np.zeros(len(rows), np.uint64)
    return rows, hashed(data, about, patients[rows]), hashed(data, values, seeds)


def _is_stated(members: Members) -> npt.NDArray[np.bool_]:
    places = members.places("status")
    buffer = members.texts.buffer
    first, which = distinct(buffer, places, np.zeros(len(places), np.int32))
    stated = [_decode_text(buffer[b:e]) not in _NOT_STATED for b, e in places[first].tolist()]
    return np.array([*stated, True])[which]


def _is_answer(members: Members, asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether each of the Observations that are asked for is an answer, or a score."""
    buffer = members.texts.buffer
    places = members.places("category")
    first, which = distinct(buffer, places, np.zeros(len(asked), np.int32))
    filed = [filed_as(buffer[begin:end]) for begin, end in places[first].tolist()]
    is_answer = np.array([*(each is True for each in filed), False])[which]
    is_open = np.array([*(each is None for each in filed), True])[which]
    of_origin, of_value = members.places("derivedFrom"), members.places("valueQuantity")
    for row in np.flatnonzero(asked & is_open).tolist():
        (begin, end), (value, value_end) = of_origin[row].tolist(), of_value[row].tolist()
        derived = begin >= 0 and is_derived(buffer[begin:end])
        is_answer[row] = derived or (value >= 0 and is_score_value(buffer[value:value_end]))
    return is_answer


def _bare(components: bytes) -> bytes:
    found = [(p.code, p.quantity, p.concept, p.text) for p in _decode_parts(components)]
    return b"".join(b"%b\0" % bytes(raw) for each in found for raw in each)


def _of_diagnosis(patient_id: str, seen: _Diagnosis) -> Iterator[tuple[int, int]]:
    if not seen.onset or seen.verification is None:
        return
    for coding in seen.verification.coding:
        status = coding.get("code")
        if status in _ASSERTED:
            yield _hash(_joined(patient_id, seen.onset, seen.code)), _hash(status)


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
