"""The resource under validation: its elements' values with places, its references, its findings.

Belongs here: what checks ask of the instance and where they put what they find. The checks
themselves are made in `compiling.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from hc_assets.fhir.fhirpath import Environment, Item, Node, resource_node
from hc_assets.fhir.profiles.elements import Member, elements_of
from hc_assets.fhir.r4.issues import Findings, IssueCode, Severity
from hc_assets.fhir.r4.references import parse_reference

Placed = tuple[Node, str]
_RESOURCES = frozenset({"Resource", "DomainResource"})
# Profiles of what references lead to are followed this far inside one bundle.
MAX_CHAIN = 8


def values_of(node: Node, path: str, name: str) -> Sequence[Placed]:
    """The values of an element, each with its place.

    Args:
        node: the object that has the element, or a primitive.
        path: where it stands.
        name: the element's name, without `[x]`.
    """
    value, type_name = node.value, node.type_name
    if not isinstance(value, dict):
        if node.extra is None:
            return ()
        value, type_name = node.extra, "Element"
    core = elements_of(type_name).get(name)
    if core is None:
        return ()
    found: list[Placed] = []
    members: Iterable[Member] = core.members
    if len(core.members) > 1:
        # A value may be of 50 types, and an object has few members.
        by_name = core.by_name
        members = dict.fromkeys(by_name[member] for member in value if member in by_name)
    for member, code, sibling in members:
        content = value.get(member)
        extra = value.get(sibling) if sibling else None
        if content is not None or extra is not None:
            _place(content, extra, code, f"{path}.{member}", found)
    return found


def _place(content: Any, extra: Any, code: str, path: str, found: list[Placed]) -> None:
    if not isinstance(content, list) and not isinstance(extra, list):
        _place_one(content, extra, code, path, found)
        return
    contents = content if isinstance(content, list) else []
    extras = extra if isinstance(extra, list) else []
    for index in range(max(len(contents), len(extras))):
        one = contents[index] if index < len(contents) else None
        sibling = extras[index] if index < len(extras) else None
        _place_one(one, sibling, code, f"{path}[{index}]", found)


def _place_one(content: Any, extra: Any, code: str, path: str, found: list[Placed]) -> None:
    sibling = extra if isinstance(extra, dict) else None
    if isinstance(content, dict) and code in _RESOURCES:
        found.append((resource_node(content), path))
    elif content is not None or sibling:
        found.append((Node(content, code, sibling), path))


class Bundled:
    """The resources of a bundle, by the references that lead to them."""

    def __init__(self, root: Any) -> None:
        """Look at a document's root; where it is no Bundle nothing is found."""
        self._root = root

    @cached_property
    def _index(self) -> dict[str, Node | None]:
        """None stands for a reference that several entries answer to."""
        found: dict[str, Node | None] = {}
        entries = self._root.get("entry") if isinstance(self._root, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                continue
            node = resource_node(resource)
            for name in self._names(entry.get("fullUrl"), resource):
                found[name] = None if name in found else node
        return found

    def _names(self, full_url: Any, resource: dict[str, Any]) -> Iterator[str]:
        named = f"{resource.get('resourceType')}/{resource.get('id')}"
        yield named
        if isinstance(full_url, str) and full_url != named:
            yield full_url

    def find(self, reference: str) -> Node | None:
        """The resource that a reference other than `#…` leads to; None where it isn't at hand."""
        return self._index.get(reference.partition("/_history/")[0])


class Run:
    """What is found in one document, each thing once.

    Attributes:
        findings: the issues.
        bundled: the resources that references can lead to.
        conforms: returns whether a node conforms to the profile of a URL; None for unknown.
        verdicts: what `conforms` has found, by the object's `id()` and the URL; True while it is
            being found, so that circles of references end.
        chain: how many profiles of referenced resources are being followed.
        applied: extensions, by the object's `id()`, and the profiles that they were held against.
    """

    def __init__(
        self,
        bundled: Bundled,
        conforms: "Callable[[Node, str, Setting], bool | None]",
        member_of: Callable[[Item, str], bool | None],
    ) -> None:
        """Begin without findings."""
        self.findings = Findings()
        self.bundled = bundled
        self.conforms = conforms
        self.member_of = member_of
        self.verdicts: dict[tuple[int, str], bool | None] = {}
        self.chain = 0
        self.applied: set[tuple[int, str]] = set()
        self._seen: set[tuple[str, str, str]] = set()
        self._noted: set[tuple[str, str]] = set()

    def trial(self) -> "Run":
        """A run of its own that shares what is known of the document."""
        run = Run(self.bundled, self.conforms, self.member_of)
        run.verdicts = self.verdicts
        run.chain = self.chain + 1
        return run

    @property
    def has_errors(self) -> bool:
        """Whether some issue is an error."""
        return any(issue.severity == "error" for issue in self.findings.issues)

    def add(
        self,
        severity: Severity,
        code: IssueCode,
        path: str,
        rule: str,
        text: str,
        *,
        source: str,
    ) -> None:
        """Take an issue in, unless a slice or a second way to the profile repeats it.

        Raises:
            TooManyIssuesError: see `Findings`.
        """
        key = (rule, path, text)
        if key not in self._seen:
            self._seen.add(key)
            self.findings.add(severity, code, path, rule, f"{text} ({source})")

    def note(
        self,
        severity: Severity,
        path: str,
        rule: str,
        subject: str,
        text: str,
        *,
        source: str,
    ) -> None:
        """Report that something can't be decided, once for each subject.

        Raises:
            TooManyIssuesError: see `Findings`.
        """
        if (rule, subject) not in self._noted:
            self._noted.add((rule, subject))
            self.add(severity, "not-supported", path, rule, text, source=source)


class Missed(NamedTuple):
    """A referenced resource that isn't at hand; its type where the reference names it, else ""."""

    type_name: str


@dataclass(slots=True)
class Setting:
    """What a check has around it: the run, and the resource that its element belongs to.

    Attributes:
        run: takes the findings.
        environment: the resource and its container, for FHIRPath.
        misses: references that could not be followed so far.
    """

    run: Run
    environment: Environment
    misses: int = 0

    def within(self, resource: Node, is_contained: bool) -> "Setting":
        """The setting of a resource inside this one."""
        root = self.environment.root_resource if is_contained else resource
        return setting_of(self.run, resource, root)

    def on_trial(self) -> "Setting":
        """The same setting with findings of its own."""
        run = self.run.trial()
        return setting_of(run, self.environment.resource, self.environment.root_resource)

    def follow(self, reference: Node) -> Node | Missed:
        """What a Reference (or a uri, url, canonical) leads to."""
        value = reference.value
        text = value.get("reference") if isinstance(value, dict) else value
        found = self.environment.resolve(text) if isinstance(text, str) and text else None
        if found is not None:
            return found
        named = value.get("type") if isinstance(value, dict) else None
        parsed = parse_reference(text) if isinstance(text, str) and text else None
        if parsed is not None and parsed.resource_type:
            return Missed(parsed.resource_type)
        return Missed(named if isinstance(named, str) else "")


def setting_of(run: Run, resource: Node, root: Node) -> Setting:
    """Make the setting of a resource.

    Args:
        run: takes the findings.
        resource: the resource.
        root: its container; itself where it isn't contained.
    """
    setting: Setting

    def find(reference: str) -> Node | None:
        found = run.bundled.find(reference)
        if found is None:
            setting.misses += 1
        return found

    def conforms(node: Node, url: str) -> bool | None:
        return run.conforms(node, url, setting)

    environment = Environment(
        resource, root, find=find, member_of=run.member_of, conforms_to=conforms
    )
    setting = Setting(run, environment)
    return setting
