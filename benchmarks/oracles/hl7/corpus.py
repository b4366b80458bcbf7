"""Resources for the judge: published and synthetic ones, and seeded mutations of them.

Belongs here: where resources come from and how they are drawn. What is done to them belongs to
`mutations.py` and `mutations_of_rules.py`.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.oracles.hl7.mutations import MUTATIONS as OF_STRUCTURE
from benchmarks.oracles.hl7.mutations import Draft, Mutation, Pool
from benchmarks.oracles.hl7.mutations_of_rules import MUTATIONS as OF_RULES

# Larger resources say little more and take the engine minutes.
MAX_BYTES = 25_000
_SHARE_UNCHANGED = 0.5
_DEFINITIONS_MUTATED = ("CodeSystem", "SearchParameter", "StructureDefinition", "ValueSet")

MUTATIONS: dict[str, Mutation] = {**OF_STRUCTURE, **OF_RULES}


class Subject(NamedTuple):
    """A resource to be judged.

    Attributes:
        name: where it comes from, and for a mutant its number.
        kind: the name of the mutation; "unchanged" for none.
        text: the resource.
    """

    name: str
    kind: str
    text: bytes


class Source(NamedTuple):
    """A resource as published."""

    name: str
    resource_type: str
    text: bytes


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry]


class _Typed(msgspec.Struct):
    resource_type: str = msgspec.field(name="resourceType")
    derivation: str = ""


def _source(name: str, text: bytes) -> Source:
    return Source(name, msgspec.json.decode(text, type=_Typed).resource_type, text)


def official_examples(package: Path) -> list[Source]:
    """The resources of HL7's npm package of examples, without profiles and extensions.

    The engine gives up on those: to expand one it asks for R4's package by its name.
    """
    paths = [path for path in sorted(package.glob("*.json")) if path.name != "package.json"]
    texts = ((path.name, path.read_bytes()) for path in paths)
    typed = ((name, text, msgspec.json.decode(text, type=_Typed)) for name, text in texts)
    return [
        Source(name, head.resource_type, text)
        for name, text, head in typed
        if len(text) <= MAX_BYTES and head.derivation != "constraint"
    ]


def bundle_entries(folder: Path) -> list[Source]:
    """The entries' resources of all Bundles of a folder."""
    found = []
    for path in sorted(folder.glob("*.json")):
        bundle = msgspec.json.decode(path.read_bytes(), type=_Bundle)
        for index, entry in enumerate(bundle.entry):
            text = bytes(entry.resource)
            if len(text) <= MAX_BYTES:
                found.append(_source(f"{path.name}#{index}", text))
    return found


def ndjson_lines(folder: Path) -> list[Source]:
    """The resources of all NDJSON files of a folder."""
    found = []
    for path in sorted(folder.glob("*.ndjson")):
        for index, line in enumerate(path.read_bytes().splitlines()):
            if line.strip() and len(line) <= MAX_BYTES:
                found.append(_source(f"{path.name}#{index}", line))
    return found


def _by_type(sources: Sequence[Source]) -> dict[str, list[Source]]:
    grouped: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        grouped[source.resource_type].append(source)
    return grouped


def _draw(chance: random.Random, grouped: dict[str, list[Source]], kind: str) -> Source:
    """One resource for a mutation: its type first, so that rare types come as often as others."""
    wanted = [
        name
        for name in sorted(grouped)
        if (name == "Bundle" if kind.startswith("bundle") else True)
        and (name in _DEFINITIONS_MUTATED if kind.startswith("definition") else True)
        and (name.startswith("Questionnaire") if kind == "questionnaire" else True)
    ]
    return chance.choice(grouped[chance.choice(wanted)])


def subjects(
    sources: Sequence[Source],
    count: int,
    seed: int,
    is_agreed: Callable[[Source], bool] = lambda _: True,
) -> Iterator[Subject]:
    """Draw resources: half unchanged, the others mutated, every mutation equally often.

    Args:
        sources: the resources as published.
        count: how many to draw.
        seed: the same seed gives the same resources.
        is_agreed: whether a resource may be mutated. What two judges dispute unchanged would be
            counted again with every mutant of it.

    Yields:
        The resources in random order of their kinds.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    grouped = _by_type(sources)
    pool = Pool(source.text for source in sources)
    names = sorted(MUTATIONS)
    unchanged = chance.sample(list(sources), min(len(sources), int(count * _SHARE_UNCHANGED)))
    for source in unchanged:
        yield Subject(source.name, "unchanged", source.text)
    number = 0
    while number < count - len(unchanged):
        kind = names[number % len(names)]
        source = _draw(chance, grouped, kind)
        text = mutated(source.text, kind, chance, pool)
        if text is not None and is_agreed(source):
            yield Subject(f"{source.name}~{number}", kind, text)
            number += 1


def mutated(text: bytes, kind: str, chance: random.Random, pool: Pool) -> bytes | None:
    """A resource after a mutation; None where it has no place for it."""
    draft = Draft.read(text, chance, pool)
    result: Any = MUTATIONS[kind](draft)
    if result is None or result is False:
        return None
    found = result if isinstance(result, bytes) else draft.text()
    return None if found == text else found
