"""Contrast limited adaptive histogram equalisation (CLAHE) without a loss of values.

Belongs here: calling `imaging/preprocessing/native/local_contrast.c`. Ranges are stretched in
`contrast.py`.

Why not a library's: OpenCV clips its 65,536 bins at one count or more, which in the tiles of a CT
slice cuts off all contrast (its result differs from its input by 0.2 %), and scikit-image sorts
values into 256 bins, each of which becomes one value. `benchmarks/preprocessing.py` shows both.
"""

import ctypes
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hc_assets.core.compiled import load_library

_Sides = ctypes.c_int * 2
_LAYOUT = {
    "version": 1,
    "pixel": np.dtype(np.float32).itemsize,
    "sides": ctypes.sizeof(_Sides),
    "size": ctypes.sizeof(ctypes.c_int),
    "limit": ctypes.sizeof(ctypes.c_double),
}


def equalised(
    pixels: NDArray[np.float32],
    *,
    clip_limit: float,
    tiles: int,
    bins: int,
    skip_zeros: bool = False,
) -> NDArray[np.float32]:
    """Equalise the histogram of each region, with limited contrast.

    Zuiderveld, Graphics Gems IV (1994), with maps that are straight within a bin: order and
    difference of values survive however few bins there are, so that 16 bits stay 16 bits.

    Args:
        pixels: rows by columns, 0 to 1: already stretched, so that all bins are used.
        clip_limit: how far a bin may rise above the mean one; what is above is spread over all, so
            that differences of values grow by at most this and 1.
        tiles: along each side; fewer where there are fewer pixels.
        bins: of the histograms.
        skip_zeros: whether zeros are no tissue: they count nowhere and stay 0.

    Returns:
        Values from 0 to 1; within a tile a greater one stays the greater.
    """
    source = np.ascontiguousarray(pixels, np.float32)
    made = np.empty_like(source)
    rows, columns = source.shape
    sides = _Sides(min(tiles, rows), min(tiles, columns))
    failed = _function()(
        source.ctypes.data, made.ctypes.data, rows, columns, sides, bins, clip_limit, skip_zeros
    )
    if failed:
        raise MemoryError(f"no memory for {tiles} by {tiles} histograms of {bins} bins")
    return made


@cache
def _function() -> "ctypes._NamedFuncPointer":
    function = load_library("hc_assets.imaging.preprocessing._local_contrast", _LAYOUT).hc_equalise
    size = ctypes.c_int
    function.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, size, size),
        *(_Sides, size, ctypes.c_double, size),
    ]
    function.restype = ctypes.c_int
    return function
