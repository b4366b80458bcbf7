"""From a profile's tree of demands to the rules that an instance is walked along.

Belongs here: leaving out what R4 demands anyway, and which checks stand on which element. What the
checks do belongs to `value_checks.py`, `reference_checks.py` and `discriminators.py`.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from hc_assets.fhir.fhirpath import Node
from hc_assets.fhir.profiles.discriminators import Library, Questions
from hc_assets.fhir.profiles.elements import (
    CoreElement,
    core_type,
    elements_of,
    is_a,
)
from hc_assets.fhir.profiles.instance import Setting
from hc_assets.fhir.profiles.reference_checks import Target, target_check
from hc_assets.fhir.profiles.rules import Check, Matcher, Rule, Slicing, check_value
from hc_assets.fhir.profiles.specs import (
    UNBOUNDED,
    Constraint,
    Discriminator,
    Spec,
    TypeSpec,
    merged,
)
from hc_assets.fhir.profiles.value_checks import (
    binding_check,
    constraint_check,
    fixed_check,
    length_check,
    pattern_check,
    range_check,
)
from hc_assets.fhir.r4.definitions import r4

_EXTENSIONS = ("extension", "modifierExtension")
_REFERENCES = ("Reference",)
_BY_URL = (Discriminator("value", "url"),)
_BY_TYPE = (Discriminator("type", "$this"),)


class ProfileLibrary(Library, Protocol):
    """What compiling asks of the profiles at hand."""

    def rule_of(self, url: str) -> Rule | None:
        """The compiled root of a profile; None where it isn't at hand."""

    def is_core_extension(self, url: str) -> bool:
        """Whether R4's own validation checks an extension."""


def _core_keys(type_names: Sequence[str], cores: Sequence[CoreElement]) -> set[tuple[str, str]]:
    """Keys and expressions of the invariants that R4 puts on an element."""
    invariants = [invariant for core in cores for invariant in core.element.invariants]
    for type_name in type_names:
        if type_name in r4().type_names:
            for base in r4().bases(type_name):
                invariants.extend(r4().type(base).invariants)
    return {(invariant.key, invariant.expression) for invariant in invariants}


class _Compiler:
    """Compiles the tree of one profile."""

    def __init__(self, url: str, root: Spec, library: ProfileLibrary) -> None:
        self._url = url
        self._root = root
        self._library = library
        self._questions = Questions(library)
        self._rules: dict[int, Rule] = {}
        self._specs: dict[str, Spec] = {}
        self._profiles_met: list[str] = []
        self._repeating: list[tuple[Rule, Spec]] = []
        # Rules are found again by their tree's `id()`, so every tree has to live as long.
        self._kept: list[Spec] = []
        self._index(root)

    def _index(self, spec: Spec) -> None:
        self._specs[spec.element_id] = spec
        for below in (*spec.children.values(), *spec.slices.values()):
            self._index(below)

    def rule(
        self,
        spec: Spec,
        owners: tuple[str, ...] = (),
        slice_name: str = "",
        above: Spec | None = None,
    ) -> Rule:
        """The rule of an element or slice.

        Args:
            spec: what the profile specifies for it.
            owners: the types that have the element.
            slice_name: the name of the slice.
            above: for a slice: the spec of its element, whose demands are checked already.
        """
        known = self._rules.get(id(spec))
        if known is not None:
            return known
        source = f"profile {self._url}, element {spec.element_id}"
        rule = self._rules[id(spec)] = Rule(spec.name, source, slice_name)
        cores = [core for t in owners if (core := elements_of(t).get(spec.name)) is not None]
        if spec.name:
            self._fill_counts(rule, spec, cores, is_slice=above is not None)
            self._fill_types(rule, spec, cores)
        rule.checks = tuple(self._checks(spec, cores, source, above))
        pushed = self._push_profile(spec)
        full = self._with_profile(spec) if pushed else spec
        self._kept.append(full)
        rule.children = tuple(
            below
            for child in full.children.values()
            if not (below := self.rule(child, full.type_names)).is_empty
        )
        rule.slicing = self._slicing(full, owners)
        if pushed:
            self._profiles_met.pop()
        if spec.content_reference.startswith("#") and not spec.children:
            target = self._specs.get(spec.content_reference[1:])
            if target is not None:
                rule.same_as = rule  # until the target's rule is known; an empty rule is left out
                self._repeating.append((rule, target))
        return rule

    def root_rule(self) -> Rule:
        """The rule of the root, content references followed."""
        rule = self.rule(self._root)
        for repeating, target in self._repeating:
            repeating.same_as = self._rules.get(id(target))
        return rule

    @staticmethod
    def _fill_counts(
        rule: Rule, spec: Spec, cores: Sequence[CoreElement], *, is_slice: bool
    ) -> None:
        least = min((core.element.min for core in cores), default=0)
        if spec.min is not None and (is_slice or spec.min > least):
            rule.min = spec.min
        limits = [UNBOUNDED if c.element.max is None else c.element.max for c in cores]
        if spec.max is not None and spec.max < max(limits, default=UNBOUNDED):
            rule.max = spec.max

    @staticmethod
    def _fill_types(rule: Rule, spec: Spec, cores: Sequence[CoreElement]) -> None:
        rule.is_resource = any(
            member.type_name == "Resource" for core in cores for member in core.members
        )
        if spec.types is None:
            return
        of_core = {member.type_name for core in cores for member in core.members}
        names = tuple(dict.fromkeys(spec.type_names))
        if any(not any(is_a(one, name) for name in names) for one in of_core):
            rule.types = names

    def _push_profile(self, spec: Spec) -> bool:
        """Whether the elements of an element's own profile belong to its children."""
        url = self._only_profile(spec)
        if url is None or not spec.children or url in self._profiles_met:
            return False
        self._profiles_met.append(url)
        return True

    @staticmethod
    def _only_profile(spec: Spec) -> str | None:
        if spec.types and len(spec.types) == 1 and len(spec.types[0].profiles) == 1:
            return spec.types[0].profiles[0]
        return None

    def _with_profile(self, spec: Spec) -> Spec:
        """A differential names slices of the profile that its base gives to an element."""
        url = self._only_profile(spec)
        profile = None if url is None else self._library.spec(url)
        if profile is None:
            return spec
        base = Spec(spec.element_id, spec.name, spec.members, children=profile.children)
        return merged(base, spec)

    def _slicing(self, spec: Spec, owners: tuple[str, ...]) -> Slicing | None:
        if not spec.slices:
            return None
        discriminators = () if spec.slicing is None else spec.slicing.discriminators
        if not discriminators and spec.name in _EXTENSIONS:
            discriminators = _BY_URL
        elif not discriminators and spec.is_choice:
            discriminators = _BY_TYPE
        slices = []
        for name, one in spec.slices.items():
            rule = self.rule(one, owners, name, above=spec)
            slices.append((self._matcher(one, rule, discriminators), rule))
        rules = None if spec.slicing is None else spec.slicing.rules
        return Slicing(
            slices, rules or "open", spec.slicing is not None and spec.slicing.is_ordered
        )

    def _matcher(self, spec: Spec, rule: Rule, discriminators: Sequence[Discriminator]) -> Matcher:
        if not discriminators:
            # Without discriminators what is in a slice is what meets all its demands.
            def meets_all(node: Node, path: str, setting: Setting) -> bool | None:
                trial = setting.on_trial()
                check_value(rule, node, path, trial)
                return not trial.run.has_errors

            return meets_all
        matcher = self._questions.matcher(spec, discriminators)
        return matcher or (lambda node, path, setting: None)

    def _checks(
        self, spec: Spec, cores: Sequence[CoreElement], source: str, above: Spec | None
    ) -> Iterator[Check]:
        if spec.fixed is not None:
            yield fixed_check(spec.fixed, source)
        if spec.pattern is not None:
            yield pattern_check(spec.pattern, source)
        if spec.max_length is not None:
            yield length_check(spec.max_length, source)
        if spec.least is not None:
            yield range_check(spec.least, True, source)
        if spec.greatest is not None:
            yield range_check(spec.greatest, False, source)
        terminology = self._library.terminology
        of_core = {core.element.binding.value_set for core in cores if core.element.binding}
        for binding in spec.bindings:
            is_inherited = above is not None and binding in above.bindings
            # Which codes a set that isn't at hand has is of no account where others are allowed.
            is_open = not binding.is_required and not terminology.knows(binding.value_set)
            is_core = binding.value_set.partition("|")[0] in of_core
            if not (is_inherited or is_open or is_core):
                yield binding_check(binding, terminology, source)
        for constraint in self._own_constraints(spec, cores, above):
            yield constraint_check(constraint, source)
        for ref in spec.types or ():
            is_inherited = above is not None and ref in (above.types or ())
            if not is_inherited:
                yield from self._type_checks(ref, cores, source)

    @staticmethod
    def _own_constraints(
        spec: Spec, cores: Sequence[CoreElement], above: Spec | None
    ) -> Iterator[Constraint]:
        of_core = _core_keys(spec.type_names, cores)
        inherited = {rule.key for rule in above.constraints} if above is not None else set()
        for rule in spec.constraints:
            is_core = core_type(rule.source) is not None or (rule.key, rule.expression) in of_core
            if not is_core and rule.key not in inherited:
                yield rule

    def _type_checks(
        self, ref: TypeSpec, cores: Sequence[CoreElement], source: str
    ) -> Iterator[Check]:
        # The profiles are alternatives: beside one that every value conforms to, none is asked.
        if ref.profiles and not any(self._is_plain(url, ref, cores) for url in ref.profiles):
            yield self._profile_check(ref.code, ref.profiles, source)
        if ref.code in _REFERENCES and ref.targets and not self._has_core_targets(ref, cores):
            targets = tuple(
                Target(url, self._library.type_of(url), core_type(url) is not None)
                for url in ref.targets
            )
            if not any(target.type_name == "Resource" for target in targets):
                yield target_check(targets, source)

    @staticmethod
    def _is_plain(url: str, ref: TypeSpec, cores: Sequence[CoreElement]) -> bool:
        """Whether a profile is the type itself, or R4 itself gives it to the element."""
        name = core_type(url)
        if name is None:
            return False
        is_own = any(member.type_name == name for core in cores for member in core.members)
        is_profile = any(element.max == 0 for element in r4().type(name).elements)
        return is_own or (is_a(ref.code, name) and not is_profile)

    @staticmethod
    def _has_core_targets(ref: TypeSpec, cores: Sequence[CoreElement]) -> bool:
        names = {core_type(url) or "" for url in ref.targets}
        for core in cores:
            for one in core.element.types:
                if one.code == ref.code and (not one.targets or set(one.targets) != names):
                    return False
        return "" not in names

    def _profile_check(self, code: str, urls: tuple[str, ...], source: str) -> Check:
        """A value of a type conforms to one of its profiles."""
        library = self._library
        if len(urls) == 1 and (core_type(urls[0]) is None or library.spec(urls[0]) is not None):
            return _single_profile_check(code, urls[0], library, source)
        text = f"found a {code} that does not conform, expected one of {' or '.join(urls)}"

        def check(node: Node, path: str, setting: Setting) -> None:
            if not is_a(node.type_name, code):
                return
            verdicts = [setting.run.conforms(node, url, setting) for url in urls]
            if any(verdicts):
                return
            if None in verdicts:
                unsure = f"whether it conforms to {' or '.join(urls)} can't be decided offline"
                setting.run.note("warning", path, "profile-unknown", source, unsure, source=source)
            else:
                setting.run.add("error", "structure", path, "profile-type", text, source=source)

        return check


def _single_profile_check(code: str, url: str, library: ProfileLibrary, source: str) -> Check:
    plain = url.partition("|")[0]
    text = f"profile {url} isn't at hand, so conformance to it can't be checked"

    def check(node: Node, path: str, setting: Setting) -> None:
        if not is_a(node.type_name, code):
            return
        rule = library.rule_of(url)
        if rule is not None:
            # The same extension is met again when all extensions are looked at.
            setting.run.applied.add((id(node.value), plain))
            check_value(rule, node, path, setting)
        elif not library.is_core_extension(plain):
            setting.run.note("warning", path, "profile-unknown", plain, text, source=source)

    return check


def compile_rule(url: str, root: Spec, library: ProfileLibrary) -> Rule:
    """Compile a profile.

    Args:
        url: its canonical URL.
        root: what it says, its base's demands laid under it.
        library: the profiles and value sets at hand.

    Returns:
        The rule of its root.
    """
    return _Compiler(url, root, library).root_rule()


def core_profile_spec(name: str) -> Spec:
    """A profile that the table of R4 has as a type (SimpleQuantity), as a tree.

    Args:
        name: its name in the table; only what it forbids is taken from it.
    """
    spec = Spec(name, "", ())
    for element in r4().type(name).elements:
        if element.max == 0:
            spec.children[element.name] = Spec(f"{name}.{element.name}", element.name, (), max=0)
    return spec
