"""Private elements: where the block of an owner is, and values whose VR nobody sent.

Belongs here: finding and decoding one (PS3.5 7.8). What vendors' elements mean is in `mosaics.py`
and `diffusion.py`.
"""

from collections.abc import Sequence

from hc_assets.imaging.headers.elements import Elements, MalformedValueError, Value

_BLOCKS = range(0x10, 0x100)


def private_tag(elements: Elements, group: int, owner: str, element: int) -> int | None:
    """Find a private element.

    Args:
        elements: of the dataset.
        group: of the element.
        owner: its private creator; case does not count.
        element: the last two hex digits of its number.

    Returns:
        Its tag; None where it is not there. Where no block has an owner, as de-identification
        leaves them, the first block is taken, in which scanners put their elements.
    """
    has_owner = False
    for block in _BLOCKS:
        names = _texts(elements, group << 16 | block)
        has_owner = has_owner or bool(names)
        tag = group << 16 | block << 8 | element
        if tag in elements and any(name.casefold() == owner.casefold() for name in names):
            return tag
    first = group << 16 | 0x1000 | element
    return first if not has_owner and first in elements else None


def private_values(elements: Elements, tag: int, vr: str) -> Sequence[Value]:
    """Values of a private element; of one that was sent without VR, or as UN, by its known one.

    Raises:
        MalformedValueError: the bytes are not what the VR says.
    """
    raw = elements.raw[tag]
    if elements.vr(tag) == "UN" and hasattr(raw, "_replace"):
        sent = Elements({tag: raw._replace(VR=vr)}, elements.encodings, elements.is_signed)
        return sent.values(tag)
    return elements.values(tag)


def numbers_in(elements: Elements, tag: int | None, vr: str) -> list[float]:
    """Numbers of a private element; none where it is absent or malformed."""
    if tag is None:
        return []
    try:
        values = private_values(elements, tag, vr)
    except MalformedValueError:
        return []
    return [float(value) for value in values if isinstance(value, int | float)]


def _texts(elements: Elements, tag: int) -> list[str]:
    try:
        return [value for value in elements.values(tag) if isinstance(value, str)]
    except MalformedValueError:
        return []
