"""ViewDefinitions are read and judged here, so that a faulty one never runs.

Belongs here: JSON to `View`, with the path of each fault. Types of paths are in `path_types.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hc_assets.fhir.fhirpath import FhirPathError
from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.json_text import JsonProblem, read_document
from hc_assets.fhir.views.compiling import ViewCompiler
from hc_assets.fhir.views.constants import MEMBERS, Value, constant_value, with_values
from hc_assets.fhir.views.definition import (
    Column,
    Family,
    Fault,
    Path,
    Select,
    View,
    ViewFaultsError,
)
from hc_assets.fhir.views.path_types import PathTypes, Types, families, family_of

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPE_BASE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_BASE = "http://hl7.org/fhirpath/System."
_EACH = ("forEach", "forEachOrNull", "repeat")
_ANYWHERE = frozenset({"id", "extension", "modifierExtension"})
_OF_VIEW = frozenset(
    {"resourceType", "meta", "implicitRules", "language", "text", "contained", "url", "identifier"}
    | {"version", "versionAlgorithmString", "versionAlgorithmCoding", "name", "title", "status"}
    | {"experimental", "date", "publisher", "contact", "description", "useContext", "jurisdiction"}
    | {"purpose", "copyright", "copyrightLabel", "resource", "profile", "fhirVersion", "constant"}
    | {"select", "where"}
)
_OF_SELECT = frozenset({"column", "select", "unionAll", *_EACH})
_OF_COLUMN = frozenset({"name", "path", "type", "collection", "description", "tag"})


def read_view(text: bytes, name: str) -> View:
    """Read a ViewDefinition.

    Args:
        text: JSON.
        name: what faults are reported for where the view has no name itself: its file.

    Raises:
        ViewFaultsError: with all that is wrong with it.
    """
    try:
        root = read_document(text).root
    except JsonProblem as problem:
        raise ViewFaultsError(name, (Fault("", problem.text),)) from problem
    return view_of(root, name)


def view_of(document: Any, name: str) -> View:
    """Read a ViewDefinition that is decoded already, with decimals kept.

    Raises:
        ViewFaultsError: with all that is wrong with it.
    """
    reader = _Reader()
    view = reader.view(document)
    if view is None or reader.faults:
        raise ViewFaultsError(name, tuple(reader.faults))
    return view


class _Reader:
    """Reads one view and gathers its faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._constants: dict[str, Value] = {}
        self._paths = PathTypes(r4_types(), "Resource")
        self._compiler = ViewCompiler(r4_types())

    def _fault(self, place: str, text: str) -> None:
        self.faults.append(Fault(place, text))

    def view(self, document: Any) -> View | None:
        if not isinstance(document, dict):
            self._fault("", "expected a JSON object")
            return None
        self._refuse_unknown(document, _OF_VIEW, "")
        if document.get("resourceType", "ViewDefinition") != "ViewDefinition":
            self._fault("resourceType", "expected ViewDefinition")
        resource = self._text(document, "resource", "", required=True)
        if resource and resource not in r4().resource_names:
            self._fault("resource", f"found {resource!r}, expected a resource type of R4")
            resource = ""
        self._check_version(document)
        name = self._name(document, "", required=False)
        if not resource:
            return None
        self._paths = PathTypes(r4_types(), resource)
        self._read_constants(document)
        focus: Types = frozenset({resource})
        selects = self._selects(document, "select", "", focus)
        if not selects and "select" not in {fault.place for fault in self.faults}:
            self._fault("select", "expected at least one")
        wheres = tuple(self._wheres(document, focus))
        title = document.get("description") or document.get("title") or ""
        view = View(name, resource, title if isinstance(title, str) else "", selects, wheres)
        self._check_names(view)
        return view

    def _refuse_unknown(self, found: Mapping[str, Any], known: frozenset[str], place: str) -> None:
        for member in found:
            if member not in known and member not in _ANYWHERE and not member.startswith("_"):
                self._fault(_at(place, member), f"unknown; expected one of {_listed(known)}")

    def _check_version(self, document: Mapping[str, Any]) -> None:
        versions = document.get("fhirVersion")
        if versions is None:
            return
        if not isinstance(versions, list) or not all(isinstance(each, str) for each in versions):
            self._fault("fhirVersion", "expected a list of strings")
        elif not any(each.startswith("4.0") for each in versions):
            self._fault("fhirVersion", "expected R4 (4.0.1) to be among them")

    def _text(
        self, found: Mapping[str, Any], member: str, place: str, *, required: bool = False
    ) -> str:
        value = found.get(member)
        if value is None:
            if required:
                self._fault(_at(place, member), "missing")
            return ""
        if not isinstance(value, str) or not value:
            self._fault(_at(place, member), f"found {_kind(value)}, expected a string")
            return ""
        return value

    def _name(self, found: Mapping[str, Any], place: str, *, required: bool = True) -> str:
        name = self._text(found, "name", place, required=required)
        if name and not _NAME.fullmatch(name):
            self._fault(
                _at(place, "name"),
                f"found {name!r}, expected a letter, then letters, digits and underscores",
            )
        return name

    def _objects(
        self, found: Mapping[str, Any], member: str, place: str
    ) -> Iterator[tuple[dict[str, Any], str]]:
        """Objects of a list, each with its place."""
        listed = found.get(member, [])
        if not isinstance(listed, list):
            self._fault(_at(place, member), f"found {_kind(listed)}, expected a list")
            return
        for index, each in enumerate(listed):
            at = f"{_at(place, member)}[{index}]"
            if isinstance(each, dict):
                yield each, at
            else:
                self._fault(at, f"found {_kind(each)}, expected an object")

    def _read_constants(self, document: Mapping[str, Any]) -> None:
        for found, place in self._objects(document, "constant", ""):
            self._refuse_unknown(found, frozenset({"name", *MEMBERS}), place)
            name = self._name(found, place)
            members = [member for member in found if member in MEMBERS]
            if len(members) != 1:
                self._fault(place, f"found {len(members)} values, expected one value[x]")
                continue
            if name in self._constants:
                self._fault(_at(place, "name"), f"{name} is there twice")
            try:
                self._constants[name] = constant_value(members[0], found[members[0]])
            except ValueError as error:
                self._fault(_at(place, members[0]), str(error))

    def _wheres(self, document: Mapping[str, Any], focus: Types) -> Iterator[Path]:
        for found, place in self._objects(document, "where", ""):
            self._refuse_unknown(found, frozenset({"path", "description"}), place)
            path = self._path(found.get("path"), _at(place, "path"), focus)
            if path is None:
                continue
            types = self._paths.of(path.tree, focus)
            if types and "boolean" not in types:
                self._fault(path.place, f"gives {_listed(types)}, expected boolean")
            yield path

    def _path(self, text: Any, place: str, focus: Types = None) -> Path | None:
        """Parse an expression, and compile it, since that finds what is unknown."""
        if text is None:
            self._fault(place, "missing")
            return None
        if not isinstance(text, str) or not text.strip():
            self._fault(place, f"found {_kind(text)}, expected FHIRPath in a string")
            return None
        try:
            tree = with_values(parse(text), self._constants)
            self._compiler.collect(tree)
        except FhirPathError as error:
            self._fault(place, str(error))
            return None
        for unknown in self._paths.unknown(tree, focus):
            self._fault(place, unknown)
        return Path(text, tree, place)

    def _selects(
        self, found: Mapping[str, Any], member: str, place: str, focus: Types
    ) -> tuple[Select, ...]:
        return tuple(
            self._select(each, at, focus) for each, at in self._objects(found, member, place)
        )

    def _select(self, found: dict[str, Any], place: str, focus: Types) -> Select:
        self._refuse_unknown(found, _OF_SELECT, place)
        ways = [member for member in _EACH if member in found]
        if len(ways) > 1:
            self._fault(place, f"found {' and '.join(ways)}, expected at most one of them")
        for_each: Path | None = None
        repeat: tuple[Path, ...] = ()
        if "repeat" in found:
            repeat, focus = self._repeat(found["repeat"], _at(place, "repeat"), focus)
        elif ways:
            for_each = self._path(found[ways[0]], _at(place, ways[0]), focus)
            focus = None if for_each is None else self._paths.of(for_each.tree, focus)
        columns = tuple(self._columns(found, place, focus))
        selects = self._selects(found, "select", place, focus)
        unions = self._selects(found, "unionAll", place, focus)
        if not any(member in found for member in ("column", "select", "unionAll")):
            self._fault(place, "expected column, select or unionAll")
        self._check_union(unions, place)
        return Select(for_each, "forEachOrNull" in ways, repeat, columns, selects, unions)

    def _repeat(self, found: Any, place: str, focus: Types) -> tuple[tuple[Path, ...], Types]:
        if not isinstance(found, list) or not found:
            self._fault(place, f"found {_kind(found)}, expected a list of paths")
            return (), None
        # An element that is not there is repeated no time, as in the suite of SQL on FHIR
        read = [self._path(each, f"{place}[{index}]") for index, each in enumerate(found)]
        paths = tuple(path for path in read if path is not None)
        reached: frozenset[str] = frozenset()
        pending = focus
        while pending:
            following = [self._paths.of(path.tree, pending) for path in paths]
            if None in following:
                return paths, None
            pending = frozenset().union(*(each for each in following if each)) - reached
            reached |= pending
        return paths, None if focus is None else reached

    def _columns(self, found: Mapping[str, Any], place: str, focus: Types) -> Iterator[Column]:
        for column, at in self._objects(found, "column", place):
            self._refuse_unknown(column, _OF_COLUMN, at)
            name = self._name(column, at)
            path = self._path(column.get("path"), _at(at, "path"), focus)
            stated = self._text(column, "type", at)
            is_collection = column.get("collection", False)
            if not isinstance(is_collection, bool):
                self._fault(_at(at, "collection"), "expected true or false")
            description = self._text(column, "description", at)
            type_ = stated.removeprefix(_TYPE_BASE)
            if type_.startswith(_SYSTEM_BASE):
                type_ = type_.removeprefix(_SYSTEM_BASE)
                type_ = type_[:1].lower() + type_[1:]
            if path is not None:
                types = self._paths.of(path.tree, focus)
                family = self._family(types, type_, at)
                yield Column(name, path, type_, family, is_collection is True, description)

    def _family(self, types: Types, stated: str, place: str) -> Family:
        """How a column's values are kept, which follows from its path, or else from its type."""
        wanted = family_of(stated) if stated else None
        is_known = stated == "integer64" or r4_types().members(stated) is not None
        if stated and (wanted is None or not is_known):
            self._fault(_at(place, "type"), f"found {stated!r}, expected a primitive type")
            return "text"
        if not types:
            return wanted or "text"
        found = families(types)
        if None in found:
            of = _listed(each for each in types if family_of(each) is None)
            self._fault(
                _at(place, "path"), f"gives {of}, expected a primitive type (ofType narrows it)"
            )
            return "text"
        if wanted is None:
            return next((each for each in found if each), "text") if len(found) == 1 else "text"
        if not found <= ({"integer", "decimal"} if wanted == "decimal" else {wanted}):
            self._fault(_at(place, "type"), f"found {stated}, but the path gives {_listed(types)}")
        return wanted

    def _check_union(self, unions: Iterable[Select], place: str) -> None:
        """Every part of a union has the same columns, in the same order."""
        listed = [[(c.name, c.family, c.is_collection) for c in u.all_columns()] for u in unions]
        for index, columns in enumerate(listed):
            if columns != listed[0]:
                self._fault(
                    f"{_at(place, 'unionAll')}[{index}]",
                    f"found the columns {_signature(columns)}, expected {_signature(listed[0])}",
                )

    def _check_names(self, view: View) -> None:
        counts = Counter(column.name for column in view.columns())
        for name, count in counts.items():
            if count > 1 and name:
                self._fault("select", f"{count} columns have the name {name}")
        if view.selects and not counts and not self.faults:
            self._fault("select", "expected at least one column")


def _at(place: str, member: str) -> str:
    return f"{place}.{member}" if place else member


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _signature(columns: list[tuple[str, Family, bool]]) -> str:
    return ", ".join(
        f"{name} ({'list of ' if is_list else ''}{family})" for name, family, is_list in columns
    )


def _kind(value: Any) -> str:
    """What a JSON value is, for people."""
    if value is None or value == "":
        return "null" if value is None else "an empty string"
    if isinstance(value, bool):
        return "a boolean"
    for type_, name in ((str, "a string"), (dict, "an object"), (list, "a list")):
        if isinstance(value, type_):
            return name
    return "a number"
