"""How the slices of an element are distinguished: discriminators as questions to a value.

Belongs here: discriminator paths, and what a slice demands at their end. Counting and ordering
slices belongs to `rules.py`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from hc_assets.fhir.fhirpath import Node
from hc_assets.fhir.profiles.elements import is_a, type_view
from hc_assets.fhir.profiles.instance import Missed, Setting
from hc_assets.fhir.profiles.matching import has_pattern, is_fixed
from hc_assets.fhir.profiles.rules import Matcher
from hc_assets.fhir.profiles.specs import Discriminator, Spec
from hc_assets.fhir.profiles.terminology import Terminology, Verdict, all_of, any_of
from hc_assets.fhir.profiles.value_checks import codes_verdict

Test = Callable[[Node, Setting], Verdict]
_STEP = re.compile(
    r"(?P<call>extension|ofType|as|resolve)\(\s*(?P<argument>[^()]*?)\s*\)|(?P<name>\$?\w+)(?:\[x\])?"
)
_SEPARATOR = re.compile(r"\.(?![^(]*\))")


class Library(Protocol):
    """What discriminators ask of the profiles at hand."""

    @property
    def terminology(self) -> Terminology:
        """The value sets at hand."""

    def spec(self, url: str) -> Spec | None:
        """The tree of a profile; None where it isn't at hand."""

    def type_of(self, url: str) -> str:
        """The R4 type that a URL of a type or profile stands for; "" where it isn't at hand."""


class Step(NamedTuple):
    """A step of a discriminator's path: a name, or a call with its argument."""

    kind: str
    text: str


def parse_path(path: str) -> tuple[Step, ...] | None:
    """Take a discriminator's path apart; None where it is more than a discriminator may have."""
    steps = []
    for part in _SEPARATOR.split(path.strip()):
        match = _STEP.fullmatch(part)
        if match is None:
            return None
        if match["call"]:
            steps.append(Step(match["call"], match["argument"].strip("'\"`")))
        elif match["name"] != "$this":
            steps.append(Step("name", match["name"]))
    return tuple(steps)


def _walk(node: Node, steps: Sequence[Step], setting: Setting) -> list[Node | Missed]:
    """What a path leads to from a value; references that can't be followed are marked."""
    items: list[Node | Missed] = [node]
    for kind, text in steps:
        nodes = [item for item in items if isinstance(item, Node)]
        missed = [item for item in items if isinstance(item, Missed)]
        if kind == "resolve":
            found: list[Node | Missed] = [setting.follow(item) for item in nodes]
        elif kind in ("ofType", "as"):
            found = [item for item in nodes if is_a(item.type_name, text.rpartition(".")[2])]
        else:
            name = "extension" if kind == "extension" else text
            inner = [i for i in type_view().step([*nodes], name) if isinstance(i, Node)]
            found = [
                item
                for item in inner
                if kind == "name"
                or (isinstance(item.value, dict) and item.value.get("url") == text)
            ]
        items = [*found, *missed]
    return items


def _inside(literal: Any, steps: Sequence[Step]) -> list[Any] | None:
    """What a path leads to inside a fixed value or pattern; None where it can't be followed."""
    found = [literal]
    for kind, text in steps:
        if kind != "name":
            return None
        below: list[Any] = []
        for one in found:
            for name, part in one.items() if isinstance(one, dict) else ():
                if name == text or (name.startswith(text) and name[len(text)].isupper()):
                    below.extend(part if isinstance(part, list) else [part])
        found = below
    return found or None


class Questions:
    """Makes the question whether a value is in a slice."""

    def __init__(self, library: Library) -> None:
        """Ask this library for profiles and value sets."""
        self._library = library

    def matcher(self, spec: Spec, discriminators: Sequence[Discriminator]) -> Matcher | None:
        """The question for a slice.

        Args:
            spec: of the slice.
            discriminators: how it is distinguished from others.

        Returns:
            The question; None where the slice demands nothing that a discriminator looks at.
        """
        found = [self._question(discriminator, spec) for discriminator in discriminators]
        tests = [test for test in found if test is not None]
        if len(tests) < len(found):
            return None
        if len(tests) == 1:
            only = tests[0]
            return lambda node, path, setting: only(node, setting)
        return lambda node, path, setting: all_of(test(node, setting) for test in tests)

    def _question(self, discriminator: Discriminator, spec: Spec) -> Test | None:
        steps = parse_path(discriminator.path)
        if steps is None:
            return None
        if discriminator.kind in ("value", "pattern"):
            return self._by_value(spec, steps)
        if discriminator.kind == "exists":
            return self._by_existence(spec, steps)
        if discriminator.kind == "type":
            return self._by_type(spec, steps)
        return self._by_profile(spec, steps)

    def _profile_of(self, spec: Spec) -> Spec | None:
        """The tree of the only profile that an element's only type has."""
        if spec.types and len(spec.types) == 1 and len(spec.types[0].profiles) == 1:
            return self._library.spec(spec.types[0].profiles[0])
        return None

    def _step(self, spec: Spec, step: Step) -> Spec | None:
        if step.kind == "resolve":
            targets = {target for ref in spec.types or () for target in ref.targets}
            return self._library.spec(targets.pop()) if len(targets) == 1 else None
        if step.kind in ("ofType", "as"):
            for one in spec.slices.values():
                if step.text in one.type_names:
                    return one
            return spec
        name = "extension" if step.kind == "extension" else step.text
        below = spec.children.get(name)
        profile = self._profile_of(spec)
        if below is None and profile is not None:
            below = profile.children.get(name)
        if below is None:
            # What is below a sliced element is identified by the slice that one value has to be in.
            required = (one.children.get(name) for one in spec.slices.values() if one.min)
            below = next((one for one in required if one is not None), None)
        if below is None or step.kind == "name":
            return below
        for one in below.slices.values():
            if step.text in self._urls(one):
                return one
        return None

    def _urls(self, spec: Spec) -> tuple[str, ...]:
        """The URLs that an extension slice may have."""
        url = spec.children.get("url")
        if url is not None and isinstance(url.fixed, str):
            return (url.fixed,)
        return tuple(p.partition("|")[0] for ref in spec.types or () for p in ref.profiles)

    def _by_value(self, spec: Spec, steps: tuple[Step, ...]) -> Test | None:
        here: Spec | None = spec
        literals: list[Any] | None = None
        if steps and steps[-1] == Step("name", "url"):
            urls = self._extension_urls(spec, steps[:-1])
            if urls:
                return self._at(steps, lambda node, setting: node.value in urls)
        for index, step in enumerate(steps):
            if here is None:
                break
            literal = here.pattern if here.fixed is None else here.fixed
            literals = literals or (None if literal is None else _inside(literal, steps[index:]))
            here = self._step(here, step)
        demand = None if here is None else self._demand(here)
        if demand is not None:
            return self._at(steps, demand)
        if literals is None:
            return None
        wanted = literals

        def matches(node: Node, setting: Setting) -> Verdict:
            items = _walk(node, steps, setting)
            if any(isinstance(item, Missed) for item in items):
                return None
            values = [item.value for item in items if isinstance(item, Node)]
            return all(any(has_pattern(value, one) for value in values) for one in wanted)

        return matches

    def _extension_urls(self, spec: Spec, steps: Sequence[Step]) -> tuple[str, ...]:
        here: Spec | None = spec
        for step in steps:
            here = None if here is None else self._step(here, step)
        if here is None or "Extension" not in here.type_names:
            return ()
        return self._urls(here)

    @staticmethod
    def _at(steps: tuple[Step, ...], test: Test) -> Test:
        """Whether some value at the end of a path passes a test."""
        if not steps:
            return test

        def matches(node: Node, setting: Setting) -> Verdict:
            return any_of(
                test(item, setting) if isinstance(item, Node) else None
                for item in _walk(node, steps, setting)
            )

        return matches

    def _demand(self, spec: Spec) -> Test | None:
        """What tells the values of an element: fixed value, pattern, codes, or those below it."""
        if spec.fixed is not None:
            fixed = spec.fixed
            return lambda node, setting: is_fixed(node.value, fixed)
        if spec.pattern is not None:
            pattern = spec.pattern
            return lambda node, setting: has_pattern(node.value, pattern)
        tests = [self._coded(b.value_set) for b in spec.bindings if b.is_required]
        optional: list[Test] = []
        for name, child in spec.children.items():
            below = self._demand(child)
            if below is not None:
                home = optional if child.min == 0 else tests
                home.append(self._at((Step("name", name),), below))
        # What may be absent identifies a slice only where nothing else does.
        tests = tests or optional
        if not tests:
            return self._demand_of_slices(spec)
        return lambda node, setting: all_of(test(node, setting) for test in tests)

    def _coded(self, url: str) -> Test:
        terminology = self._library.terminology
        return lambda node, setting: codes_verdict(terminology, url, node)

    def _demand_of_slices(self, spec: Spec) -> Test | None:
        """One value stands for an element: it is identified by the slice that it has to be in."""
        for one in spec.slices.values():
            if one.min:
                demand = self._demand(one)
                if demand is not None:
                    return demand
        return None

    def _by_existence(self, spec: Spec, steps: tuple[Step, ...]) -> Test | None:
        here: Spec | None = spec
        for step in steps:
            here = None if here is None else self._step(here, step)
        if here is None or (not here.min and here.max != 0):
            return None
        wanted = here.max != 0
        return lambda node, setting: bool(_walk(node, steps, setting)) == wanted

    def _by_type(self, spec: Spec, steps: tuple[Step, ...]) -> Test | None:
        here: Spec | None = spec
        names: tuple[str, ...] = ()
        if steps and steps[-1].kind == "resolve":
            for step in steps[:-1]:
                here = None if here is None else self._step(here, step)
            targets = [t for ref in (here.types or () if here else ()) for t in ref.targets]
            names = tuple(self._library.type_of(target) for target in targets)
        else:
            for step in steps:
                here = None if here is None else self._step(here, step)
            names = () if here is None or here.types is None else here.type_names
        if not names or "" in names:
            return None

        def matches(node: Node, setting: Setting) -> Verdict:
            return any_of(
                any(is_a(item.type_name, name) for name in names) if item.type_name else None
                for item in _walk(node, steps, setting)
            )

        return matches

    def _by_profile(self, spec: Spec, steps: tuple[Step, ...]) -> Test | None:
        here: Spec | None = spec
        is_resolved = bool(steps) and steps[-1].kind == "resolve"
        for step in steps[:-1] if is_resolved else steps:
            here = None if here is None else self._step(here, step)
        if here is None:
            return None
        urls = [
            url
            for ref in here.types or ()
            for url in (ref.targets if is_resolved else ref.profiles)
        ]
        if not urls:
            return None

        def test(node: Node, setting: Setting) -> Verdict:
            return any_of(setting.run.conforms(node, url, setting) for url in urls)

        def matches(node: Node, setting: Setting) -> Verdict:
            return any_of(
                test(item, setting) if isinstance(item, Node) else None
                for item in _walk(node, steps, setting)
            )

        return matches
