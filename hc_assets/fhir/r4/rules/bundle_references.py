"""What references inside a bundle resolve to: by fullUrl, as R4 says in "resolving references".

Belongs here: references from one entry to another, and those that a document or a message must be
able to follow. Identity of entries belongs to `bundle_rules.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class _Target:
    """The entries that references of one text may name: none, one, or several by mistake.

    Attributes:
        entries: in the order of the Bundle.
        types: of their resources.
        versions: the same for each meta.versionId.
    """

    entries: list[Entry] = field(default_factory=list)
    types: dict[str, None] = field(default_factory=dict)
    versions: dict[str, "_Target"] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Take in an entry."""
        self._take(entry)
        self.versions.setdefault(entry.version, _Target())._take(entry)

    def _take(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.resource is not None:
            self.types[entry.resource.type_name] = None


_NOTHING = _Target()


class _Index:
    """Entries by fullUrl, and by type and id.

    In a document a relative reference is resolved by fullUrl alone, which has to be a server's (R4,
    bundle: resolving references). Elsewhere, type and id may name a resource that is not in the
    bundle, so that only what is found by them is looked at.
    """

    def __init__(self, entries: list[Entry], is_document: bool) -> None:
        self._is_document = is_document
        self.by_url: dict[str, _Target] = {}
        self.by_name: dict[tuple[str, str], _Target] = {}
        for entry in entries:
            if entry.full_url:
                self.by_url.setdefault(entry.full_url, _Target()).add(entry)
            if entry.resource is not None and entry.resource_id:
                key = entry.resource.type_name, entry.resource_id
                self.by_name.setdefault(key, _Target()).add(entry)

    def find(self, parsed: ParsedReference, text: str, source: Entry) -> _Target:
        """The entries that a reference from an entry names."""
        found = self._find(parsed, text, source)
        return found.versions.get(parsed.version, _NOTHING) if parsed.version else found

    def _find(self, parsed: ParsedReference, text: str, source: Entry) -> _Target:
        if parsed.kind != "relative":
            return self.by_url.get(text.partition("/_history/")[0], _NOTHING)
        base = parse_reference(source.full_url) if source.full_url else None
        if base is not None and base.kind == "absolute":
            if not source.has_matching_url:
                return _NOTHING  # from a fullUrl that isn't the resource's own, no base follows
            suffix = f"{base.resource_type}/{base.resource_id}"
            head = source.full_url.partition(suffix)[0]
            url = f"{head}{parsed.resource_type}/{parsed.resource_id}"
            return self.by_url.get(url, _NOTHING)
        if self._is_document:
            return _NOTHING
        return self.by_name.get((parsed.resource_type, parsed.resource_id), _NOTHING)


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


def _check_target(visit: Visit, found: _Target, findings: Findings) -> None:
    """The type of the resource found against what the element may refer to."""
    targets = visit.ref.targets if visit.ref is not None else ()
    for name in found.types:
        if targets and name not in targets:
            text = f"found a reference to {name}, expected one to {', '.join(targets)}"
            path = f"{visit.path}.reference"
            findings.error("structure", path, "reference-target", text)
            return


def _definition_path(visit: Visit) -> str:
    if visit.parent is None or visit.element is None:
        return visit.type_name
    return f"{visit.parent.type_name}.{visit.element.name}"


def _join(neighbours: dict[int, list[int]], one: int, other: int) -> None:
    neighbours.setdefault(one, []).append(other)
    neighbours.setdefault(other, []).append(one)


def _check_reached(
    entries: list[Entry], linked: list[tuple[Entry, list[Entry]]], findings: Findings
) -> None:
    """A document holds what its Composition leads to, and what leads to that (R4, documents).

    The standard lets a Provenance, and a Binary with a style sheet, in as well.
    """
    # By `id()`, entries and lists of entries alike: what many name together is gone through once.
    neighbours: dict[int, list[int]] = {}
    for source, targets in linked:
        _join(neighbours, id(source.visit), id(targets))
    for targets in {id(targets): targets for _, targets in linked}.values():
        for target in targets:
            _join(neighbours, id(target.visit), id(targets))
    waiting = [id(entries[0].visit)]
    reached = set(waiting)
    while waiting:
        fresh = set(neighbours.get(waiting.pop(), ())) - reached
        reached |= fresh
        waiting.extend(fresh)
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
    linked: list[tuple[Entry, list[Entry]]] = []
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
            count = len(found.entries)
            if count != 1:
                message = f"names {count or 'no'} {'entries' if count else 'entry'}"
                message = f"{clipped(text)!r} {message} of the {bundle_type}, expected one"
                findings.error("not-found", path, "bundle-reference", message)
        elif not found.entries and parsed.kind == "urn" and bundle_type in _CLOSED_BUNDLES:
            findings.error("not-found", path, *_NO_ENTRY)
        elif not found.entries and parsed.kind == "urn" and bundle_type == "collection":
            findings.add("warning", "not-found", path, *_NO_ENTRY)
        if found.entries:
            linked.append((source, found.entries))
        _check_target(visit, found, findings)
    if bundle_type == "document" and entries:
        linked.extend((one, [other]) for one, other in _named_by_url(visits, entries, sources))
        _check_reached(entries, linked, findings)
