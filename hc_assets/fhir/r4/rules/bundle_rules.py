"""Rules on bundles: identity of entries, searches, and what R4's bdl-7 means entry by entry.

Belongs here: one bundle and its entries, without following references. What references in a bundle
resolve to belongs to `bundle_references.py`.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Findings, Severity, clipped
from hc_assets.fhir.r4.primitives import is_absolute
from hc_assets.fhir.r4.references import names_another, parse_reference
from hc_assets.fhir.r4.walker import Visit

# Bundles whose entries are identified by what is asked or answered, not by fullUrl.
FULL_URL_OPTIONAL = frozenset({"transaction", "batch", "transaction-response", "batch-response"})
_ONLY_ONCE = frozenset({"self", "first", "previous", "prev", "next", "last"})
_SEARCHED_TYPE = re.compile(r"(?:\A|/)([A-Z][A-Za-z]+)(?:/_search)?\?")


class Entry(NamedTuple):
    """An entry of a bundle, with what identifies it.

    Attributes:
        visit: the entry itself.
        full_url: its fullUrl; "" where it has none.
        resource: its resource, or None.
        resource_id: the resource's id; "" where it has none.
        version: the resource's meta.versionId; "" where it has none.
    """

    visit: Visit
    full_url: str
    resource: Visit | None
    resource_id: str
    version: str

    @property
    def has_matching_url(self) -> bool:
        """Whether the fullUrl, where it is that of a server, ends in the resource's type and id."""
        parsed = parse_reference(self.full_url)
        if parsed is None or parsed.kind != "absolute" or self.resource is None:
            return True
        named = parsed.resource_type, parsed.resource_id
        return named == (self.resource.type_name, self.resource_id)

    @property
    def path(self) -> str:
        """Where the entry stands."""
        return self.visit.path


def text_of(value: dict[str, Any], *names: str) -> str:
    """A string some members down; "" where it is missing or no string."""
    found: Any = value
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def entries_of(visits: list[Visit]) -> dict[int, list[Entry]]:
    """The entries of every bundle of a document.

    Args:
        visits: what the walk met.

    Returns:
        Entries in order, by `id()` of the bundle's visit.
    """
    resources = {
        id(visit.parent): visit
        for visit in visits
        if visit.ref is None and visit.parent is not None and visit.path.endswith(".resource")
    }
    found: dict[int, list[Entry]] = {}
    for visit in visits:
        if visit.type_name == "Bundle.entry" and visit.parent is not None:
            resource = resources.get(id(visit))
            value = {} if resource is None else resource.value
            entry = Entry(
                visit,
                text_of(visit.value, "fullUrl"),
                resource,
                text_of(value, "id"),
                text_of(value, "meta", "versionId"),
            )
            found.setdefault(id(visit.parent), []).append(entry)
    return found


def _check_full_url(entry: Entry, bundle_type: str, findings: Findings) -> None:
    path = f"{entry.path}.fullUrl"
    if not entry.full_url:
        # What a search says about itself is no resource that anybody could ask for again.
        needs_none = entry.resource is None or entry.resource.type_name == "OperationOutcome"
        is_optional = needs_none or bundle_type in FULL_URL_OPTIONAL
        if "fullUrl" not in entry.visit.value and not is_optional:
            text = f"an entry of a {bundle_type} bundle has no fullUrl"
            findings.error("required", path, "bundle-full-url", text)
        return
    if not is_absolute(entry.full_url):
        text = f"found {clipped(entry.full_url)!r}, expected an absolute URL or a URN"
        findings.error("invalid", path, "bundle-full-url", text)
        return
    if parse_reference(entry.full_url) is None:
        findings.error("invalid", path, "bundle-full-url", "found a URN that is no UUID or OID")
    elif entry.resource is not None and not entry.has_matching_url:
        text = f"the fullUrl of a server doesn't end in {entry.resource.type_name} and its id"
        findings.error("invalid", path, "bundle-full-url-id", text)


def _is_definition_at_its_url(entry: Entry) -> bool:
    return entry.resource is not None and entry.resource.value.get("url") == entry.full_url


def _check_duplicates(bundle_type: str, entries: list[Entry], findings: Findings) -> None:
    """bdl-7, at each entry that repeats an earlier one."""
    if bundle_type == "history":
        return
    is_response = bundle_type.endswith("-response")
    seen: set[tuple[str, ...]] = set()
    for entry in entries:
        if entry.full_url:
            key: tuple[str, ...] = (entry.full_url, entry.version)
        elif is_response:
            continue  # two requests may be answered by the same resource
        elif entry.resource is not None and entry.resource_id:
            key = (entry.resource.type_name, entry.resource_id, entry.version)
        else:
            continue
        if key in seen:
            # HL7 publishes collections of definitions that hold one of them twice.
            is_mild = bundle_type == "collection" and _is_definition_at_its_url(entry)
            severity: Severity = "warning" if is_mild else "error"
            text = "an earlier entry has the same identity and version"
            findings.add(severity, "duplicate", entry.path, "bdl-7", text)
        seen.add(key)


def _check_updates(entries: list[Entry], findings: Findings) -> None:
    """An update carries the resource that its url names (R4, http, update)."""
    for entry in entries:
        url = text_of(entry.visit.value, "request", "url")
        if entry.resource is None or text_of(entry.visit.value, "request", "method") != "PUT":
            continue
        if names_another(url, entry.resource.type_name, entry.resource_id or None):
            text = "the url of the PUT names another resource than the entry carries"
            findings.error("invalid", f"{entry.path}.request.url", "bundle-request", text)


def _check_requests(bundle_type: str, entries: list[Entry], findings: Findings) -> None:
    """A transaction changes each resource once (R4, http, transaction processing rules)."""
    if bundle_type != "transaction":
        return
    changed: Counter[str] = Counter()
    for entry in entries:
        url = text_of(entry.visit.value, "request", "url")
        if text_of(entry.visit.value, "request", "method") in ("PUT", "DELETE", "PATCH") and url:
            changed[url] += 1
            if changed[url] == 2:
                text = "an earlier entry of the transaction changes the same resource"
                findings.error("duplicate", f"{entry.path}.request.url", "bundle-request", text)


def searched_type(bundle: dict[str, Any]) -> str:
    """The resource type that a search set was asked for, by its self link; "" for unknown."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "self":
            match = _SEARCHED_TYPE.search(text_of(link, "url"))
            if match is not None and match[1] in r4().resource_names:
                return match[1]
    return ""


def _check_search(bundle: Visit, entries: list[Entry], findings: Findings) -> None:
    """Entries of a search set: matches are of the type asked for and have ids."""
    wanted = searched_type(bundle.value)
    has_modes = any(text_of(entry.visit.value, "search", "mode") for entry in entries)
    for entry in entries:
        if entry.resource is None:
            text = "an entry of a search set has no resource"
            findings.error("required", f"{entry.path}.resource", "bundle-search", text)
            continue
        found, mode = entry.resource.type_name, text_of(entry.visit.value, "search", "mode")
        if mode == "outcome" and found != "OperationOutcome":
            text = f"found {found} as outcome of a search, expected OperationOutcome"
            findings.error("invalid", entry.resource.path, "bundle-search", text)
        if mode == "match" and wanted and found != wanted:
            text = f"found {found} as a match of a search for {wanted}"
            findings.error("invalid", entry.resource.path, "bundle-search", text)
        if mode == "outcome" or found == "OperationOutcome":
            continue
        if not entry.resource_id and "id" not in entry.resource.value:
            text = "a resource found by a search has no id"
            findings.error("required", f"{entry.resource.path}.id", "bundle-search", text)
        if has_modes and not mode:
            text = "entries of a search set should say why they are in it"
            findings.add("warning", "incomplete", f"{entry.path}.search", "bundle-search", text)


def _check_links(bundle: Visit, findings: Findings) -> None:
    """A page has one place of its own in a search, and one before, behind, and at each end."""
    links = bundle.value.get("link")
    seen: set[str] = set()
    for index, link in enumerate(links if isinstance(links, list) else ()):
        relation = text_of(link, "relation") if isinstance(link, dict) else ""
        if relation in seen:
            path = f"{bundle.path}.link[{index}]"
            text = f"an earlier link has the relation {relation}, which only one may have"
            findings.error("duplicate", path, "bundle-link", text)
        if relation in _ONLY_ONCE:
            seen.add(relation)


def check_bundle(bundle: Visit, entries: list[Entry], findings: Findings) -> None:
    """Check a bundle and what identifies its entries.

    Args:
        bundle: the bundle.
        entries: its entries.
        findings: takes the issues.
    """
    bundle_type = text_of(bundle.value, "type")
    _check_links(bundle, findings)
    for entry in entries:
        _check_full_url(entry, bundle_type, findings)
    _check_duplicates(bundle_type, entries, findings)
    _check_updates(entries, findings)
    _check_requests(bundle_type, entries, findings)
    if bundle_type == "searchset":
        _check_search(bundle, entries, findings)
    if bundle_type in ("document", "message") and not entries:
        text = f"a {bundle_type} has no entry, expected at least the first"
        findings.error("required", f"{bundle.path}.entry", "bundle-first-entry", text)
