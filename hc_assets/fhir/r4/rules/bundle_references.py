"""What references inside a bundle resolve to: by fullUrl, as R4 says in "resolving references".

Belongs here: references from one entry to another, and those that a document or a message must be
able to follow. Identity of entries belongs to `bundle_rules.py`.
"""

from collections.abc import Iterator

from hc_assets.fhir.r4.issues import Findings, Severity, clipped
from hc_assets.fhir.r4.references import ParsedReference, parse_reference
from hc_assets.fhir.r4.rules.bundle_rules import Entry, text_of
from hc_assets.fhir.r4.walker import Visit, each

# Where a URN can name nothing but another entry.
_CLOSED_BUNDLES = frozenset({"transaction", "document", "message"})
# What a document must hold beside its Composition (R4, documents), and a message beside its header.
_MUST_RESOLVE = {
    "document": frozenset(
        {
            "Composition.subject",
            "Composition.encounter",
            "Composition.author",
            "Composition.custodian",
            "Composition.attester.party",
            "Composition.event.detail",
            "Composition.section.author",
            "Composition.section.focus",
            "Composition.section.entry",
        }
    ),
    "message": frozenset({"MessageHeader.focus"}),
}

_NO_ENTRY = ("bundle-reference", "the URN is the fullUrl of no entry")


class _Index:
    """Entries by fullUrl, and by type and id.

    In a document a relative reference is resolved by fullUrl alone, which has to be a server's (R4,
    bundle: resolving references). Elsewhere, type and id may name a resource that is not in the
    bundle, so that only what is found by them is looked at.
    """

    def __init__(self, entries: list[Entry], is_document: bool) -> None:
        self._is_document = is_document
        self.by_url: dict[str, list[Entry]] = {}
        self.by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            if entry.full_url:
                self.by_url.setdefault(entry.full_url, []).append(entry)
            if entry.resource is not None and entry.resource_id:
                key = entry.resource.type_name, entry.resource_id
                self.by_name.setdefault(key, []).append(entry)

    def find(self, parsed: ParsedReference, text: str, source: Entry) -> list[Entry]:
        """The entries that a reference from an entry names."""
        if parsed.kind == "relative":
            base = parse_reference(source.full_url) if source.full_url else None
            if base is not None and base.kind == "absolute":
                if not source.has_matching_url:
                    return []  # from a fullUrl that isn't the resource's own, no base follows
                suffix = f"{base.resource_type}/{base.resource_id}"
                head = source.full_url.partition(suffix)[0]
                found = self.by_url.get(f"{head}{parsed.resource_type}/{parsed.resource_id}", [])
            elif self._is_document:
                return []
            else:
                found = self.by_name.get((parsed.resource_type, parsed.resource_id), [])
        else:
            found = self.by_url.get(text.partition("/_history/")[0], [])
        if parsed.version:
            found = [entry for entry in found if entry.version == parsed.version]
        return found


def _entry_resource(visit: Visit) -> Visit:
    """The resource of an entry around an object: the entry's own and not a contained one."""
    resource = visit.resource
    while resource.parent is not None and resource.parent.type_name != "Bundle.entry":
        resource = resource.parent.resource
    return resource


def _references(visits: list[Visit]) -> Iterator[tuple[Visit, Visit, str]]:
    """Every literal reference with the resource of the entry that it is in."""
    for visit in visits:
        if visit.type_name == "Reference":
            text = visit.value.get("reference")
            if isinstance(text, str) and text and not text.startswith("#"):
                yield visit, _entry_resource(visit), text


def _named_by_url(
    visits: list[Visit], entries: list[Entry], sources: dict[int, Entry]
) -> Iterator[tuple[Entry, Entry]]:
    """Entries that others name by a URL: a fullUrl, or the canonical URL of a definition."""
    by_url: dict[str, Entry] = {entry.full_url: entry for entry in entries if entry.full_url}
    for entry in entries:
        url = "" if entry.resource is None else text_of(entry.resource.value, "url")
        by_url.setdefault(url, entry)
    by_url.pop("", None)
    for visit in visits:
        source = sources.get(id(_entry_resource(visit)))
        for value in visit.value.values() if source is not None else ():
            for one, _ in each(value, ""):
                target = by_url.get(one.partition("|")[0]) if isinstance(one, str) else None
                if source is not None and target is not None and target is not source:
                    yield source, target


def _check_target(visit: Visit, found: list[Entry], findings: Findings) -> None:
    """The type of the resource found against what the element may refer to."""
    targets = visit.ref.targets if visit.ref is not None else ()
    for entry in found:
        name = "" if entry.resource is None else entry.resource.type_name
        if targets and name and name not in targets:
            text = f"found a reference to {name}, expected one to {', '.join(targets)}"
            path = f"{visit.path}.reference"
            findings.error("structure", path, "reference-target", text)
            return


def _definition_path(visit: Visit) -> str:
    if visit.parent is None or visit.element is None:
        return visit.type_name
    return f"{visit.parent.type_name}.{visit.element.name}"


def _check_reached(
    entries: list[Entry], linked: list[tuple[Entry, Entry]], findings: Findings
) -> None:
    """A document holds what its Composition leads to, and what leads to that (R4, documents).

    The standard lets a Provenance, and a Binary with a style sheet, in as well.
    """
    neighbours: dict[int, list[Entry]] = {}
    for source, target in linked:
        neighbours.setdefault(id(source.visit), []).append(target)
        neighbours.setdefault(id(target.visit), []).append(source)
    reached, waiting = {id(entries[0].visit)}, [entries[0]]
    while waiting:
        for entry in neighbours.get(id(waiting.pop().visit), []):
            if id(entry.visit) not in reached:
                reached.add(id(entry.visit))
                waiting.append(entry)
    for entry in entries:
        is_binary = entry.resource is not None and entry.resource.type_name == "Binary"
        if id(entry.visit) not in reached and not is_binary:
            message = "nothing leads from the Composition to this entry or back"
            findings.error("invalid", entry.path, "document-entry", message)


def check_bundle_references(
    bundle: Visit, entries: list[Entry], visits: list[Visit], findings: Findings
) -> None:
    """Check what the references in a bundle resolve to.

    Args:
        bundle: the bundle.
        entries: its entries.
        visits: what the walk met inside this bundle, or in the whole document.
        findings: takes the issues.
    """
    bundle_type = text_of(bundle.value, "type")
    index = _Index(entries, bundle_type == "document")
    linked: list[tuple[Entry, Entry]] = []
    sources = {id(entry.resource): entry for entry in entries if entry.resource is not None}
    must_resolve = _MUST_RESOLVE.get(bundle_type, frozenset())
    for visit, resource, text in _references(visits):
        source = sources.get(id(resource))
        parsed = parse_reference(text)
        path = f"{visit.path}.reference"
        if source is not None and parsed is None and text.startswith("urn:"):
            is_closed = bundle_type in _CLOSED_BUNDLES
            findings.add("error" if is_closed else "warning", "not-found", path, *_NO_ENTRY)
        if source is None or parsed is None or parsed.kind == "conditional":
            continue
        if parsed.kind == "relative" and not source.full_url:
            if not bundle_type.endswith("-response"):
                is_mild = bundle_type in ("transaction", "batch", "searchset")
                severity: Severity = "warning" if is_mild else "error"
                message = "a relative reference in an entry without fullUrl can't be resolved"
                findings.add(severity, "not-found", path, "bundle-reference", message)
            continue
        found = index.find(parsed, text, source)
        is_first = source is entries[0] and visit.resource is resource
        if is_first and _definition_path(visit) in must_resolve:
            if len(found) != 1:
                message = "names no entry" if not found else f"names {len(found)} entries"
                message = f"{clipped(text)!r} {message} of the {bundle_type}, expected one"
                findings.error("not-found", path, "bundle-reference", message)
        elif not found and parsed.kind == "urn" and bundle_type in _CLOSED_BUNDLES:
            findings.error("not-found", path, *_NO_ENTRY)
        elif not found and parsed.kind == "urn" and bundle_type == "collection":
            findings.add("warning", "not-found", path, *_NO_ENTRY)
        linked.extend((source, entry) for entry in found)
        _check_target(visit, found, findings)
    if bundle_type == "document" and entries:
        linked.extend(_named_by_url(visits, entries, sources))
        _check_reached(entries, linked, findings)
