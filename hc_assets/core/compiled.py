"""Loads the project's own compiled code, which is plain C without Python's interface.

Belongs here: finding a library beside its package. What its functions take belongs to the module
that calls them.
"""

import ctypes
from importlib.util import find_spec


def load_library(module: str) -> ctypes.CDLL:
    """Load a library that the build compiled.

    Args:
        module: its dotted name in `ext-modules` of pyproject.toml. Its functions are called without
            the interpreter's lock, so threads run beside one another.

    Raises:
        ImportError: it isn't there: the project was not installed, but only put on the path.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{module} is not compiled: install the project (pip install -e .)")
    return ctypes.CDLL(spec.origin)
