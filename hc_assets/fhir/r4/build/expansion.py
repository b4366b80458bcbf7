"""Expands value sets from code systems that are at hand: the terminology half of the build.

Belongs here: which codes a ValueSet resource stands for. How bindings are checked at run time
belongs to `fhir/r4/bindings.py`.
"""

import re
from collections.abc import Iterator
from typing import Any

from hc_assets.fhir.r4.build.package import JsonObject, Package

# Code systems that HL7 names but does not own, so that no list of codes is at hand: membership
# is decided by a check of the code's form. The names are those of `bindings.SYNTAX_PATTERNS`.
SYNTAX_OF_SYSTEM = {
    "urn:ietf:bcp:13": "mime",
    "urn:ietf:bcp:47": "language",
    "urn:iso:std:iso:4217": "currency",
    "http://unitsofmeasure.org": "ucum",
}
_SYNTAX_OF_VALUE_SET = {"http://www.rfc-editor.org/bcp/bcp13.txt": "mime"}

Codes = set[tuple[str, str]]


class NotExpandableError(Exception):
    """A value set needs a code system, a value set or a filter that is not at hand."""


def concepts_of(system: JsonObject) -> Iterator[tuple[JsonObject, tuple[str, ...]]]:
    """Every concept with the codes of its ancestors, nearest last."""
    stack: list[tuple[JsonObject, tuple[str, ...]]] = [
        (concept, ()) for concept in system.get("concept", [])
    ]
    while stack:
        concept, ancestors = stack.pop()
        yield concept, ancestors
        below = (*ancestors, concept["code"])
        stack.extend((child, below) for child in concept.get("concept", []))


def _property_values(concept: JsonObject, name: str) -> list[str]:
    values: list[str] = []
    for entry in concept.get("property", []):
        if entry.get("code") == name:
            values.extend(str(value) for key, value in entry.items() if key.startswith("value"))
    return values


def _passes(concept: JsonObject, ancestors: tuple[str, ...], rule: JsonObject) -> bool:
    """Whether a concept passes one `compose.include.filter`."""
    operator, name, wanted = str(rule["op"]), str(rule["property"]), str(rule["value"])
    code = concept["code"]
    # Subsumption may be expressed by nesting, or by a property that names the parents.
    above = {*ancestors, *_property_values(concept, "subsumedBy")}
    if operator == "is-a":
        return code == wanted or wanted in above
    if operator == "descendent-of":
        return wanted in above
    if operator == "is-not-a":
        return not (code == wanted or wanted in above)
    values = [code] if name in ("code", "concept") else _property_values(concept, name)
    if operator == "=":
        return wanted in values
    if operator == "in":
        return bool({*wanted.split(",")} & {*values})
    if operator == "not-in":
        return not {*wanted.split(",")} & {*values}
    if operator == "regex":
        return any(re.fullmatch(wanted, value) for value in values)
    if operator == "exists":
        return bool(values) == (wanted == "true")
    raise NotExpandableError(f"filter operator {operator}")


def _system_codes(package: Package, part: JsonObject) -> Codes:
    """The codes that `part` takes from its code system."""
    url = part["system"]
    if "concept" in part:
        return {(url, concept["code"]) for concept in part["concept"]}
    system = package.code_systems.get(url)
    if system is None or system.get("content") not in ("complete", "fragment"):
        raise NotExpandableError(f"code system {url}")
    if system["content"] == "fragment" and not part.get("filter"):
        raise NotExpandableError(f"only a fragment of {url}")
    rules: list[dict[str, Any]] = part.get("filter", [])
    return {
        (url, concept["code"])
        for concept, ancestors in concepts_of(system)
        if all(_passes(concept, ancestors, rule) for rule in rules)
    }


def _part_codes(package: Package, part: JsonObject, seen: frozenset[str]) -> Codes:
    """The codes of one include or exclude: its system's, in every value set that it names."""
    sets = [_expand(package, url, seen) for url in part.get("valueSet", [])]
    if "system" in part:
        sets.append(_system_codes(package, part))
    return set.intersection(*sets) if sets else set()


def _expand(package: Package, url: str, seen: frozenset[str]) -> Codes:
    url = url.partition("|")[0]
    value_set = package.value_sets.get(url)
    if value_set is None or url in seen:
        raise NotExpandableError(f"value set {url}")
    compose = value_set.get("compose", {})
    codes: Codes = set()
    for part in compose.get("include", []):
        codes |= _part_codes(package, part, seen | {url})
    for part in compose.get("exclude", []):
        codes -= _part_codes(package, part, seen | {url})
    if not codes:
        raise NotExpandableError(f"value set {url} is empty")
    return codes


def expand(package: Package, url: str) -> Codes:
    """Expand a value set.

    Args:
        package: the code systems and value sets at hand.
        url: canonical URL of the value set, with or without `|version`.

    Returns:
        Pairs of code system and code; never empty.

    Raises:
        NotExpandableError: the codes can't be decided from what is at hand.
    """
    return _expand(package, url, frozenset())


def syntax_of(package: Package, url: str) -> str:
    """Name the check of form that stands in for a value set that can't be expanded.

    Args:
        package: the value sets at hand.
        url: canonical URL of the value set, with or without `|version`.

    Returns:
        A name of `bindings.SYNTAX_PATTERNS`; "any" where not even the form is known.
    """
    url = url.partition("|")[0]
    if url in _SYNTAX_OF_VALUE_SET:
        return _SYNTAX_OF_VALUE_SET[url]
    compose = package.value_sets.get(url, {}).get("compose", {})
    names = (
        {SYNTAX_OF_SYSTEM.get(part.get("system", ""), "any") for part in compose["include"]}
        if ("include" in compose)
        else {"any"}
    )
    return names.pop() if len(names) == 1 else "any"
