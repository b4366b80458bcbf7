"""Resources for tests of validation, and the errors that are found in them."""

import json
from typing import Any

from hc_assets.fhir.validation import has_errors, is_valid, validate

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "text": {"status": "generated", "div": DIV}, **members}


def observation(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "text": {"status": "generated", "div": DIV},
        "status": "final",
        "code": {"text": "weight"},
        **members,
    }


def without(resource: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != name}


def errors(resource: dict[str, Any] | bytes | str) -> set[tuple[str, str]]:
    """Location and rule of every error."""
    if isinstance(resource, dict):
        resource = json.dumps(resource)
    raw = resource.encode() if isinstance(resource, str) else resource
    issues = validate(raw)
    assert is_valid(raw) == (not has_errors(issues))
    return {(i.expression, i.rule) for i in issues if i.severity in ("fatal", "error")}
