"""Resources as they are kept in an index file: some together, compressed, each byte for byte.

Belongs here: packing and unpacking. Compressed by DuckDB, some thousand neighbours would have to be
unpacked for each resource that is read; one by one they would take four times the room.
"""

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

import pyarrow as pa

RESOURCES, BYTES = 16, 65_536
"""A block is full with so many resources, or so many bytes."""
_CODEC = "zstd"
_NUMBER = struct.Struct("<I")


def pack(resources: Sequence[bytes]) -> bytes:
    """Put resources into a block."""
    sizes = struct.pack(f"<{len(resources) + 1}I", len(resources), *map(len, resources))
    content = b"".join((sizes, *resources))
    packed: bytes = pa.compress(content, codec=_CODEC, asbytes=True)
    return _NUMBER.pack(len(content)) + packed


def unpack(block: bytes) -> list[bytes]:
    """Take all resources from a block."""
    (size,) = _NUMBER.unpack_from(block)
    content = pa.decompress(block[_NUMBER.size :], size, codec=_CODEC, asbytes=True)
    (count,) = _NUMBER.unpack_from(content)
    sizes = struct.unpack_from(f"<{count}I", content, _NUMBER.size)
    start = _NUMBER.size * (count + 1)
    ends = list(accumulate(sizes, initial=start))
    return [content[low:high] for low, high in pairwise(ends)]
