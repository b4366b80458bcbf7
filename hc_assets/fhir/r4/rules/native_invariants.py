"""The commonest invariants written out by hand, for speed.

Belongs here: for each rule a quick answer on the shapes that data nearly always has; on any other
shape it asks the compiled expression, so the verdicts are the same. Which expression that is
belongs to `invariants.py`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from hc_assets.fhir.fhirpath.model import Environment, Node, TypeView
from hc_assets.fhir.fhirpath.shortcuts import presence
from hc_assets.fhir.r4.rules.narrative import has_content, narrative_fault

# A rule ready to be asked: does it hold for a node?
Check = Callable[[Node, Environment], bool]
# What makes one from the types and the check that the compiled expression gives.
NativeRule = Callable[[TypeView, Check], Check]

_DATE_LENGTH = 10
_SECONDS_LENGTH = 19
# Python keeps six digits of a second, more would be cut off; then comes Z or +hh:mm.
_LONGEST_EXACT = _SECONDS_LENGTH + 7


def _absent(value: dict[str, Any], name: str) -> bool:
    return name not in value and f"_{name}" not in value


def _is_given(value: dict[str, Any], name: str) -> bool:
    """A member that is sure to count as existing; a list may hold nulls alone."""
    found = value.get(name)
    return found is not None and not isinstance(found, list)


def _ele_1(types: TypeView, general: Check) -> Check:
    members_of = types.members

    def check(node: Node, environment: Environment) -> bool:
        value = node.value
        if isinstance(value, dict):
            members = members_of(node.type_name)
            if members is not None:
                for name, part in value.items():
                    if (
                        name != "id"
                        and name in members
                        and part is not None
                        and not isinstance(part, list)
                    ):
                        return True
        elif value is not None and not isinstance(value, list):
            return True
        return general(node, environment)

    return check


def _ext_1(types: TypeView, _: Check) -> Check:
    has_extension, has_value = presence(types, "extension"), presence(types, "value")
    return lambda node, _: has_extension(node) != has_value(node)


def _holds_without(*names: str) -> NativeRule:
    """A rule that holds for an object that has none of these plain members."""

    def build(_: TypeView, general: Check) -> Check:
        def check(node: Node, environment: Environment) -> bool:
            value = node.value
            if isinstance(value, dict) and all(_absent(value, name) for name in names):
                return True
            return general(node, environment)

        return check

    return build


def _holds_with_any(*names: str) -> NativeRule:
    """A rule that holds for an object that has one of these plain members."""

    def build(types: TypeView, general: Check) -> Check:
        def check(node: Node, environment: Environment) -> bool:
            value = node.value
            if isinstance(value, dict) and any(_is_given(value, name) for name in names):
                members = types.members(node.type_name)
                if members is not None and all(name in members for name in names):
                    return True
            return general(node, environment)

        return check

    return build


def _dom_3(types: TypeView, general: Check) -> Check:
    step, is_a = types.step, types.is_a

    def texts(nodes: list[Node], type_name: str) -> set[str]:
        return {
            node.value
            for node in nodes
            if isinstance(node.value, str) and is_a(node.type_name, type_name)
        }

    def references(nodes: list[Node]) -> set[str]:
        found = step([*nodes], "reference")
        return {n.value for n in found if isinstance(n, Node) and isinstance(n.value, str)}

    def check(node: Node, environment: Environment) -> bool:
        if not isinstance(node.value, dict) or "contained" not in node.value:
            return True
        # The expression goes through the whole resource four times for each contained one.
        everything = types.descendants([environment.resource])
        targets = references(everything) | texts(everything, "uri")
        for contained in step([node], "contained"):
            if not isinstance(contained, Node) or not isinstance(contained.value, dict):
                return general(node, environment)
            id_ = contained.value.get("id")
            if not isinstance(id_, str) or "_id" in contained.value:
                return general(node, environment)
            if f"#{id_}" in targets:
                continue
            inside = types.descendants([contained])
            if "#" not in references(inside) and "#" not in texts(inside, "canonical"):
                # Broken it is, unless something about it makes the expression fail.
                return general(node, environment)
        return True

    return check


def _dom_6(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        text = node.value.get("text") if isinstance(node.value, dict) else None
        if isinstance(text, dict) and isinstance(text.get("div"), str):
            return True
        return general(node, environment)

    return check


def _ref_1(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        value = node.value
        if isinstance(value, dict):
            reference = value.get("reference")
            if isinstance(reference, str):
                if not reference.startswith("#") or reference == "#":
                    return True
            elif _absent(value, "reference"):
                return True
        return general(node, environment)

    return check


def _moment(text: str) -> date | None:
    """A day or a time with offset, where Python reads it exactly as FHIR means it; else None."""
    length = len(text)
    if length < _DATE_LENGTH or text[4] != "-" or text[7] != "-":
        return None
    try:
        if length == _DATE_LENGTH:
            return date.fromisoformat(text)
        is_zulu = text.endswith("Z")
        if text[10] != "T" or not (is_zulu or (text[-3] == ":" and text[-6] in "+-")):
            return None
        end = length - (1 if is_zulu else 6)
        if not _SECONDS_LENGTH <= end <= _LONGEST_EXACT or text[13] != ":" or text[16] != ":":
            return None
        if text[11:13] == "24" or (end > _SECONDS_LENGTH and text[_SECONDS_LENGTH] != "."):
            return None
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _per_1(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        value = node.value
        if isinstance(value, dict):
            start, end = value.get("start"), value.get("end")
            if start is None or end is None:
                return True
            if isinstance(start, str) and isinstance(end, str):
                first, last = _moment(start), _moment(end)
                if first is not None and last is not None and type(first) is type(last):
                    return first <= last
        return general(node, environment)

    return check


def _qty_3(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        value = node.value
        if isinstance(value, dict) and (
            _absent(value, "code") or isinstance(value.get("system"), str)
        ):
            return True
        return general(node, environment)

    return check


def _txt_1(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        if isinstance(node.value, str):
            return narrative_fault(node.value) is None
        return general(node, environment)

    return check


def _txt_2(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        if isinstance(node.value, str):
            return has_content(node.value)
        return general(node, environment)

    return check


def _unless_bundle_is(*types_that_matter: str) -> NativeRule:
    """A rule that holds for a bundle of any other type."""

    def build(_: TypeView, general: Check) -> Check:
        def check(node: Node, environment: Environment) -> bool:
            kind = node.value.get("type") if isinstance(node.value, dict) else None
            if isinstance(kind, str) and kind not in types_that_matter:
                return True
            return general(node, environment)

        return check

    return build


def _if_bundle_is(types_that_may: tuple[str, ...], *names: str) -> NativeRule:
    """A rule that holds for a bundle of one of these types, or one without these members."""

    def build(types: TypeView, general: Check) -> Check:
        without = _holds_without(*names)(types, general) if names else general

        def check(node: Node, environment: Environment) -> bool:
            if isinstance(node.value, dict) and node.value.get("type") in types_that_may:
                return True
            return without(node, environment)

        return check

    return build


def _bdl_2(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        if isinstance(node.value, dict) and "_entry" not in node.value:
            entries = node.value.get("entry", [])
            if isinstance(entries, list) and all(
                isinstance(entry, dict) and _absent(entry, "search") for entry in entries
            ):
                return True
        return general(node, environment)

    return check


def _entries_have(member: str, types_that_need: frozenset[str]) -> NativeRule:
    """Every entry has the member in bundles of these types, none has it in others."""

    def build(_: TypeView, general: Check) -> Check:
        def check(node: Node, environment: Environment) -> bool:
            bundle = environment.resource.value
            if isinstance(node.value, dict) and isinstance(bundle, dict):
                kind, entries = bundle.get("type"), node.value.get("entry", [])
                if (
                    isinstance(kind, str)
                    and environment.resource.type_name == "Bundle"
                    and isinstance(entries, list)
                    and all(isinstance(entry, dict) for entry in entries)
                    and "_entry" not in node.value
                ):
                    has = _is_given if kind in types_that_need else _absent
                    if all(has(entry, member) for entry in entries):
                        return True
            return general(node, environment)

        return check

    return build


def _version_key(entry: Any) -> str | None:
    """What bdl-7 compares: fullUrl and versionId; "" without fullUrl, None where it isn't plain."""
    if not isinstance(entry, dict) or "_fullUrl" in entry:
        return None
    url = entry.get("fullUrl")
    if url is None:
        return ""
    resource = entry.get("resource", {})
    meta = resource.get("meta", {}) if isinstance(resource, dict) else None
    version = meta.get("versionId", "") if isinstance(meta, dict) else None
    return url + version if url and isinstance(url, str) and isinstance(version, str) else None


def _bdl_7(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        if isinstance(node.value, dict) and "_entry" not in node.value:
            entries = node.value.get("entry", [])
            keys = (
                [_version_key(entry) for entry in entries] if isinstance(entries, list) else [None]
            )
            given = [key for key in keys if key]
            if None not in keys and len(given) == len(set(given)):
                return True
        return general(node, environment)

    return check


def _bdl_8(_: TypeView, general: Check) -> Check:
    def check(node: Node, environment: Environment) -> bool:
        if isinstance(node.value, dict):
            url = node.value.get("fullUrl")
            if isinstance(url, str):
                return "/_history/" not in url
            if _absent(node.value, "fullUrl"):
                return True
        return general(node, environment)

    return check


RULES: Mapping[str, NativeRule] = {
    "ele-1": _ele_1,
    "ext-1": _ext_1,
    "dom-2": _holds_without("contained"),
    "dom-3": _dom_3,
    "dom-4": _holds_without("contained"),
    "dom-5": _holds_without("contained"),
    "dom-6": _dom_6,
    "ref-1": _ref_1,
    "per-1": _per_1,
    "qty-3": _qty_3,
    "txt-1": _txt_1,
    "txt-2": _txt_2,
    "obs-3": _holds_with_any("low", "high", "text"),
    "obs-6": _holds_without("dataAbsentReason"),
    "obs-7": _holds_without("component"),
    "bdl-1": _if_bundle_is(("searchset", "history"), "total"),
    "bdl-2": _bdl_2,
    "bdl-3": _entries_have("request", frozenset({"batch", "transaction", "history"})),
    "bdl-4": _entries_have(
        "response", frozenset({"batch-response", "transaction-response", "history"})
    ),
    "bdl-5": _holds_with_any("resource", "request", "response"),
    "bdl-7": _bdl_7,
    "bdl-8": _bdl_8,
    "bdl-9": _unless_bundle_is("document"),
    "bdl-10": _unless_bundle_is("document"),
    "bdl-11": _unless_bundle_is("document"),
    "bdl-12": _unless_bundle_is("message"),
}
