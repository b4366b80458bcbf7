"""FHIR in XML as the JSON that it stands for, by R4's definitions.

Belongs here: reading the XML examples of HL7's suites, whose content is trusted. The project itself
takes no XML.
"""

import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

from hc_assets.fhir.r4.definitions import r4

_FHIR = "{http://hl7.org/fhir}"
_XHTML = "http://www.w3.org/1999/xhtml"


def resource(text: str) -> dict[str, Any]:
    """The resource of an XML document, decimals with their digits."""
    return _resource(ET.fromstring(text))  # noqa: S314 - a file of HL7's suite


def _resource(element: ET.Element) -> dict[str, Any]:
    name = element.tag.removeprefix(_FHIR)
    return {"resourceType": name, **_members(element, name)}


def _members(element: ET.Element, type_name: str) -> dict[str, Any]:
    declared = {
        member: (reference.code, each.is_list)
        for each in r4().type(type_name).elements
        if each.types
        for member, reference in each.members()
    }
    found: dict[str, Any] = {
        name: element.attrib[name] for name in ("id", "url") if name in element.attrib
    }
    for child in element:
        if child.tag == f"{{{_XHTML}}}div":
            ET.register_namespace("", _XHTML)
            found["div"] = ET.tostring(child, encoding="unicode").strip()
            continue
        name = child.tag.removeprefix(_FHIR)
        code, is_list = declared[name]
        for key, value in _values(child, code, name).items():
            if is_list:
                found.setdefault(key, []).append(value)
            elif value is not None:
                found[key] = value
    # A list of `_name` siblings that holds nothing is none.
    return {key: value for key, value in found.items() if not _is_hollow(key, value)}


def _is_hollow(key: str, value: Any) -> bool:
    return key.startswith("_") and isinstance(value, list) and not any(value)


def _values(child: ET.Element, code: str, name: str) -> dict[str, Any]:
    if code == "Resource":
        return {name: _resource(child[0])}
    if not code[0].islower():
        return {name: _members(child, code)}
    extra = _members(child, "Element")
    value = child.get("value")
    return {name: None if value is None else _primitive(value, code), f"_{name}": extra or None}


def _primitive(text: str, code: str) -> Any:
    if code == "boolean":
        return text == "true"
    if code in ("integer", "positiveInt", "unsignedInt"):
        return int(text)
    return Decimal(text) if code == "decimal" else text
