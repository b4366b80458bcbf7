"""Whether a code is in a value set, as far as that can be decided offline: yes, no or unknown.

Belongs here: value sets and code systems that come with profiles, and the core ones of the compiled
table behind them. What an element does with the answer belongs to `value_checks.py`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from hc_assets.fhir.profiles.reading import CodeSet, System
from hc_assets.fhir.profiles.shapes import ConceptShape, ContainsShape, ExpansionShape, PartShape
from hc_assets.fhir.r4.bindings import SYNTAX_PATTERNS, allows_code, allows_coding
from hc_assets.fhir.r4.build.expansion import SYNTAX_OF_SYSTEM, NotExpandableError, expand
from hc_assets.fhir.r4.build.package import Package
from hc_assets.fhir.r4.definitions import r4

Verdict = bool | None
_PART = "urn:part"
_TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Whether one of several holds: unknown where none is known to and some are unknown."""
    unknown = False
    for verdict in verdicts:
        if verdict:
            return True
        unknown = unknown or verdict is None
    return None if unknown else False


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Whether all of several hold: unknown where none is known not to and some are unknown."""
    opposite = any_of(None if verdict is None else not verdict for verdict in verdicts)
    return None if opposite is None else not opposite


class _Part(NamedTuple):
    """One include or exclude, made ready.

    Attributes:
        system: its code system; "" where it names value sets alone.
        codes: its codes; None where they aren't known.
        has_form: where the codes aren't known: whether one has the right form, for code systems
            that are a grammar.
        value_sets: value sets that a code must be in as well.
    """

    system: str
    codes: frozenset[str] | None
    has_form: Callable[[str], bool] | None
    value_sets: tuple[str, ...]


class _Expansion(NamedTuple):
    pairs: frozenset[tuple[str, str]]
    codes: frozenset[str]
    is_complete: bool


class _Compiled(NamedTuple):
    includes: tuple[_Part, ...]
    excludes: tuple[_Part, ...]
    expansion: _Expansion | None


def _form(name: str) -> Callable[[str], bool]:
    pattern = re.compile(SYNTAX_PATTERNS[name])
    return lambda code: pattern.search(code) is not None


def _flat(concepts: Iterable[ContainsShape]) -> Iterable[ContainsShape]:
    stack = list(concepts)
    while stack:
        concept = stack.pop()
        stack.extend(concept.contains)
        if concept.code and not concept.abstract:
            yield concept


def _expansion(shape: ExpansionShape | None) -> _Expansion | None:
    if shape is None or not shape.contains:
        return None
    pairs = frozenset((entry.system, entry.code) for entry in _flat(shape.contains))
    is_partial = any(extension.url == _TOO_COSTLY for extension in shape.extension)
    is_complete = not is_partial and not shape.offset and (shape.total or 0) <= len(pairs)
    return _Expansion(pairs, frozenset(code for _, code in pairs), is_complete)


def _listed(concepts: Iterable[ConceptShape]) -> frozenset[str]:
    return frozenset(concept.code for concept in concepts)


class Terminology:
    """The value sets at hand."""

    def __init__(self, value_sets: Mapping[str, CodeSet], systems: Mapping[str, System]) -> None:
        """Take definitions by URL, with and without `|version`; each is made ready when asked."""
        self._value_sets = value_sets
        self._systems = systems
        self._compiled: dict[str, _Compiled | None] = {}
        self._core = r4().value_set_urls

    def knows(self, url: str) -> bool:
        """Whether a value set is at hand, if only in part."""
        return self._find(url) is not None or url.partition("|")[0] in self._core

    def has(self, url: str, system: str | None, code: str) -> Verdict:
        """Whether a value set has a code.

        Args:
            url: canonical URL of the value set, with or without `|version`.
            system: the code system; None where the element has only a code, whatever its system.
            code: the code.

        Returns:
            None where that can't be decided from what is at hand.
        """
        return self._has(url, system, code, frozenset())

    def _has(self, url: str, system: str | None, code: str, above: frozenset[str]) -> Verdict:
        compiled = self._find(url)
        if url in above:
            return None
        if compiled is None:
            return self._core_has(url.partition("|")[0], system, code)
        inner = above | {url}
        verdict: Verdict = None
        if compiled.includes:
            verdict = all_of(
                (
                    any_of(self._part(part, system, code, inner) for part in compiled.includes),
                    *(
                        None if found is None else not found
                        for part in compiled.excludes
                        if (found := self._part(part, system, code, inner)) is not False
                    ),
                )
            )
        expansion = compiled.expansion
        if verdict is None and expansion is not None:
            is_in = code in expansion.codes if system is None else (system, code) in expansion.pairs
            if is_in or expansion.is_complete:
                return is_in
        return verdict

    def _part(self, part: _Part, system: str | None, code: str, above: frozenset[str]) -> Verdict:
        own: Verdict = True
        if part.system:
            if system is not None and system != part.system:
                return False
            if part.codes is not None:
                own = code in part.codes
            else:
                own = None if part.has_form is None else part.has_form(code)
        return all_of((own, *(self._has(url, system, code, above) for url in part.value_sets)))

    def _core_has(self, url: str, system: str | None, code: str) -> Verdict:
        """The same for a value set of R4's own required bindings."""
        if url not in self._core or r4().value_set(url).syntax == "any":
            return None
        return allows_code(url, code) if system is None else allows_coding(url, system, code)

    def _find(self, url: str) -> _Compiled | None:
        if url not in self._compiled:
            found = self._value_sets.get(url) or self._value_sets.get(url.partition("|")[0])
            self._compiled[url] = None if found is None else self._compile(found)
        return self._compiled[url]

    def _compile(self, found: CodeSet) -> _Compiled:
        compose = found.shape.compose
        includes = [] if compose is None else compose.include
        excludes = [] if compose is None else compose.exclude
        return _Compiled(
            tuple(self._compile_part(p) for p in includes if p.system or p.valueSet),
            tuple(self._compile_part(p) for p in excludes if p.system or p.valueSet),
            _expansion(found.shape.expansion),
        )

    def _compile_part(self, part: PartShape) -> _Part:
        codes: frozenset[str] | None = None
        has_form = None
        system = part.system.partition("|")[0]
        if part.concept:
            codes = _listed(part.concept)
        elif system:
            codes = self._expanded(part, system)
            if codes is None and not part.filter and system in SYNTAX_OF_SYSTEM:
                has_form = _form(SYNTAX_OF_SYSTEM[system])
        return _Part(system, codes, has_form, tuple(part.valueSet))

    def _expanded(self, part: PartShape, system: str) -> frozenset[str] | None:
        """The codes that a part takes from its system; None where the system isn't at hand."""
        found = self._systems.get(part.system) or self._systems.get(system)
        if found is None:
            return None
        include = {"system": system, "filter": msgspec.to_builtins(part.filter)}
        value_set = {"url": _PART, "resourceType": "ValueSet", "compose": {"include": [include]}}
        manifest = {"name": "", "version": "", "fhirVersions": [r4().fhir_version]}
        package = Package(
            {
                "package.json": msgspec.json.encode(manifest),
                "system.json": msgspec.json.encode({**found.content, "url": system}),
                "part.json": msgspec.json.encode(value_set),
            }
        )
        try:
            return frozenset(code for _, code in expand(package, _PART))
        except (NotExpandableError, re.error):
            return None
