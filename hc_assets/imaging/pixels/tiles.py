"""The tiles of a mosaic as frames: whoever reads frames sees slices, and never a mosaic.

Belongs here: numbering and cutting. What the tiles are is in `imaging/headers/mosaics.py`. A tile
has the number of its frame times the tiles of a frame, and its own number: as mosaics have one
frame, that is its place among the slices.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hc_assets.imaging.headers.mosaics import Tiling
from hc_assets.imaging.pixels.decoding import UndecodableFrame

if TYPE_CHECKING:
    from hc_assets.imaging.pixels.frames import Frame


def frames_with(tiling: Tiling, wanted: frozenset[int] | None) -> frozenset[int] | None:
    """Numbers of the stored frames that hold some tiles; None for all."""
    return None if wanted is None else frozenset(number // tiling.count for number in wanted)


def tiles_of(
    frame: "Frame | UndecodableFrame", tiling: Tiling, wanted: frozenset[int] | None
) -> "Iterator[Frame | UndecodableFrame]":
    """Cut a mosaic.

    Args:
        frame: the whole of it.
        tiling: what its tiles are.
        wanted: numbers of the tiles that are wanted; None for all.

    Yields:
        Each of them as a frame with its own number, and its own place in the patient; of a frame
        that can't be decoded, the reason for each.
    """
    first = frame.index * tiling.count
    for tile in range(tiling.count):
        if wanted is not None and first + tile not in wanted:
            continue
        if isinstance(frame, UndecodableFrame):
            yield replace(frame, index=first + tile)
            continue
        part = tiling.part(tile)
        padding = None if frame.padding is None else np.ascontiguousarray(frame.padding[part])
        position = None if tiling.positions is None else tiling.positions[tile]
        yield replace(
            frame,
            index=first + tile,
            pixels=np.ascontiguousarray(frame.pixels[part]),
            padding=padding if padding is not None and padding.any() else None,
            context=replace(frame.context, position=position),
        )
