"""The fast path: is this resource certainly valid? It may say that it can't decide.

Belongs here: calling the compiled code in `native/` with the packed table, and what it leaves to
Python: narratives. Issues in words belong to `fhir/r4/walker.py`.
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import msgspec

from hc_assets.core.compiled import load_library
from hc_assets.fhir.r4.fast.packed_rows import (
    FORMS,
    KINDS,
    MAX_CAPTURES,
    ROLES,
    SYNTAXES,
    ComponentRow,
    ExtensionRow,
    MemberRow,
    Packed,
    PackedTable,
    Pair,
    ShapeRow,
    SlotRow,
    VitalSignRow,
    row_size,
)
from hc_assets.fhir.r4.fast.packing import pack
from hc_assets.fhir.r4.fast.rule_code import OPERATIONS, TRUTHS
from hc_assets.fhir.r4.json_text import MAX_BYTES, MAX_DEPTH
from hc_assets.fhir.r4.primitives import MAX_STRING_LENGTH
from hc_assets.fhir.r4.rules.narrative import has_content, narrative_dangers, narrative_fault

_CANNOT_TELL, _ASK_MORE = -1, -2
_LAYOUT = {
    "version": 1,
    "Packed": ctypes.sizeof(Packed),
    "MemberRow": row_size(MemberRow),
    "ShapeRow": row_size(ShapeRow),
    "ExtensionRow": row_size(ExtensionRow),
    "SlotRow": row_size(SlotRow),
    "VitalSignRow": row_size(VitalSignRow),
    "ComponentRow": row_size(ComponentRow),
    "Pair": ctypes.sizeof(Pair),
    "forms": len(FORMS),
    "kinds": len(KINDS),
    "roles": len(ROLES),
    "syntaxes": len(SYNTAXES),
    "operations": len(OPERATIONS),
    "truths": len(TRUTHS),
    "captures": MAX_CAPTURES,
    "depth": MAX_DEPTH,
    "string length": MAX_STRING_LENGTH,
}


@cache
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.fhir.r4.fast._fast_path", _LAYOUT)
    pairs = ctypes.POINTER(ctypes.POINTER(Pair))
    library.hc_table_new.argtypes = [ctypes.POINTER(Packed)]
    library.hc_table_new.restype = ctypes.c_void_p
    library.hc_run_new.argtypes = [ctypes.c_void_p]
    library.hc_run_new.restype = ctypes.c_void_p
    library.hc_run_free.argtypes = [ctypes.c_void_p]
    library.hc_run_free.restype = None
    library.hc_accept.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.hc_accept_envelope.argtypes = library.hc_accept.argtypes
    library.hc_holds_only_data.argtypes = [ctypes.c_void_p]
    library.hc_narratives.argtypes = [ctypes.c_void_p, pairs]
    library.hc_bare.argtypes = [ctypes.c_void_p, pairs]
    return library


class _Table:
    """The packed table, and what the compiled code made of it; kept as long as the process."""

    def __init__(self) -> None:
        self.packed: PackedTable = pack()
        self.handle = _library().hc_table_new(ctypes.byref(self.packed.header))
        if not self.handle:
            raise MemoryError
        self.bare_root = [[name] for name in self.packed.shape_names]


_TABLE_LOCK = threading.Lock()


@cache
def _made_table() -> _Table:
    return _Table()


def _table() -> _Table:
    with _TABLE_LOCK:  # `cache` alone would let two threads make one each
        return _made_table()


class _Run:
    """The compiled code's memory of one text: one per thread."""

    def __init__(self) -> None:
        self.table = _table()
        self._library = _library()
        self.handle = self._library.hc_run_new(self.table.handle)
        if not self.handle:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._library.hc_run_free(self.handle)

    def pairs(self, of: Callable[..., int]) -> list[tuple[int, int]]:
        """The pairs that one of the library's functions gives."""
        items = ctypes.POINTER(Pair)()
        count = of(self.handle, ctypes.byref(items))
        return [(items[i].first, items[i].second) for i in range(count)]


_THREAD = threading.local()


def _run() -> _Run:
    run: _Run | None = getattr(_THREAD, "run", None)
    if run is None:
        run = _THREAD.run = _Run()
    return run


def _narrative_is_valid(text: bytes) -> bool:
    try:
        div = msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        return False
    return narrative_fault(div) is None and has_content(div) and not narrative_dangers(div)


def accept(raw: bytes) -> list[str] | None:
    """Decide whether a resource is certainly valid.

    Args:
        raw: the resource as JSON; any bytes.

    Returns:
        Where it is valid, the FHIRPath locations of domain resources in it that have no narrative
        (dom-6); None where the thorough path must decide.
    """
    if len(raw) > MAX_BYTES:
        return None
    run = _run()
    outcome = _library().hc_accept(run.handle, raw, len(raw))
    if outcome > 0:
        return run.table.bare_root[outcome - 1]
    if outcome == _CANNOT_TELL:
        return None
    return [] if outcome != _ASK_MORE else _remarks(run, raw)


def undecided(address: int, offsets: Sequence[int]) -> list[int]:
    """Decide of many resources whether each is certainly valid, where they lie.

    Args:
        address: of the memory that holds their texts, which stays as long as this runs.
        offsets: where in it each text begins, and the last one ends; one more than there are texts.

    Returns:
        The numbers of those that `accept` can't tell of.
    """
    run, call = _run(), _library().hc_accept
    handle = run.handle
    found = []
    for number, (begin, end) in enumerate(pairwise(offsets)):
        size = end - begin
        outcome = _CANNOT_TELL if size > MAX_BYTES else call(handle, address + begin, size)
        if outcome == _ASK_MORE:
            remarks = _remarks(run, ctypes.string_at(address + begin, size))
            outcome = _CANNOT_TELL if remarks is None else 0
        if outcome == _CANNOT_TELL:
            found.append(number)
    return found


def _remarks(run: _Run, raw: bytes) -> list[str] | None:
    """The same for a text with narratives, or with entries that lack them."""
    library = _library()
    for begin, end in run.pairs(library.hc_narratives):
        if not _narrative_is_valid(raw[begin:end]):
            return None
    names = run.table.packed.shape_names
    return [
        names[shape] if entry < 0 else f"Bundle.entry[{entry}].resource"
        for entry, shape in run.pairs(library.hc_bare)
    ]


def accept_envelope(raw: bytes) -> bool:
    """Decide whether a Bundle is certainly valid but for the resources in its entries.

    Args:
        raw: the Bundle as JSON; any bytes.

    Returns:
        True where nothing is wrong with the Bundle itself, nor with a resource for where it is:
        each has only to be judged on its own. False where the thorough path must decide.
    """
    return len(raw) <= MAX_BYTES and bool(
        _library().hc_accept_envelope(_run().handle, raw, len(raw))
    )


def holds_only_data() -> bool:
    """Whether the Bundle that this thread has accepted last holds resources to be stored alone.

    False says nothing: entries have to be looked at one by one.
    """
    return bool(_library().hc_holds_only_data(_run().handle))
