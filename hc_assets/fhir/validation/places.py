"""Where in a text the elements are that issues speak of: lines and columns for programs.

Belongs here: finding FHIRPath locations in JSON text. What is wrong there was found on the values,
which know no lines; so the text is gone through once more, only where there are issues.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from hc_assets.fhir.r4.json_faults import Place

# From this size a text is not gone through: a search in it would cost more than the judgement.
MAX_TEXT = 64 * 1024**2
_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")
_SPACE = re.compile(r"[ \t\r\n]*")
_scan_string: Any = json.decoder.scanstring  # type: ignore[attr-defined] # which typeshed leaves out
# Numbers stay text: only their ends matter.
_skip: Any = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=str, strict=False
).scan_once  # type: ignore[attr-defined] # of JSONDecoder since its beginning

Steps = tuple[str | int, ...]


class _Node:
    """A place that is looked for, or on the way to one."""

    def __init__(self) -> None:
        self.below: dict[str | int, _Node] = {}
        self.at: int | None = None

    def add(self, steps: Steps) -> list["_Node"]:
        """Add a place; returns the nodes on the way to it, this one first."""
        way = [self]
        for step in steps:
            way.append(way[-1].below.setdefault(step, _Node()))
        return way


def steps_of(expression: str) -> Steps:
    """Return the members and indexes that a location of an `Issue` goes through, from its root."""
    parts = _STEP.findall(expression)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts[1:])


def places(text: bytes, wanted: Iterable[Steps], line: int = 1) -> list[Place | None]:
    """Find elements in a text.

    Args:
        text: JSON.
        wanted: members and indexes to each, from the root.
        line: that the text begins in.

    Returns:
        For each, where its member begins, or the array's item; of one that is missing, that of the
        nearest one around it. None where the text is no JSON, or too large to be searched.
    """
    root = _Node()
    ways = [root.add(steps) for steps in wanted]
    if len(text) > MAX_TEXT:
        return [None] * len(ways)
    chars = text.decode("utf-8", "replace")
    try:
        begin = _space(chars, 0)
        root.at = begin
        _walk(chars, begin, root)
    except (ValueError, IndexError, StopIteration, RecursionError):
        return [None] * len(ways)
    ends = [found.start() for found in re.finditer("\n", chars)]
    return [_place(ends, _nearest(way), line) for way in ways]


def _nearest(way: Sequence[_Node]) -> int:
    return next(node.at for node in reversed(way) if node.at is not None)


def _place(ends: list[int], at: int, line: int) -> Place:
    before = bisect_left(ends, at)
    begin = ends[before - 1] + 1 if before else 0
    return Place(line + before, at - begin + 1)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _walk(text: str, at: int, node: _Node) -> int:
    """Note where what is below a node is; returns the end of the value."""
    if node.below and text[at] == "{":
        return _walk_object(text, _space(text, at + 1), node)
    if node.below and text[at] == "[":
        return _walk_array(text, _space(text, at + 1), node)
    return int(_skip(text, at)[1])


def _walk_object(text: str, at: int, node: _Node) -> int:
    while text[at] != "}":
        name, end = _scan_string(text, at + 1, False)
        value = _space(text, _space(text, end) + 1)
        # What is in `_birthDate` is named as below `birthDate`
        child = node.below.get(name) or node.below.get(name.removeprefix("_"))
        if child is None:
            end = int(_skip(text, value)[1])
        else:
            if child.at is None or name in node.below:
                child.at = at
            end = _walk(text, value, child)
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
    return at + 1


def _walk_array(text: str, at: int, node: _Node) -> int:
    index = 0
    while text[at] != "]":
        child = node.below.get(index)
        if child is None:
            end = int(_skip(text, at)[1])
        else:
            child.at = at if child.at is None else child.at
            end = _walk(text, at, child)
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
        index += 1
    return at + 1
