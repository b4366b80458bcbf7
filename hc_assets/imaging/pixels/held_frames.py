"""How many frames some bytes can hold, whatever a header says.

Belongs here: the bound alone. What a header says is read in `pixel_description.py`, frames are cut
out of the bytes in `decoding.py`.
"""

_UNCOMPRESSED = frozenset(
    {
        "1.2.840.10008.1.2",  # Implicit VR Little Endian
        "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
        "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    }
)
_DEFLATED = "1.2.840.10008.1.2.1.99"
# Deflate makes at most 1032 bytes of one (RFC 1951: 258 bytes of two bits)
_DEFLATE_RATIO = 1032
# An encapsulated frame has at least the tag and the length of its item
_ITEM_BITS = 64


def frames_held(size: int, transfer_syntax: str | None, frame_bits: int) -> int:
    """The greatest number of frames that a file or an element can hold.

    Args:
        size: in bytes.
        transfer_syntax: UID; None where it is not known, which means uncompressed.
        frame_bits: of an uncompressed frame, from 1.

    Returns:
        The number; 0 where there is no room for a whole one.

    >>> frames_held(133_272, "1.2.840.10008.1.2.1", 256 * 256 * 16)
    1
    """
    if transfer_syntax is None or transfer_syntax in _UNCOMPRESSED:
        return size * 8 // frame_bits
    if transfer_syntax == _DEFLATED:
        return size * _DEFLATE_RATIO * 8 // frame_bits
    return size * 8 // _ITEM_BITS
