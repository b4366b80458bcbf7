"""Which elements lead to a resource and which only name something, by the definitions of R4.

Belongs here: telling them apart, for whatever replaces links. Replacing references is in
`references.py`, replacing other links of a transaction in `enrichment/columns/bundle_links.py`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.walker import members_of

CONTAINED = frozenset({"Resource", "DomainResource"})
"""Types of elements that hold whole resources."""
ELEMENT = "Element"
"""Type of what stands beside a primitive, in a member that begins with "_"."""

# A `reference` is a uri in these: one of the signs is in a resource that has it. An Expression is
# never without its language, a text.
_URI_REFERENCES = frozenset({"DetectedIssue", "Immunization.education", "Expression"})
SIGNS_OF_OTHERS = (b'"DetectedIssue"', b'"education":', b'"language":"')
"""Where a resource, compact JSON, holds none of these, each `reference` of it is a Reference's."""

# Addresses on a network, where all other resources' `url` is their canonical identity.
_ADDRESSED = frozenset({"Device", "DeviceDefinition"})
# Beside each `system` and each canonical `url`.
_NAMES = frozenset(
    {
        ("Bundle.entry", "fullUrl"),
        ("CodeSystem.property", "uri"),
        ("ConceptMap", "sourceUri"),
        ("ConceptMap", "targetUri"),
        ("ConceptMap.group", "source"),
        ("ConceptMap.group", "target"),
        ("ConceptMap.group.element.target.dependsOn", "property"),
        ("Device.udiCarrier", "issuer"),
        ("Device.udiCarrier", "jurisdiction"),
        ("DeviceDefinition.udiDeviceIdentifier", "issuer"),
        ("DeviceDefinition.udiDeviceIdentifier", "jurisdiction"),
        ("ElementDefinition.type", "code"),
        ("Extension", "url"),
        ("MessageDefinition", "eventUri"),
        ("MessageHeader", "eventUri"),
        ("Meta", "source"),
        ("Questionnaire.item", "definition"),
        ("QuestionnaireResponse.item", "definition"),
        ("Reference", "type"),
        ("StructureDefinition", "type"),
        ("StructureDefinition.mapping", "uri"),
        ("ValueSet.expansion", "identifier"),
        ("ValueSet.expansion.parameter", "valueUri"),
    }
)
# What a definition says a value must be is no link of the definition's.
_OF_DEFINITIONS = frozenset({"ElementDefinition", "ElementDefinition.example"})

_decode = msgspec.json.Decoder(float_hook=str).decode


@cache
def is_identity(owner: str, member: str) -> bool:
    """Whether an element of type uri or url names something, and must stay as it is.

    R4 has a server replace links to a transaction's entries in elements of these types, whatever
    the element (http, 3.1.0.11.2). A canonical url, a system and the like are no links: they are
    the same text in all places that speak of the same thing, in bundles and on servers.

    Args:
        owner: type that the element is in: a resource, a data type or the path of a nested element.
        member: name of the element as a member in JSON.
    """
    if member == "system" or owner in _OF_DEFINITIONS:
        return True
    if member == "url" and r4().type(owner).kind == "resource":
        return owner not in _ADDRESSED
    return (owner, member) in _NAMES


def may_have_others(compact: bytes) -> bool:
    """Whether a `reference` of a resource that holds one of `SIGNS_OF_OTHERS` may be a uri."""
    return any(sign in compact for sign in _signs_of_owners())


@cache
def _signs_of_owners() -> tuple[bytes, ...]:
    """What a resource holds one of that has an owner of such a `reference` in it."""
    names = {
        name
        for type_name in r4().type_names
        for name, member in members_of(type_name).items()
        if member.ref.code in _URI_REFERENCES
    }
    members = [f'"{name}":'.encode() for name in sorted(names)]
    return (*members, b'"DetectedIssue"')


def are_references(compact: bytes) -> list[bool]:
    """Tell the references of a resource from its other members of that name.

    Args:
        compact: a valid resource as JSON.

    Returns:
        Of each member `reference` that is a text, in their order: whether it is that of a
        Reference, and not a uri.
    """
    resource = _decode(compact)
    return list(_are_references(resource, resource["resourceType"]))


def _are_references(value: Mapping[str, Any], type_name: str) -> Iterator[bool]:
    known = members_of(type_name)
    for name, content in value.items():
        if name == "reference" and isinstance(content, str):
            yield type_name == "Reference"
            continue
        inner = ELEMENT if name.startswith("_") else known[name].ref.code if name in known else ""
        for each in content if isinstance(content, list) else [content]:
            if isinstance(each, dict):
                yield from _are_references(
                    each, each["resourceType"] if inner in CONTAINED else inner
                )
