"""References inside one JSON text on the fast path: what they name is at hand, of the right type.

Belongs here: fragments and URNs, found in the text itself. The rules with words belong to
`resource_rules.py` and `bundle_references.py`.
"""

import re
from functools import cache

from hc_assets.fhir.r4.definitions import r4

# In minified JSON: a member that opens an object or a list of objects, or a reference. The object
# last opened is the one that holds the reference, or one that was before it inside a reference, and
# no member of those (identifier, type, period ...) is itself a reference.
_REFERRING = re.compile(rb'"([A-Za-z]+)":\[?\{|"reference":"((?:urn:|#)[^"]*)"')
# But these are.
_NESTED_REFERENCES = (b'"assigner":', b'"valueReference":')


@cache
def _targets(resource_type: str) -> dict[str, frozenset[str] | None]:
    """What members of a resource type may refer to; None for anything.

    A name that stands for several elements keeps what all of them allow.
    """
    found: dict[str, frozenset[str] | None] = {}
    seen, pending = set(), [resource_type]
    while pending:
        type_name = pending.pop()
        if type_name in seen:
            continue
        seen.add(type_name)
        for element in r4().type(type_name).elements:
            for member, ref in element.members():
                if ref.code == "Reference":
                    allowed = frozenset(ref.targets) or None
                    known = found.get(member, allowed)
                    if known is None or allowed is None:
                        found[member] = known or allowed
                    else:
                        found[member] = known & allowed
                elif ref.code not in ("Resource", "Extension"):
                    pending.append(ref.code)
    return found


def references_resolve(resource_type: str, text: bytes, types: dict[str, str]) -> bool:
    """Whether every fragment and URN that is referred to is at hand, of a type that may be there.

    Args:
        resource_type: the type of the resource.
        text: the resource as minified JSON, without contained resources.
        types: types of the resources at hand, by `#id` or URN.

    Returns:
        False too where the text alone doesn't tell.
    """
    if any(part in text for part in _NESTED_REFERENCES):
        return False
    targets = _targets(resource_type)
    allowed: frozenset[str] | None = frozenset()
    for match in _REFERRING.finditer(text):
        name, reference = match.groups()
        if name is not None:
            allowed = targets.get(name.decode(), frozenset())
        else:
            found = types.get(reference.decode())
            if found is None or (allowed is not None and found not in allowed):
                return False
    return True
