"""Where the references of a resource lead: to its patient, its encounter, and others, as ids.

Belongs here: reading references, and resolving those that hold only within a bundle. Whether they
lead anywhere is asked in `checks.py`; conditional ones are resolved over all batches, in
`fhir/versions/conditional_references.py`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from hc_assets.core.source_names import base_of, is_base
from hc_assets.fhir.link_elements import SIGNS_OF_OTHERS, are_references, may_have_others

# R4's Patient compartment reaches a resource through one of these; the first that names a Patient
# counts.
_PATIENT_MEMBERS = ("subject", "patient", "beneficiary", "individual")
_ENCOUNTER_MEMBERS = ("encounter", "context")
# Ids may be longer than R4's 64 characters: those of resources that are let through.
_TYPE_AND_ID = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]+)(?:/_history/[^/]+)?$")
# What is there need not be a UUID: only what R4 allows as an id is taken.
_UUID_URN = re.compile(r"urn:uuid:([A-Za-z0-9\-.]{1,64})")
_REFERENCE_START = b'"reference":"'
_QUOTE = b'"'
# A member of more bytes is read each time: a cache is for what comes again.
_SHORT = 512
_LOCAL = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]+)(?:/_history/[^/]+)?")
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]*\?.+", re.DOTALL)


decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder(float_hook=str).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode_text = msgspec.json.Encoder().encode


def links(
    resource: bytes, resource_type: str, resource_id: str | None, targets: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """Find the patient and the encounter that a valid resource belongs to.

    Args:
        resource: as JSON.
        resource_type: its type; a Patient is about itself, an Encounter belongs to itself.
        resource_id: its id.
        targets: `<type>/<id>` by fullUrl, of the bundle that the resource came in.

    Returns:
        Ids of patient and encounter; None where it names none, or by a query instead of an id.
    """
    return links_of(decode_members(resource), resource_type, resource_id, targets)


def links_of(
    members: Mapping[str, msgspec.Raw],
    resource_type: str,
    resource_id: str | None,
    targets: Mapping[str, str],
    source: str | None = None,
) -> tuple[str | None, str | None]:
    """Find the same in a resource whose members are distinguished already.

    Where its source is the base of a server, what is on another server is none of it.
    """
    server = source if source is not None and is_base(source) else None
    patient = _first_id("Patient", members, _PATIENT_MEMBERS, targets, server)
    encounter = _first_id("Encounter", members, _ENCOUNTER_MEMBERS, targets, server)
    if resource_type == "Patient":
        patient = resource_id
    elif resource_type == "Encounter":
        encounter = resource_id
    return patient, encounter


def uuid_of(full_url: str | None) -> str | None:
    """UUID of an entry's fullUrl, the id of a resource that has no other; None where it is none."""
    uuid = _UUID_URN.fullmatch(full_url or "")
    return uuid[1] if uuid else None


def resolve(compact: bytes, targets: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Replace references by what they stand for, as R4's transactions ask (http, 3.1.0.11.2).

    Args:
        compact: a resource as JSON, without white space between its tokens.
        targets: what a `Reference.reference` stands for, `<type>/<id>`, by its text.

    Returns:
        The resource with those references replaced, and every other byte as it was; and the texts
        of its references, after that.
    """
    # In JSON text a quote inside of a string is escaped, so that this splits at members only.
    first, *rest = compact.split(_REFERENCE_START)
    if not rest:
        return compact, []
    has_signs = any(sign in compact for sign in SIGNS_OF_OTHERS)
    others = others_among(compact, len(rest)) if has_signs else frozenset[int]()
    texts, parts, is_changed = [], [first], False
    for number, part in enumerate(rest):
        if number in others:
            parts.append(part)
            continue
        end = part.index(_QUOTE)
        text = part[:end].decode()
        if "\\" in text:
            end = _end_of_text(part)
            text = _decode_text(b'"%b"' % part[:end])
        target = targets.get(text)
        if target is not None:
            is_changed = True
        texts.append(target or text)
        parts.append(part if target is None else encoded(target) + part[end:])
    return (_REFERENCE_START.join(parts) if is_changed else compact), texts


def others_among(compact: bytes, count: int) -> frozenset[int]:
    """Find members `reference` that are no references but a uri.

    Args:
        compact: a valid resource as JSON that holds one of `link_elements.SIGNS_OF_OTHERS`.
        count: how many members of that name were found in its text.

    Returns:
        Their numbers among these.
    """
    if not may_have_others(compact):
        return frozenset()
    are = are_references(compact)
    # A name that is written with escapes was not found in the text: then nobody knows which
    return frozenset(n for n, is_one in enumerate(are) if not is_one and len(are) == count)


def encoded(text: str) -> bytes:
    """What a text is written as between the quotes of JSON."""
    return _encode_text(text)[1:-1]


def local_targets(texts: Iterable[str]) -> list[str]:
    """What references name that a batch can hold: `<type>/<id>`, or the URN that one is.

    Left out are resources of other servers, queries, and what a resource contains; absolute ones to
    the same server are relative by now.
    """
    return [target for target in map(_local_target, texts) if target is not None]


@lru_cache(maxsize=16_384)
def _local_target(text: str) -> str | None:
    if text.startswith("urn:"):
        return text
    named = _LOCAL.fullmatch(text)
    return named[1] if named else None


def absolute_references(texts: Iterable[str]) -> list[str]:
    """Those of a resource's references that are addresses on some server."""
    return [text for text in texts if "://" in text and not text.startswith("urn:")]


def split_version(text: str) -> tuple[str, str]:
    """Divide a reference into what names the resource, and its version, `/_history/…` or ""."""
    before, sign, version = text.rpartition("/_history/")
    return (before, f"{sign}{version}") if sign else (text, "")


def conditional_references(texts: Iterable[str]) -> list[str]:
    """Those of a resource's references that are queries, `<type>?<criteria>`, each once."""
    return list(dict.fromkeys(t for t in texts if "?" in t and _CONDITIONAL.fullmatch(t)))


def _end_of_text(part: bytes) -> int:
    """Where a JSON text ends that began before this; valid JSON has the end."""
    end = part.index(_QUOTE)
    while _backslashes_before(part, end) % 2:
        end = part.index(_QUOTE, end + 1)
    return end


def _backslashes_before(text: bytes, end: int) -> int:
    return end - len(text[:end].rstrip(b"\\"))


def _first_id(
    type_: str,
    members: Mapping[str, msgspec.Raw],
    names: Iterable[str],
    targets: Mapping[str, str],
    server: str | None,
) -> str | None:
    for name in names:
        if name in members:
            raw = bytes(members[name])
            for text in _short_texts(raw) if len(raw) <= _SHORT else _texts(raw):
                if server is not None and "://" in text and not text.startswith("urn:"):
                    there = _TYPE_AND_ID.search(text)
                    if there is not None and base_of(text[: there.start()]) != server:
                        continue
                named = _type_and_id(targets.get(text, text))
                if named is not None and named[0] == type_:
                    return named[1]
    return None


def _texts(raw: bytes) -> tuple[str, ...]:
    """Texts of the references that a member holds, in order."""
    return tuple(_texts_in(_decode_value(raw)))


# All resources of a patient or an encounter refer to it by the same bytes.
_short_texts = lru_cache(maxsize=16_384)(_texts)


def _texts_in(value: Any) -> Iterator[str]:
    for reference in value if isinstance(value, list) else [value]:
        if not isinstance(reference, dict):
            continue
        text = reference.get("reference")
        if isinstance(text, str):
            yield text
        # DocumentReference.context is no reference but holds some.
        elif text is None and isinstance(reference.get("encounter"), list):
            yield from _texts_in(reference["encounter"])


@lru_cache(maxsize=16_384)
def _type_and_id(text: str) -> tuple[str, str] | None:
    named = _TYPE_AND_ID.search(text)
    return (named[1], named[2]) if named else None
