"""Run lengths of RLE Lossless (PS3.5 Annex G.3): one segment, packed to plain bytes.

Belongs here: the byte scheme alone. Which segments make a frame is in `decoding.py`.
"""


def unpack_segment(data: bytes, size: int) -> bytes:
    """Unpack one segment.

    Args:
        data: the packed bytes, with or without a padding byte behind them.
        size: bytes that it must unpack to; what is beyond is padding.

    Returns:
        `size` bytes.

    Raises:
        ValueError: the segment ends before it has given as many.
    """
    out = bytearray()
    at = 0
    while len(out) < size and at < len(data):
        control = data[at]
        if control < 128:
            out += data[at + 1 : at + 2 + control]
            at += 2 + control
        elif control > 128:
            out += data[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
    if len(out) < size:
        raise ValueError(f"the RLE segment gives {len(out)} bytes, {size} are needed")
    return bytes(out[:size])
