"""Where the entries of a usual Bundle are, found by compiled code in one pass.

Belongs here: calling `native/bundle_entries.c`. What an entry means, and all that is unusual, is
read in `bundle_splitting.py`.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from hc_assets.compiled import load_library

_FULL = -2
_ENTRIES = 1_024
_NUMBERS = 13


class Places(NamedTuple):
    """Where the parts of an entry begin and end in the Bundle's text; below 0 where it has none.

    `is_unusual` tells that it says something twice, has a response, or a resource that is no
    object: the places are not to be relied on then, but those of the whole.
    """

    begin: int
    end: int
    full_url: int
    full_url_end: int
    resource: int
    resource_end: int
    request: int
    request_end: int
    type: int
    type_end: int
    id: int
    id_end: int
    is_unusual: int


class BundlePlaces(NamedTuple):
    """Where the parts of a Bundle are: JSON of type, meta and timestamp, b"" where it has none."""

    type: bytes
    meta: bytes
    timestamp: bytes
    entries: Sequence[Places]


@cache
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.fhir._resource_texts")
    number, place = ctypes.c_int64, ctypes.c_void_p
    library.hc_bundle_entries.argtypes = [ctypes.c_char_p, number, place, place, number]
    library.hc_bundle_entries.restype = number
    return library


def bundle_places(text: bytes) -> BundlePlaces | None:
    """Find the parts of a Bundle.

    Args:
        text: valid JSON, with or without white space.

    Returns:
        None where the Bundle as a whole is unusual: no list of objects is its entry, or it says
        something twice.
    """
    head = np.empty(6, np.int64)
    capacity = _ENTRIES
    while True:
        found = np.empty((capacity, _NUMBERS), np.int64)
        count = _library().hc_bundle_entries(
            text, len(text), head.ctypes.data, found.ctypes.data, capacity
        )
        if count != _FULL:
            break
        capacity *= 8
    if count < 0:
        return None
    type_, meta, timestamp = (
        b"" if begin < 0 else text[begin:end] for begin, end in head.reshape(3, 2).tolist()
    )
    return BundlePlaces(type_, meta, timestamp, [Places(*row) for row in found[:count].tolist()])
