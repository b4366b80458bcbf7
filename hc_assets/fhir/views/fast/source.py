"""A view as generated Python: nested loops that append to a list for each column.

Belongs here: selects, unions and columns. Paths are in `paths.py`. Nothing of the data becomes
code: names in it are those of R4's definitions, and texts of the view are literals.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from hc_assets.fhir.fhirpath import EvaluationError, TypeView
from hc_assets.fhir.views.definition import Column, Select, View
from hc_assets.fhir.views.fast import support
from hc_assets.fhir.views.fast.paths import PathWriter
from hc_assets.fhir.views.fast.structs import Members, UnsupportedError
from hc_assets.fhir.views.fast.writer import Value, Writer

# Takes resources, a list for each column with one for the number of each row's resource, and what
# to call with the number and bytes of a resource that only the general way can do.
Run = Callable[[Sequence[bytes], list[list[Any]], Callable[[int, bytes], None]], None]
# What JSON can be that the structs have no place for, and what has no value.
_FAULTS = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    EvaluationError,
    support.TakeGeneralWayError,
)
_Rest = Callable[[], None]


def generated(view: View, types: TypeView) -> Run:
    """Generate the code of a view, and compile it.

    Raises:
        UnsupportedError: the view needs what only the general way does.
    """
    writer = Writer()
    members = Members(types, view.resource)
    source = _Source(view, writer, members, types)
    source.write()
    names: dict[str, Any] = {
        name: getattr(support, name) for name in support.__all__ if name != "decimal_text"
    }
    names |= {"Decimal": Decimal, "decode": members.decoder().decode, "FAULTS": _FAULTS}
    siblings = "|".join(sorted(map(re.escape, members.primitives)))
    names["has_sibling"] = re.compile(rf'"_(?:{siblings})"'.encode()).search
    try:
        code = compile(writer.text(), f"<view {view.name}>", "exec")
        # Our own code: texts of the view are literals in it
        exec(code, names)  # noqa: S102  # nosec B102
    except SyntaxError as error:  # more blocks within one another than Python has
        raise UnsupportedError("a view of so many levels") from error
    run: Run = names["run"]
    return run


class _Source:
    """Writes the function of one view."""

    def __init__(self, view: View, writer: Writer, members: Members, types: TypeView) -> None:
        self._view, self._write, self._members = view, writer, members
        self._paths = PathWriter(writer, members, types)
        self._cells: list[str] = ["None"] * len(view.columns())

    def write(self) -> None:
        """Write all of it."""
        write, count = self._write, len(self._cells)
        with write.block("def run(resources, lists, general):"):
            for number in range(count + 1):
                write.line(f"a{number} = lists[{number}].append")
            write.line("rows = lists[-1]")
            with write.block("for number, data in enumerate(resources):"):
                write.line("start = len(rows)")
                with write.block("try:"):
                    with write.block("if b'_' in data and has_sibling(data) is not None:"):
                        write.line("raise TakeGeneralWayError")
                    write.line("r = decode(data)")
                    with write.block(f"if r.resourceType != {self._view.resource!r}:"):
                        write.line("continue")
                    self._write_rows()
                with write.block("except FAULTS:"):
                    with write.block("for each in lists:"):
                        write.line("del each[start:]")
                    write.line("general(number, data)")

    def _write_rows(self) -> None:
        root = Value("r", "struct", False, self._members.root, True, True)
        for each in self._view.wheres:
            truth = self._paths.truth(each.tree, root, "0")
            with self._write.block(f"if {truth} is not True:"):
                self._write.line("continue")
        self._write_parts(list(_placed(self._view.selects, 0)), root, "0", self._write_row)

    def _write_row(self) -> None:
        for number, cell in enumerate(self._cells):
            self._write.line(f"a{number}({cell})")
        self._write.line(f"a{len(self._cells)}(number)")

    def _write_parts(
        self,
        parts: list[tuple[int, tuple[Select, ...]]],
        focus: Value,
        index: str,
        rest: _Rest,
    ) -> None:
        """Write parts whose rows are combined; several selects in one are a union."""
        if not parts:
            rest()
            return
        # What is one row is worked out once, ahead of what is repeated
        (offset, union), *others = sorted(parts, key=lambda part: not _is_one_row(part[1]))
        for select in union:
            self._write_select(
                select,
                offset,
                focus,
                index,
                lambda: self._write_parts(others, focus, index, rest),
            )

    def _write_select(
        self, select: Select, offset: int, focus: Value, index: str, rest: _Rest
    ) -> None:
        if select.repeat:
            raise UnsupportedError("repeat")
        if select.for_each is None:
            self._write_columns(select, offset, focus, index, rest)
            return
        found = self._paths.value(select.for_each.tree, focus, index)
        if found.kind == "":
            raise UnsupportedError("a path to nothing")
        write, or_null = self._write, select.or_null
        kind, position = found.kind, found.position
        if not found.is_many:
            with write.block("if True:" if or_null else f"if {found.name} is not None:"):
                item = Value(found.name, kind, False, position, not or_null, found.is_resource)
                self._write_columns(select, offset, item, "0", rest)
            return
        each, number = write.name(), write.name()
        empty = "(None,)" if or_null else "()"
        with write.block(f"for {number}, {each} in enumerate({found.name} or {empty}):"):
            item = Value(each, kind, False, position, not or_null)
            self._write_columns(select, offset, item, number, rest)

    def _write_columns(
        self, select: Select, offset: int, focus: Value, index: str, rest: _Rest
    ) -> None:
        for number, column in enumerate(select.columns):
            self._cells[offset + number] = self._cell(column, focus, index)
        below = list(_placed(select.selects, offset + len(select.columns)))
        if select.unions:
            after = sum(len(list(each.all_columns())) for each in select.selects)
            below.append((offset + len(select.columns) + after, select.unions))
        self._write_parts(below, focus, index, rest)

    def _cell(self, column: Column, focus: Value, index: str) -> str:
        """Write what gives the value of a column; returns its variable."""
        value = self._paths.value(column.path.tree, focus, index)
        if value.kind == "":
            return "[]" if column.is_collection else "None"
        if column.is_collection:
            each = _kept("each", value.kind, column)
            listed = f"{value.name} or ()" if value.is_many else f"({value.name},)"
            condition = "" if value.is_many or value.is_there else " if each is not None"
            return self._write.assign(f"[{each} for each in {listed}{condition}]")
        name = self._paths.single(value)
        kept = _kept(name, value.kind, column)
        if kept == name:
            return name
        return self._write.assign(kept if value.is_there else f"None if {name} is None else {kept}")


def _kept(name: str, kind: str, column: Column) -> str:
    """A value as the column keeps it."""
    if kind == column.family == "decimal":
        return f"number_text({name})"
    if kind == "integer" and column.family == "decimal":
        return f"str({name})"
    if kind != column.family:
        raise UnsupportedError("a column of another type than its path")
    return name


def _placed(selects: Sequence[Select], offset: int) -> list[tuple[int, tuple[Select, ...]]]:
    """Selects, each with the place of its first column."""
    placed: list[tuple[int, tuple[Select, ...]]] = []
    for each in selects:
        placed.append((offset, (each,)))
        offset += len(list(each.all_columns()))
    return placed


def _is_one_row(union: tuple[Select, ...]) -> bool:
    """Whether a part gives one row, whatever the resource."""
    return len(union) == 1 and not (
        union[0].for_each
        or union[0].repeat
        or union[0].unions
        or not all(_is_one_row((each,)) for each in union[0].selects)
    )
