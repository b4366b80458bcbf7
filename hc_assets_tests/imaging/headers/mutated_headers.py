"""Headers with small damage, for holding the fast reader to the thorough one and to its memory.

As a program: reads so many of them with a library that was compiled with sanitizers, and prints how
many were not refused.
"""

import ctypes
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pydicom

from hc_assets.imaging.headers import fast_headers

_LARGEST = 12_000
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_VRS = re.compile(rb"(?<=[\x00-\xff]{4})(?:AE|CS|DS|IS|LO|PN|SH|UI|US|UL|FD|FL|SQ|OB|UN|AT)")


def headers(files: list[Path]) -> list[bytes]:
    """Small headers that the fast reader takes, each with a few bytes of pixels."""
    found = []
    for path in files:
        data = path.read_bytes()
        pixels = data.find(_PIXEL_DATA)
        header = data[: pixels + 60] if pixels > 0 else data
        if 200 < len(header) < _LARGEST and fast_headers.fast_header(path):
            found.append(header)
    return found


def mutants(sources: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    """So many damaged headers, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable one is what is wanted
    for _ in range(count):
        yield _mutated(rng.choice(sources), rng)


def _mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    at = rng.randrange(132, len(out) - 8)
    kind = rng.randrange(9)
    if kind < 3:
        out[at] = rng.choice(b'\\=^ \0\x1b\xe9\xff0123456789.-+eE"')
    elif kind == 3:
        some = rng.randrange(2, 24)
        out[at : at + some] = bytes(rng.choice(b"0189.\\-e+ \0=^AZaz\xc3\xa9") for _ in range(some))
    elif kind == 4:
        for match in [*_VRS.finditer(bytes(out), at)][:1]:
            vr = rng.choice([b"LO", b"DS", b"US", b"UN", b"SQ", b"FD", b"PN", b"OB"])
            out[match.start() : match.start() + 2] = vr
    elif kind == 5:
        out[at] = (out[at] + rng.choice([-2, -1, 1, 2])) % 256
    elif kind == 6:
        marks = [b"\xff\xff\xff\xff", bytes(4), b"\xfe\xff\0\xe0", b"\xfe\xff\r\xe0"]
        out[at : at + 4] = rng.choice(marks)
    elif kind == 7:
        del out[at:]
    else:
        del out[at : at + rng.randrange(1, 9)]
    return bytes(out)


def main() -> None:
    library, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fast_headers.load_library = lambda *_: ctypes.CDLL(library)  # type: ignore[assignment]
    sources = headers(sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")))
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.dcm"
        for mutant in mutants(sources, seed, count):
            path.write_bytes(mutant)
            accepted += fast_headers.fast_header(path) is not None
    sys.stdout.write(str(accepted))


if __name__ == "__main__":
    main()
