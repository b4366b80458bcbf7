"""Business identifiers of a resource, as FHIR searches for them.

Belongs here: reading `identifier`. What they are compared with is in
`fhir/versions/conditional_references.py`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

_decode: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=str).decode


def identifier_tokens(identifier: bytes | None) -> list[str]:
    """Return `system|value` of each identifier that has a value; the system may be empty.

    Args:
        identifier: that member of a valid resource, as JSON: a list in most types, one in some
            (Bundle); None where it has none.
    """
    if identifier is None:
        return []
    found = _decode(identifier)
    listed = found if isinstance(found, list) else [found]
    return [
        f"{each.get('system', '')}|{each['value']}"
        for each in listed
        if isinstance(each, dict) and isinstance(each.get("value"), str)
    ]
