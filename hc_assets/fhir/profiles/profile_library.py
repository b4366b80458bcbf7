"""The profiles and value sets at hand, each made ready on first use.

Belongs here: from canonical URLs to trees and rules, and laying differentials on their bases.
Which profiles a resource is held against belongs to `profile_set.py`.
"""

from hc_assets.fhir.profiles.compiling import compile_rule, core_profile_spec
from hc_assets.fhir.profiles.elements import core_type
from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.profiles.reading import Definitions, Structure
from hc_assets.fhir.profiles.rules import Profile, Rule
from hc_assets.fhir.profiles.spec_reading import read_spec
from hc_assets.fhir.profiles.specs import Spec, merged
from hc_assets.fhir.profiles.terminology import Terminology
from hc_assets.fhir.r4.definitions import r4


def _is_profile_of_core(name: str) -> bool:
    """Whether a type of the table is a profile (SimpleQuantity), which its elements don't show."""
    return any(element.max == 0 for element in r4().type(name).elements)


class ProfileLibrary:
    """All profiles of a set, by canonical URL with or without `|version`.

    Attributes:
        urls: the canonical URLs of the profiles, without those they only build on and versions.
        notes: what packages depend on, and isn't given, in words.
        constraints: keys of the rules in FHIRPath that the profiles state.
        terminology: the value sets at hand.
    """

    def __init__(self, definitions: Definitions, bases: Definitions | None = None) -> None:
        """Read the trees of all profiles.

        Args:
            definitions: the profiles, their value sets and code systems.
            bases: what they may build on; what they define themselves goes before it.

        Raises:
            ProfileError: one is not a profile of R4, or its bases run in a circle.
        """
        bases = bases or Definitions({}, {}, {})
        self.constraints = frozenset(
            rule.key
            for structure in definitions.structures.values()
            for part in (structure.shape.snapshot, structure.shape.differential)
            if part is not None
            for element in part.element
            for rule in element.constraint
        )
        self.notes = definitions.notes
        self.urls = frozenset(each.shape.url for each in definitions.structures.values())
        self._structures = {**bases.structures, **definitions.structures}
        self._own = {
            (s.shape.url, s.shape.version): read_spec(s) for s in self._structures.values()
        }
        self.terminology = Terminology(
            {**bases.value_sets, **definitions.value_sets},
            {**bases.systems, **definitions.systems},
        )
        self._specs: dict[str, Spec | None] = {}
        self._profiles: dict[str, Profile] = {}
        self._rules: dict[str, Rule | None] = {}
        for structure in definitions.structures.values():
            self._check_bases(structure)

    def structure(self, url: str) -> Structure | None:
        """The profile of a URL; for a version that isn't at hand the newest that is."""
        return self._structures.get(url) or self._structures.get(url.partition("|")[0])

    def has_version(self, url: str) -> bool:
        """Whether a URL with `|version` names a version that is at hand; True without one."""
        return "|" not in url or url in self._structures

    def _check_bases(self, structure: Structure) -> None:
        seen = set()
        here: Structure | None = structure
        while here is not None and here.shape.snapshot is None:
            place = "StructureDefinition.baseDefinition"
            if here.shape.url in seen:
                text = "found bases that run in a circle, expected them to end at a type of R4"
                raise ProfileError(structure.file, place, text)
            seen.add(here.shape.url)
            base = self.structure(here.shape.baseDefinition)
            if base is not None and base.shape.type != here.shape.type:
                text = f"found a profile of {base.shape.type}, expected one of {here.shape.type}"
                raise ProfileError(here.file, place, text)
            here = base

    def spec(self, url: str) -> Spec | None:
        """What a profile and its bases demand; None where it isn't at hand."""
        if url not in self._specs:
            self._specs[url] = self._read(url)
        return self._specs[url]

    def _read(self, url: str) -> Spec | None:
        structure = self.structure(url)
        if structure is None:
            name = core_type(url)
            return core_profile_spec(name) if name and _is_profile_of_core(name) else None
        shape = structure.shape
        own = self._own[shape.url, shape.version]
        # A snapshot holds its bases' demands.
        base = self.spec(shape.baseDefinition) if shape.snapshot is None else None
        return own if base is None else merged(base, own)

    def type_of(self, url: str) -> str:
        """The R4 type that the URL of a type or a profile stands for; "" where it isn't at hand."""
        structure = self.structure(url)
        return structure.shape.type if structure is not None else core_type(url) or ""

    def is_core_extension(self, url: str) -> bool:
        """Whether R4's own validation checks an extension."""
        return r4().extension(url) is not None

    def rule_of(self, url: str) -> Rule | None:
        """The compiled root of a profile; None where it isn't at hand."""
        if url not in self._rules:
            spec = self.spec(url)
            self._rules[url] = None if spec is None else compile_rule(url, spec, self)
        return self._rules[url]

    def profile(self, url: str) -> Profile | None:
        """A profile ready for use; None where it isn't at hand."""
        structure = self.structure(url)
        rule = None if structure is None else self.rule_of(url)
        if structure is None or rule is None:
            return None
        known = self._profiles.get(url)
        if known is None:
            gaps = tuple(self._gaps(structure))
            known = self._profiles[url] = Profile(url, structure.shape.type, rule, gaps)
        return known

    def _gaps(self, structure: Structure) -> list[str]:
        """What of a profile is not at hand: a base whose demands it doesn't repeat."""
        here: Structure | None = structure
        while here is not None and here.shape.snapshot is None:
            base = here.shape.baseDefinition
            here = self.structure(base)
            if here is None and core_type(base) is None:
                return [f"its base {base or '(none named)'} isn't at hand: that part is unchecked"]
        return []
