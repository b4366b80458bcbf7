"""Lines of Python that are being written, with what is already worked out at each place.

Belongs here: names, indentation, and which expression has been evaluated where. What is written is
decided in `paths.py` and `source.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hc_assets.fhir.views.fast.structs import Kind, Position, UnsupportedError

# More than any view in use has; the continuation of each part of a union is written again.
_MOST_LINES = 4_000


@dataclass(frozen=True)
class Value:
    """What an expression has given, in generated code.

    Attributes:
        name: variable or literal in Python; a list, or None, where there may be many.
        kind: of each value; "" where there never is one.
        is_many: whether it is a list.
        position: the element that each value is; None of a primitive.
        is_there: whether it can't be None.
        is_resource: whether it is the resource itself.
    """

    name: str
    kind: Kind | str
    is_many: bool = False
    position: Position | None = None
    is_there: bool = False
    is_resource: bool = False


NOTHING = Value("None", "")


@dataclass(frozen=True)
class Choice:
    """A choice element whose type is not narrowed yet: `value` of an Observation.

    Attributes:
        base: the element that it is of.
        members: that it may be in, each with its type.
    """

    base: Value
    members: tuple[tuple[str, str], ...]


class Writer:
    """Writes lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0
        self._known: list[dict[Any, Any]] = [{}]

    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"

    def line(self, text: str) -> None:
        """Write a line."""
        if len(self._lines) >= _MOST_LINES:
            raise UnsupportedError("a view of so many parts")
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write a line and, indented, what the block writes.

        What is worked out in it is not known after it.
        """
        self.line(head)
        start = len(self._lines)
        self._depth += 1
        self._known.append({})
        try:
            yield
        finally:
            if len(self._lines) == start:
                self._lines.append("    " * self._depth + "pass")
            self._known.pop()
            self._depth -= 1

    def name(self) -> str:
        """A variable that is not used yet."""
        self._names += 1
        return f"v{self._names}"

    def assign(self, text: str) -> str:
        """Write an assignment to a new variable, and return its name."""
        name = self.name()
        self.line(f"{name} = {text}")
        return name

    def known(self, key: Any) -> Any:
        """What was worked out under a key, where that holds here; None where nothing was."""
        return next((known[key] for known in reversed(self._known) if key in known), None)

    def keep(self, key: Any, value: Any) -> Any:
        """Remember what is worked out under a key, until the block ends; returns it."""
        self._known[-1][key] = value
        return value
