"""A Bundle or Parameters without what each resource in it is judged by on its own.

Belongs here: cutting it down, and asking the rules of R4 about what is left. The rules are those of
`fhir/r4/`, the same that judge a Bundle as one resource.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from hc_assets.fhir.bundles.entries import ABSENT, Unreadable, decode_head, text_in
from hc_assets.fhir.bundles.repeated_names import replaced
from hc_assets.fhir.bundles.splitting import resources_in_parameters
from hc_assets.fhir.r4.fast.fast_path import accept_envelope
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.json_text import JsonProblem, check_text
from hc_assets.fhir.r4.thorough_path import issues_beside_resources, unreadable_text

# A document must lead from entry to entry by any URL, and not by references alone.
_JUDGED_WHOLE = "document"
_KEPT = ("resourceType", "id", "reference")


class _Bundle(msgspec.Struct):
    entry: msgspec.Raw = ABSENT
    type: msgspec.Raw = ABSENT


class _Request(msgspec.Struct):
    method: msgspec.Raw = ABSENT


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = ABSENT
    request: msgspec.Raw = ABSENT


_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_request = msgspec.json.Decoder(_Request).decode
_decode = msgspec.json.Decoder(float_hook=str).decode


def issues_of_whole(data: bytes) -> list[Issue]:
    """Find what is wrong with a Bundle or Parameters beside what is wrong with what they hold.

    Args:
        data: the Bundle or the Parameters, readable as JSON.

    Returns:
        Issues with expressions that begin at the Bundle or the Parameters. Among them are those of
        resources that are only wrong where they are, such as references that a transaction must
        resolve. The resource in a DELETE counts for the Bundle, since nobody else looks at it.
        Empty where there is no error; warnings alone may be left out.
    """
    if accept_envelope(data):
        return []
    try:
        check_text(data)
    except JsonProblem as problem:
        return unreadable_text(problem)
    return issues_beside_resources(data if _is_document(data) else reduced(data))


def reduced(data: bytes) -> bytes:
    """Cut each resource in a Bundle or Parameters down to what rules on the whole look at.

    Args:
        data: the Bundle or the Parameters.

    Returns:
        The same text, in place of each resource its type, id, versionId, url and references, each
        where it was. What can't be read, and the resource in a DELETE, is left as it is.
    """
    try:
        return replaced(data, [(raw, _cut_down(raw)) for _, raw in _resources_in(data)])
    except Unreadable:
        return data


def _is_document(data: bytes) -> bool:
    try:
        return text_in(_decode_bundle(data).type) == _JUDGED_WHOLE
    except Unreadable:
        return False


def resources_by_place(data: bytes) -> dict[str, msgspec.Raw]:
    """Find the resources in a Bundle or Parameters that are judged on their own, by expression.

    Args:
        data: the Bundle or the Parameters.

    Raises:
        DecodeError: it can't be read, or has no entries.
    """
    return dict(_resources_in(data))


def _resources_in(data: bytes) -> Iterator[tuple[str, msgspec.Raw]]:
    if text_in(decode_head(data).resource_type) == "Parameters":
        yield from resources_in_parameters(data, "Parameters")
        return
    for number, raw in enumerate(_decode_entries(_decode_bundle(data).entry)):
        try:
            entry = _decode_entry(raw)
        except msgspec.ValidationError:
            continue  # no object
        if entry.resource is not ABSENT and not _is_deletion(entry.request):
            yield f"Bundle.entry[{number}].resource", entry.resource


def _is_deletion(request: msgspec.Raw) -> bool:
    try:
        return text_in(_decode_request(request).method) == "DELETE"
    except msgspec.ValidationError:
        return False  # there is none, or no object


def _cut_down(raw: msgspec.Raw) -> bytes:
    try:
        resource = _decode(raw)
    except Unreadable:
        return bytes(raw)
    if not isinstance(resource, dict):
        return bytes(raw)
    kept = _references_in(resource) or {}
    kept |= {name: resource[name] for name in ("resourceType", "id", "url") if name in resource}
    meta = resource.get("meta")
    if isinstance(meta, dict) and "versionId" in meta:
        kept["meta"] = kept.get("meta", {}) | {"versionId": meta["versionId"]}
    return msgspec.json.encode(kept)


def _references_in(value: Any) -> Any:
    """What of a value leads to references; None where nothing does. Places in lists stay."""
    if isinstance(value, dict):
        found = {}
        for name, each in value.items():
            if isinstance(each, dict | list):
                inner = _references_in(each)
                if inner is not None:
                    found[name] = inner
        if isinstance(value.get("reference"), str):
            found["reference"] = value["reference"]
        if found and isinstance(value.get("resourceType"), str):
            found["resourceType"] = value["resourceType"]
        return found or None
    if isinstance(value, list):
        listed = [_references_in(each) for each in value]
        return None if all(each is None for each in listed) else [each or {} for each in listed]
    return None
