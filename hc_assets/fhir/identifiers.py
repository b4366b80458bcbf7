"""Business identifiers of a resource, as FHIR searches for them.

Belongs here: reading `identifier`. What they are compared with is in `conditional_references.py`.
"""

from typing import Any

import msgspec


class _Identified(msgspec.Struct):
    identifier: Any = None


_decode = msgspec.json.Decoder(_Identified, float_hook=str).decode


def identifier_tokens(resource: bytes) -> list[str]:
    """Give `system|value` of each identifier that has a value; the system may be empty.

    Args:
        resource: valid R4 JSON. `identifier` is a list in most types, one in some (Bundle).
    """
    if b'"identifier"' not in resource:
        return []
    found = _decode(resource).identifier
    listed = found if isinstance(found, list) else [found]
    return [
        f"{each.get('system', '')}|{each['value']}"
        for each in listed
        if isinstance(each, dict) and isinstance(each.get("value"), str)
    ]
