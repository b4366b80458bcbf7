"""Rules on a resource as a whole: narrative at hand, contained resources, references inside.

Belongs here: what a resource and the resources that it contains must agree on (dom-6, ref-1, ids of
contained resources). Bundles have rules of their own in `bundle_rules.py`.
"""

from functools import lru_cache

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Findings, Issue, clipped
from hc_assets.fhir.r4.walker import Visit


@lru_cache(maxsize=4096)
def narrative_missing(path: str) -> Issue:
    """The warning that a domain resource has no narrative (dom-6).

    Args:
        path: where the resource stands.
    """
    return Issue(
        "warning", "invariant", path, "dom-6", "no text.div, expected narrative for human readers"
    )


def is_contained(resource: Visit) -> bool:
    """Whether a resource is in `contained` of another."""
    return resource.path.endswith("]") and resource.path.rpartition(".")[2].startswith("contained[")


def _root_of(resource: Visit) -> Visit:
    if is_contained(resource) and resource.parent is not None:
        return resource.parent
    return resource


def _contained_of(visits: list[Visit]) -> dict[int, dict[str, Visit]]:
    """Contained resources by id, for each container by its `id()`."""
    found: dict[int, dict[str, Visit]] = {}
    for visit in visits:
        if visit.ref is None and is_contained(visit) and visit.parent is not None:
            name = visit.value.get("id")
            if isinstance(name, str):
                found.setdefault(id(visit.parent), {}).setdefault(name, visit)
    return found


def _check_contained(visits: list[Visit], findings: Findings) -> None:
    """Contained resources have ids, each its own."""
    seen: set[tuple[int, str]] = set()
    for visit in visits:
        if visit.ref is not None or not is_contained(visit):
            continue
        name = visit.value.get("id")
        if name is None:
            text = "a contained resource has no id, so that nothing can refer to it"
            findings.error("required", f"{visit.path}.id", "contained-id", text)
        elif isinstance(name, str):
            key = id(visit.parent), name
            if key in seen:
                text = "another contained resource has the same id"
                findings.error("duplicate", f"{visit.path}.id", "contained-id", text)
            seen.add(key)


def _check_fragment(
    visit: Visit, contained: dict[int, dict[str, Visit]], findings: Findings
) -> None:
    """`#id` names a contained resource of a type that the element may refer to (ref-1)."""
    text = visit.value.get("reference")
    if not isinstance(text, str) or not text.startswith("#"):
        return
    root = _root_of(visit.resource)
    path = f"{visit.path}.reference"
    if text == "#":
        target: Visit | None = root
        if root is visit.resource:
            findings.error("not-found", path, "ref-1", "found # outside of a contained resource")
            return
    else:
        target = contained.get(id(root), {}).get(text[1:])
    if target is None:
        found = f"found {clipped(text)!r}, expected the id of a contained resource"
        findings.error("not-found", path, "ref-1", found)
        return
    stated = visit.value.get("type")
    if isinstance(stated, str) and stated in r4().resource_names and stated != target.type_name:
        found = f"found type {stated} beside a reference to {target.type_name}"
        findings.error("structure", f"{visit.path}.type", "reference-type", found)
    targets = visit.ref.targets if visit.ref is not None else ()
    if targets and target.type_name not in targets:
        found = f"found a reference to {target.type_name}, expected one to {', '.join(targets)}"
        findings.error("structure", path, "reference-target", found)


def _check_element_ids(visits: list[Visit], findings: Findings) -> None:
    """Ids of elements have no spaces, and each is the only one in its resource (R4, element)."""
    seen: set[tuple[int, str]] = set()
    for visit in visits:
        name = visit.value.get("id")
        if visit.ref is None or not isinstance(name, str) or not name:
            continue
        if any(character in name for character in " \t\r\n"):
            found = "found white space, expected an id without"
            findings.error("value", f"{visit.path}.id", "element-id", found)
        if visit.type_name == "ElementDefinition":
            continue  # a differential and its snapshot give the same element the same id
        key = id(visit.resource), name
        if key in seen:
            found = "another element of the resource has the same id"
            findings.error("duplicate", f"{visit.path}.id", "element-id", found)
        seen.add(key)


def _check_security_labels(visit: Visit, findings: Findings) -> None:
    """Security labels are a set: none comes twice (R4, resource: meta)."""
    labels = visit.value.get("security")
    seen: set[tuple[str, str]] = set()
    for index, label in enumerate(labels if isinstance(labels, list) else ()):
        if not isinstance(label, dict):
            continue
        system, code = label.get("system"), label.get("code")
        if not isinstance(system, str) or not isinstance(code, str):
            continue
        if (system, code) in seen:
            path = f"{visit.path}.security[{index}]"
            findings.error("duplicate", path, "security-label", "an earlier label is the same")
        seen.add((system, code))


def check_resources(visits: list[Visit], findings: Findings) -> None:
    """Check every resource of a document as a whole.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    contained = _contained_of(visits)
    _check_contained(visits, findings)
    _check_element_ids(visits, findings)
    for visit in visits:
        if visit.type_name == "Meta":
            _check_security_labels(visit, findings)
        elif visit.type_name == "Reference":
            _check_fragment(visit, contained, findings)
        elif (
            visit.ref is None
            and "DomainResource" in r4().bases(visit.type_name)
            and not is_contained(visit)
            and not (isinstance(visit.value.get("text"), dict) and "div" in visit.value["text"])
        ):
            findings.take(narrative_missing(visit.path))
