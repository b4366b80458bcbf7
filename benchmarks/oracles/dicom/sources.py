"""The files that are damaged, and all that are compared as they are.

Belongs here: which files, and how small. The damage is in `mutations.py`.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from benchmarks.oracles.dicom.mutations import OF_HEADERS, OF_PIXELS, Source, mutated, places_of
from hc_assets.imaging.headers.element_walk import UNDEFINED
from hc_assets.imaging.headers.reading import UnreadableFile, opened, parse

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data" / "dicom"
LARGEST = 140_000
"""Bytes of a file that is damaged with its pixels."""
LARGEST_HEADER = 14_000
_SOME_PIXELS = 64
_PREFIX = 132


class Mutant(NamedTuple):
    """A damaged file.

    Attributes:
        number: from 0; with the seed it says all.
        source: the file that was damaged.
        kind: of damage.
        data: its bytes.
    """

    number: int
    source: Source
    kind: str
    data: bytes


def files(shared: Path = SHARED) -> list[Path]:
    """Every DICOM file at hand: those of the shared data and pydicom's own, in order of size."""
    folders = [shared, Path(pydicom.__file__).parent / "data"]
    found = [path for folder in folders for path in sorted(folder.rglob("*.dcm"))]
    return sorted(found, key=lambda path: (path.stat().st_size, path.name))


def sources(paths: list[Path]) -> list[Source]:
    """Files as they can be damaged: small ones whole, and of all a header with few pixel bytes."""
    found = []
    for path in paths:
        source = _source(path)
        if source is None:
            continue
        if len(source.data) <= LARGEST and source.pixels is not None:
            found.append(source)
        header = _header(source)
        if len(header) <= LARGEST_HEADER:
            name = f"{source.name}, header"
            places = [each for each in source.places if each.at < len(header)]
            found.append(Source(name, header, source.syntax, False, places))
    return found


def _header(source: Source) -> bytes:
    """A file with few bytes of pixels, of which its header says so; none where they are encoded."""
    pixels = source.pixels
    if pixels is None:
        return source.data
    if pixels.length == UNDEFINED:
        return source.data[: pixels.at]
    size = min(_SOME_PIXELS, pixels.length)
    length = struct.pack(source.order + "L", size)
    return source.data[: pixels.value - 4] + length + source.data[pixels.value :][:size]


def _source(path: Path) -> Source | None:
    data = path.read_bytes()
    if data[128:132] != b"DICM":
        return None
    try:
        with opened(path) as file:
            header, _ = parse(file)
    except UnreadableFile:
        return None
    if header.transfer_syntax == DeflatedExplicitVRLittleEndian or not header.meta:
        return None
    start = max(each.value_tell + len(each.value or b"") for each in header.meta.values())
    meta = places_of(data[:start], _PREFIX, is_implicit=False, is_little=True)
    places = places_of(
        data,
        start,
        is_implicit=header.transfer_syntax == ImplicitVRLittleEndian,
        is_little=header.is_little_endian,
    )
    return Source(path.name, data, str(header.transfer_syntax), True, [*meta, *places])


def mutants(found: list[Source], seed: int, count: int, first: int = 0) -> Iterator[Mutant]:
    """Damaged files, the same for the same sources and seed, from a number on."""
    whole = [each for each in found if each.has_pixels]
    headers = [each for each in found if not each.has_pixels]
    for number in range(first, count):
        rng = random.Random(f"{seed}-{number}")  # noqa: S311 - to be repeatable
        some, kinds = rng.choice([(whole, OF_PIXELS), (headers, OF_HEADERS)])
        kind = rng.choice(list(kinds))
        made = None
        while made is None:
            source = rng.choice(some)
            made = mutated(kind, kinds[kind], source, rng)
        yield Mutant(number, source, *made)
