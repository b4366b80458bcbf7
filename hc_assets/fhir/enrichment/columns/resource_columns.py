"""What is done to a column of texts at once: equal ones found, some replaced, pieces joined.

Belongs here: calling `fhir/enrichment/columns/native/resource_columns.c`. What it is done for is in
`enrich.py`.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.compiled import load_library
from hc_assets.fhir.enrichment.columns.resource_texts import Members, Numbers, Texts

Keys = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]
Indexes = npt.NDArray[np.int32]
# Of a plan: pairs of members, periods, members in life, members in the encounter.
PAIRS, PERIODS, IN_LIFE, IN_ENCOUNTER = 2, 4, 3, 3
PLAN = np.dtype(
    [
        ("pairs", "i4", (PAIRS, 2)),
        ("periods", "i4", (PERIODS,)),
        ("in_life", "i4", (IN_LIFE,)),
        ("in_encounter", "i4", (IN_ENCOUNTER,)),
    ]
)

# What facts of time are judged by; without gaps. See `batch_index.py`.
PATIENT = np.dtype(
    [
        ("key", "u8"),
        ("birth_first", "i8"),
        ("birth_last", "i8"),
        ("death_first", "i8"),
        ("death_last", "i8"),
        ("death_has_time", "?"),
        ("sex", "u1"),
    ]
)
ENCOUNTER = np.dtype(
    [
        ("key", "u8"),
        ("start_first", "i8"),
        ("start_has_time", "?"),
        ("end_last", "i8"),
        ("end_has_time", "?"),
    ]
)
_LAYOUT = {
    "version": 1,
    "Span": 2 * np.dtype(np.int32).itemsize,
    "Place": 2 * np.dtype(np.int64).itemsize,
    "Reference": 3 * np.dtype(np.int64).itemsize,
    "Piece": 3 * np.dtype(np.int64).itemsize,
    "Plan": PLAN.itemsize,
    "Patient": PATIENT.itemsize,
    "Encounter": ENCOUNTER.itemsize,
}


@cache
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.fhir.enrichment.columns._resource_texts", _LAYOUT)
    number, place = ctypes.c_int64, ctypes.c_void_p
    library.hc_distinct.argtypes = [place, place, place, number, place, place, number]
    library.hc_replaced.argtypes = [
        place,
        place,
        number,
        place,
        number,
        *[place] * 4,
        number,
        place,
    ]
    library.hc_replaced.restype = number
    library.hc_judged.argtypes = [place, place, number, *[place] * 10]
    library.hc_joined.argtypes = [place, place, number, number, place, place]
    library.hc_rows_with.argtypes = [place, place, number, place, number, place]
    library.hc_rows_with.restype = None
    library.hc_hashed.argtypes = [place, place, number, number, place, place, place]
    library.hc_hashed.restype = None
    library.hc_distinct.restype = library.hc_judged.restype = library.hc_joined.restype = None
    return library


def distinct(data: bytes, places: Numbers, groups: Indexes) -> tuple[Numbers, Numbers]:
    """Find which texts are equal.

    Args:
        data: where they are.
        places: rows of two: where each begins and ends; one that begins before 0 is left out.
        groups: only texts of one group are equal.

    Returns:
        Numbers of the first of each, in order; of each text, which of these it equals, or -1.
    """
    count = len(places)
    places, groups = np.ascontiguousarray(places), np.ascontiguousarray(groups, np.int32)
    first = np.empty(count, np.int64)
    table = np.empty(1 << (2 * count + 1).bit_length(), np.int64)
    _library().hc_distinct(
        data,
        places.ctypes.data,
        groups.ctypes.data,
        count,
        first.ctypes.data,
        table.ctypes.data,
        len(table),
    )
    is_first = first == np.arange(count)
    numbers = np.cumsum(is_first) - 1
    return np.flatnonzero(is_first), np.where(first < 0, -1, numbers[first])


def rows_with(signs: Sequence[bytes], texts: Texts) -> npt.NDArray[np.bool_]:
    """Find which texts hold one of some bytes at least."""
    rows = len(texts.offsets) - 1
    holds, found = np.zeros(rows, bool), np.empty(rows, np.uint8)
    for sign in signs:
        _library().hc_rows_with(
            texts.buffer, texts.offsets.ctypes.data, rows, sign, len(sign), found.ctypes.data
        )
        holds |= found.astype(bool)
    return holds


def replaced(texts: Texts, references: Numbers, which: Numbers, new: Sequence[bytes]) -> Texts:
    """Put other texts in place of some references.

    Args:
        texts: in which they are.
        references: as `Compact.references`.
        which: of each, the number of the text to put there, or -1.
        new: those texts.
    """
    offsets, ends = np.empty_like(texts.offsets), _ends(new)
    grown = (np.diff(ends)[which] - (references[:, 2] - references[:, 1]))[which >= 0].sum()
    out = np.empty(len(texts.buffer) + int(grown), np.uint8)
    size = _library().hc_replaced(
        texts.buffer,
        texts.offsets.ctypes.data,
        len(offsets) - 1,
        references.ctypes.data,
        len(references),
        which.ctypes.data,
        b"".join(new),
        ends.ctypes.data,
        out.ctypes.data,
        len(out),
        offsets.ctypes.data,
    )
    if size != len(out):
        raise ValueError("references are not in the order of their texts")
    return Texts(out.tobytes(), offsets)


def judged(
    members: Members,
    *,
    plan_of: Indexes,
    plans: Records,
    patient_of: Numbers,
    patients: Records,
    encounter_of: Numbers,
    encounters: Records,
    sex_of_code: npt.NDArray[np.uint8],
) -> Indexes:
    """Count the facts of time and sex that can be judged of each resource.

    Args:
        members: of the resources.
        plan_of: number of each one's plan; -1 where nothing is asked of it.
        plans: of the type PLAN: places of members; -1 where there is none.
        patient_of: number of each one's patient; -1 where there is none.
        patients: as in a `BatchIndex`.
        encounter_of: number of each one's encounter; -1 where there is none.
        encounters: as in a `BatchIndex`.
        sex_of_code: number of the sex, as in a `BatchIndex`, of those who can have what it codes;
            0 where anybody can.

    Returns:
        Of each resource, how many; -1 where one does not hold, or is for `consistency` to read.
    """
    counts = np.empty(len(plan_of), np.int32)
    _library().hc_judged(
        members.texts.buffer,
        members.texts.offsets.ctypes.data,
        len(plan_of),
        members.first.ctypes.data,
        members.values.ctypes.data,
        plan_of.ctypes.data,
        plans.ctypes.data,
        patient_of.ctypes.data,
        patients.ctypes.data,
        encounter_of.ctypes.data,
        encounters.ctypes.data,
        sex_of_code.ctypes.data,
        counts.ctypes.data,
    )
    return counts


def joined(sources: Sequence[bytes], pieces: npt.NDArray[np.int64], absent: pa.Array) -> pa.Array:
    """Join pieces of texts into a column.

    Args:
        sources: the texts.
        pieces: shape (rows, pieces of each, 3): number of a text, where the piece begins and ends.
        absent: of each row, whether it is null.
    """
    rows, of_each, _ = pieces.shape
    pieces = np.ascontiguousarray(pieces)
    size = int((pieces[:, :, 2] - pieces[:, :, 1]).sum())
    if size > np.iinfo(np.int32).max:
        raise ValueError("more than 2 GiB of resources in one record batch")
    out, offsets = np.empty(size, np.uint8), np.empty(rows + 1, np.int32)
    addresses = (ctypes.c_char_p * len(sources))(*sources)
    _library().hc_joined(
        addresses, pieces.ctypes.data, rows, of_each, out.ctypes.data, offsets.ctypes.data
    )
    valid = pc.invert(absent)
    buffers = [valid.buffers()[1], pa.py_buffer(offsets), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.binary(), rows, buffers)


def hashed(data: bytes, places: Numbers, seeds: Keys) -> Keys:
    """Hash several JSON texts together, the same whatever white space is between their tokens.

    Args:
        data: where they are.
        places: shape (rows, texts of each, 2): where each begins and ends; one that begins before 0
            is absent.
        seeds: of each row, what else its hash depends on.
    """
    rows, of_each, _ = places.shape
    places = np.ascontiguousarray(places)
    longest = int((places[:, :, 1] - places[:, :, 0]).sum(axis=1).max(initial=0))
    scratch, hashes = np.empty(longest + of_each, np.uint8), np.empty(rows, np.uint64)
    _library().hc_hashed(
        data,
        places.ctypes.data,
        rows,
        of_each,
        seeds.ctypes.data,
        scratch.ctypes.data,
        hashes.ctypes.data,
    )
    return hashes


def _ends(texts: Sequence[bytes]) -> Numbers:
    return np.cumsum([0, *map(len, texts)], dtype=np.int64)
