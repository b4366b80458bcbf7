"""Loads the project's own compiled code, which is plain C without Python's interface.

Belongs here: finding a library beside its package, and refusing one that was compiled for another
layout than its caller's. What its functions take belongs to the module that calls them, what a
library states of its layout to `LAYOUT(...)` in its sources (see `core/native/layout.h`).
"""

import ctypes
from collections.abc import Mapping
from importlib.util import find_spec


class _Fact(ctypes.Structure):
    """`LayoutFact` of `core/native/layout.h`."""

    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_int64))


def load_library(module: str, layout: Mapping[str, int]) -> ctypes.CDLL:
    """Load a library that the build compiled.

    Args:
        module: its dotted name in `ext-modules` of pyproject.toml. Its functions are called without
            the interpreter's lock, so threads run beside one another.
        layout: what the caller relies on, by the names that the library's `LAYOUT` has: sizes of
            rows in bytes, numbers of kinds, limits, and a `version` that a change of a function's
            arguments raises. What the library states beyond that is for its other callers.

    Raises:
        ImportError: it isn't there: the project was not installed, but only put on the path; or it
            was compiled for another layout, or before libraries stated theirs.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{module} is not compiled: install the project (pip install -e .)")
    library = ctypes.CDLL(spec.origin)
    compiled = _layout_of(library)
    differing = [name for name, value in layout.items() if compiled.get(name) != value]
    if differing:
        raise ImportError(
            f"{module} was compiled for another version: reinstall (pip install -e .); "
            f"{', '.join(differing)} differ"
        )
    return library


def _layout_of(library: ctypes.CDLL) -> dict[str, int]:
    """What a library states; nothing where it is older than this handshake."""
    if not hasattr(library, "hc_layout"):
        return {}
    library.hc_layout.argtypes = []
    library.hc_layout.restype = ctypes.POINTER(_Fact)
    facts = library.hc_layout()
    layout: dict[str, int] = {}
    while (name := facts[len(layout)].name) is not None:
        layout[name.decode()] = facts[len(layout)].value
    return layout
