"""FHIR's other releases as far as they differ from R4: the table, and whether a resource fits one.

Belongs here: the table's shape and its loading, and walking a resource beside it. It is written by
`fhir/r4/build/releases.py`; what is said of a resource is in `fhir/validation/release_issues.py`.
"""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.primitives import kind_of

RELEASES_FORMAT = 1
RELEASES_PATH = Path(__file__).with_name("releases.json.gz")

# Members of a type: what each is in JSON, with `*` behind it where it is an array. Of primitive
# types only JSON's remain: string, number or boolean.
Shapes = dict[str, str]
_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})
_PRIMITIVES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float, Decimal),
    "boolean": bool,
}


class ReleaseTable(msgspec.Struct, frozen=True):
    """What one release has that R4 has not, or has otherwise.

    Attributes:
        version: of FHIR, without the number of the patch: `5.0`.
        source: name and version of HL7's package.
        new_resources: resource types that R4 lacks.
        old_resources: those of R4 that it lacks.
        types: by the path of a type, members in their shape; None for one of R4's that it lacks.
            Types and members that are R4's are left out.
        codes: by the path of an element, codes of its required binding that R4 does not allow.
    """

    version: str
    source: str
    new_resources: tuple[str, ...]
    old_resources: tuple[str, ...]
    types: dict[str, dict[str, str | None]]
    codes: dict[str, tuple[str, ...]]


class ReleaseTables(msgspec.Struct, frozen=True):
    """The file's content: tables by the release's name (R4B, R5, STU3)."""

    format: int
    releases: dict[str, ReleaseTable]


class Misfit(NamedTuple):
    """Where a resource has what a release has not.

    Attributes:
        path: FHIRPath location, with JSON's member names and indexes.
        what: a type, or a member by the path of its type; where only what it is written as is at
            fault, with that: `Condition.clinicalStatus as a string`.
        is_type: whether it is a resource type, so that nothing in it was looked at.
    """

    path: str
    what: str
    is_type: bool = False


class Release:
    """The types and members of one release.

    Attributes:
        name: R4, or that of its table.
        codes: see `ReleaseTable`.
    """

    def __init__(self, name: str, table: ReleaseTable | None) -> None:
        self.name = name
        changes: dict[str, dict[str, str | None]] = {} if table is None else table.types
        self.codes = {} if table is None else table.codes
        self._changes = changes
        self._resources = r4().resource_names
        if table is not None:
            self._resources = (self._resources - {*table.old_resources}) | {*table.new_resources}

    def has_resource(self, name: object) -> bool:
        """Whether it has a resource type of that name."""
        return name in self._resources

    def member(self, type_: str, name: str) -> str | None:
        """Shape of a member; None where the type has none of that name."""
        changed = self._changes.get(type_, {})
        if name in changed:
            return changed[name]
        return shapes_of_r4().get(type_, {}).get(name)

    def fit(self, value: dict[str, Any], path: str) -> "Fit":
        """Walk a resource.

        Args:
            value: a JSON object.
            path: where it is; "" for the root.
        """
        fit = Fit([], [])
        self._resource(value, path, fit)
        return fit

    def _resource(self, value: Any, path: str, fit: "Fit") -> None:
        name = value.get("resourceType")
        if isinstance(name, str) and self.has_resource(name):
            self._object(value, name, path or name, fit)
        else:
            fit.misfits.append(Misfit(path, str(name), is_type=True))

    def _object(self, value: dict[str, Any], type_: str, path: str, fit: "Fit") -> None:
        for name, content in value.items():
            if name == "resourceType" and self.has_resource(type_):
                continue
            plain = name.removeprefix("_")
            shape = self.member(type_, plain)
            what = f"{type_}.{plain}"
            here = f"{path}.{name}"
            inner = "" if shape is None else shape.rstrip("*")
            if shape is None or (plain != name and inner not in _PRIMITIVES):
                fit.misfits.append(Misfit(here, what))
            elif shape.endswith("*") != isinstance(content, list):
                fit.misfits.append(Misfit(here, f"{what} as {_article(kind_of(content))}"))
            else:
                for each, at in _items(content, here):
                    self._value(each, inner if plain == name else "Element", Misfit(at, what), fit)

    def _value(self, value: Any, type_: str, place: Misfit, fit: "Fit") -> None:
        path, what, _ = place
        if value is None:
            return  # stands for a sibling's value, or is wrong in every release
        if type_ in _PRIMITIVES:
            is_boolean = type_ == "boolean"
            if not isinstance(value, _PRIMITIVES[type_]) or isinstance(value, bool) != is_boolean:
                fit.misfits.append(Misfit(path, f"{what} as {_article(kind_of(value))}"))
        elif not isinstance(value, dict):
            fit.misfits.append(Misfit(path, f"{what} as {_article(kind_of(value))}"))
        elif type_ != "Resource":
            self._object(value, type_, path, fit)
        elif what.endswith(".contained"):
            self._resource(value, path, fit)
        else:
            fit.nested.append((value, path))


class Fit(NamedTuple):
    """How a resource fits a release.

    Attributes:
        misfits: what of it the release has not.
        nested: resources in entries of Bundles and in Parameters, with their paths: they are
            resources of their own, and not looked at.
    """

    misfits: list[Misfit]
    nested: list[tuple[dict[str, Any], str]]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _items(content: Any, path: str) -> Iterator[tuple[Any, str]]:
    if isinstance(content, list):
        yield from ((each, f"{path}[{index}]") for index, each in enumerate(content))
    else:
        yield content, path


def json_type(type_: str, *, is_primitive: bool) -> str:
    """Return how a type is written in JSON: a primitive type of JSON, else its own name."""
    if not is_primitive:
        return "Quantity" if type_ in ("SimpleQuantity", "MoneyQuantity") else type_
    if type_ == "boolean":
        return type_
    return "number" if type_ in _NUMBERS else "string"


@cache
def shapes_of_r4() -> dict[str, Shapes]:
    """The members of R4's types, those of nested elements among them."""
    primitives = {name for name in r4().type_names if r4().type(name).kind == "primitive-type"}
    return {
        name: {
            member: json_type(ref.code, is_primitive=ref.code in primitives)
            + ("*" if element.is_list else "")
            for element in r4().type(name).elements
            if element.max != 0
            for member, ref in element.members()
        }
        for name in r4().type_names - primitives
    }


@cache
def releases() -> tuple[Release, ...]:
    """FHIR's other releases that are known, read on first use."""
    tables = msgspec.json.decode(gzip.decompress(RELEASES_PATH.read_bytes()), type=ReleaseTables)
    if tables.format != RELEASES_FORMAT:
        raise ValueError(f"table format {tables.format}, expected {RELEASES_FORMAT}")
    return tuple(Release(name, table) for name, table in tables.releases.items())


@cache
def release_r4() -> Release:
    """R4 in the same terms."""
    return Release("R4", None)


@cache
def names_of_releases() -> frozenset[str]:
    """Every type and member of any other release that R4 has not."""
    tables = msgspec.json.decode(gzip.decompress(RELEASES_PATH.read_bytes()), type=ReleaseTables)
    found: set[str] = set()
    for table in tables.releases.values():
        found.update(table.new_resources)
        for type_, members in table.types.items():
            found.update(type_.split("."))
            found.update(name for name, shape in members.items() if shape is not None)
    return frozenset(found)
