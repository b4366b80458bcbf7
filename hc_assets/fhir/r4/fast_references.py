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
# What nearly always stands before a reference: the member that holds it.
_HOLDER = re.compile(rb'"([A-Za-z]{1,64})":\[?\{\Z')
_LONGEST_HOLDER = 70


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


def references_resolve(
    resource_type: str, text: bytes, start: bytes, types: dict[str, str]
) -> set[str] | None:
    """Follow every reference of one kind.

    Args:
        resource_type: the type of the resource.
        text: the resource as compact JSON; resources inside it are left out.
        start: how the references in question begin: `#` or `urn:`.
        types: types of the resources at hand, by `#id` or URN.

    Returns:
        What is referred to; None where something is not at hand, or of a type that may not be
        there, or where the text alone doesn't tell.
    """
    targets = _targets(resource_type)
    mark = b'"reference":"' + start
    found: set[str] = set()
    position = text.find(mark)
    while position >= 0:
        holder = _HOLDER.search(text, max(0, position - _LONGEST_HOLDER), position)
        if holder is None:
            return _scan(targets, text, start, types)
        value = position + len(mark) - len(start)
        reference = text[value : text.index(b'"', value)].decode()
        if not _may_name(types.get(reference), targets.get(holder[1].decode(), frozenset())):
            return None
        found.add(reference)
        position = text.find(mark, value)
    return found


def _may_name(found: str | None, allowed: frozenset[str] | None) -> bool:
    return found is not None and (allowed is None or found in allowed)


def _scan(
    targets: dict[str, frozenset[str] | None], text: bytes, start: bytes, types: dict[str, str]
) -> set[str] | None:
    """The same from front to back, for lists of references."""
    if any(part in text for part in _NESTED_REFERENCES):
        return None
    found: set[str] = set()
    allowed: frozenset[str] | None = frozenset()
    for match in _REFERRING.finditer(text):
        name, reference = match.groups()
        if name is not None:
            allowed = targets.get(name.decode(), frozenset())
        elif reference.startswith(start):
            if not _may_name(types.get(reference.decode()), allowed):
                return None
            found.add(reference.decode())
    return found
