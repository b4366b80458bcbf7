"""Diffusion weighting of the frames of an MR file: b-values, and directions in the patient.

Belongs here: the attributes of the standard (PS3.3 C.8.13.5.9) and those of makers who have their
own, each in its frame of reference, from the DICOM JSON of the index. Volumes and files of them
are in `imaging/volumes/`.
"""

import base64
import binascii
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec
import numpy as np

Model = Mapping[str, Any]
Direction = tuple[float, float, float]

_B_VALUE, _DIRECTIONALITY = "00189087", "00189075"
_DIRECTION_SEQUENCE, _DIRECTION = "00189076", "00189089"
_DIFFUSION, _SHARED, _PER_FRAME = "00189117", "52009229", "52009230"
_PHASE_ENCODING = "00181312"
# Any of the elements that hold a b-value: without one there is nothing to be read
_ANY_B_VALUE = re.compile(
    r'"(?:00189087|0019[0-9A-F]{2}0C|0043[0-9A-F]{2}39|2001[0-9A-F]{2}03|0065[0-9A-F]{2}09)"'
)
_UNDIRECTED = frozenset(["NONE", "ISOTROPIC"])
_BILLION = 10**9
# Lengths of GE's vectors that are no rounding of 0 or 1
_SHORTEST, _LONGEST = 0.03, 0.97


class _Macro(msgspec.Struct):
    items: list[dict[str, Any]] = msgspec.field(name="Value", default_factory=list)


class _Group(msgspec.Struct):
    diffusion: _Macro | None = msgspec.field(name=_DIFFUSION, default=None)


class _Groups(msgspec.Struct):
    items: list[_Group] = msgspec.field(name="Value", default_factory=list)


class _Enhanced(msgspec.Struct):
    """What is read of a header with functional groups: all else, which is much, is skipped."""

    shared: _Groups | None = msgspec.field(name=_SHARED, default=None)
    per_frame: _Groups | None = msgspec.field(name=_PER_FRAME, default=None)


_ENHANCED = msgspec.json.Decoder(_Enhanced)


@dataclass(frozen=True)
class Diffusion:
    """Of a frame.

    Attributes:
        b_value: s/mm2; None where unknown.
        direction: of the gradient, a unit vector in the patient's LPS system; None where there is
            none, as with b = 0 or a trace image, or where it is not known.
    """

    b_value: float | None = None
    direction: Direction | None = None


def has_diffusion(dicom_json: str) -> bool:
    """Whether some element of a header may hold a b-value."""
    return _ANY_B_VALUE.search(dicom_json) is not None


def diffusion_of(
    dicom_json: str, frames: int, orientation: Sequence[float] | None
) -> list[Diffusion]:
    """Read the diffusion weighting of a file.

    Args:
        dicom_json: its header.
        frames: how many it has.
        orientation: ImageOrientationPatient, to which some makers' directions refer.

    Returns:
        What is known of each frame; of one where that is what is known of all.
    """
    own, shared = _macros(dicom_json)
    if len(own) == frames and any(own):
        found = [_of_standard(each or shared or {}) for each in own]
        return found if len(set(found)) > 1 else found[:1]
    if shared:
        return [_of_standard(shared)]
    if f'"{_PER_FRAME}"' in dicom_json:
        return [Diffusion()]  # enhanced files have it in the macro, or not at all
    return [_of_dataset(msgspec.json.decode(dicom_json), orientation)]


def of_csa(csa: Mapping[str, Sequence[float]]) -> Diffusion:
    """Diffusion weighting of what Siemens' CSA header says."""
    b_value = next(iter(csa.get("B_value", ())), None)
    return _weighted(b_value, csa.get("DiffusionGradientDirection", ()))


def _of_dataset(model: Model, orientation: Sequence[float] | None) -> Diffusion:
    standard = _of_standard(model)
    if standard.b_value is not None and standard.direction is not None:
        return standard
    for read in (_of_siemens, _of_philips, _of_united_imaging, _of_ge):
        found = read(model, orientation)
        if found.b_value is None:
            continue
        if standard.b_value is None:
            return found
        return _weighted(standard.b_value, found.direction or ())
    return standard


def _of_standard(model: Model) -> Diffusion:
    b_value = next(iter(_numbers(model, _B_VALUE)), None)
    if _UNDIRECTED & {str(value).upper() for value in _values(model, _DIRECTIONALITY)}:
        return _weighted(b_value, ())
    # In the macro the direction is in a sequence of its own
    holder = next(iter(_items(model, _DIRECTION_SEQUENCE)), model)
    return _weighted(b_value, _numbers(holder, _DIRECTION))


def _of_siemens(model: Model, _: Sequence[float] | None) -> Diffusion:
    owner = "SIEMENS MR HEADER"
    b_value = _private(model, "0019", owner, "0C", "IS")
    return _weighted(next(iter(b_value), None), _private(model, "0019", owner, "0E", "FD"))


def _of_philips(model: Model, _: Sequence[float] | None) -> Diffusion:
    b_value = _private(model, "2001", "Philips Imaging DD 001", "03", "FL")
    owner = "Philips MR Imaging DD 001"
    axes = [_private(model, "2005", owner, element, "FL") for element in ("B0", "B1", "B2")]
    return _weighted(next(iter(b_value), None), _joined(axes))


def _of_united_imaging(model: Model, orientation: Sequence[float] | None) -> Diffusion:
    """United Imaging's direction is along rows, columns and the normal of the image."""
    owner = "Image Private Header"
    b_value = _private(model, "0065", owner, "09", "FD")
    along = _private(model, "0065", owner, "37", "FD")
    return _weighted(next(iter(b_value), None), _in_patient(along, orientation))


def _of_ge(model: Model, orientation: Sequence[float] | None) -> Diffusion:
    """GE's direction is along frequency, phase and slice, with signs that depend on the plane.

    The rule is that of Xiangrui Li's dicm2nii, which dcm2niix follows. The b-value is that of the
    longest vector: of a shorter one it is as much less as the square of its length, to a multiple
    of 5. Newer software adds a billion to it.
    """
    b_value = next(iter(_private(model, "0043", "GEMS_PARM_01", "39", "IS")), None)
    if b_value is not None and b_value >= _BILLION:
        b_value %= _BILLION
    owner = "GEMS_ACQU_01"
    axes = [_private(model, "0019", owner, element, "DS") for element in ("BB", "BC", "BD")]
    sent = _joined(axes)
    phase = [str(value).upper() for value in _values(model, _PHASE_ENCODING)]
    if b_value is None or not sent:
        return _weighted(b_value, ())
    length = float(np.linalg.norm(sent))
    if _SHORTEST < length < _LONGEST:
        b_value = 5.0 * round(b_value * length**2 / 5)
    if phase not in (["ROW"], ["COL"]) or not _is_orientation(orientation):
        return _weighted(b_value, ())
    x, y, z = _turned_by_plane(sent, orientation or ())
    along = (x, y, z) if phase == ["COL"] else (y, -x, z)
    return _weighted(b_value, _in_patient(along, orientation))


def _turned_by_plane(sent: Sequence[float], orientation: Sequence[float]) -> Direction:
    x, y, z = sent
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    match int(normal.argmax()):
        case 0:  # sagittal
            return x, y, -z
        case 1:  # coronal
            return -x, y, z
        case _:
            return -x, -y, z


def _in_patient(along: Sequence[float], orientation: Sequence[float] | None) -> Sequence[float]:
    """Turn what is along rows, columns and the normal of an image into LPS."""
    if len(along) != 3 or orientation is None or not _is_orientation(orientation):
        return ()
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    turned: list[float] = (axes @ np.array(along)).tolist()
    return turned


def _is_orientation(orientation: Sequence[float] | None) -> bool:
    if orientation is None or len(orientation) != 6:
        return False
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    return bool(np.allclose(lengths, 1, atol=0.05) and abs(row @ column) < 0.05)


def _weighted(b_value: float | None, direction: Sequence[float]) -> Diffusion:
    if b_value is None or not isfinite(b_value) or b_value < 0:
        return Diffusion()
    length = float(np.linalg.norm(direction)) if len(direction) == 3 else 0.0
    if b_value == 0 or not isfinite(length) or length < _SHORTEST:
        return Diffusion(b_value)
    x, y, z = (float(value) / length for value in direction)
    return Diffusion(b_value, (x, y, z))


def _macros(dicom_json: str) -> tuple[list[Model | None], Model | None]:
    """MR Diffusion Macro of each frame, and that of all; None where it is absent."""
    if _DIFFUSION not in dicom_json:
        return [], None
    try:
        groups = _ENHANCED.decode(dicom_json)
    except msgspec.ValidationError:
        return [], None  # a sequence that is none
    shared = groups.shared.items[:1] if groups.shared else []
    own = groups.per_frame.items if groups.per_frame else []
    return [_macro(each) for each in own], _macro(shared[0]) if shared else None


def _macro(group: "_Group") -> Model | None:
    return group.diffusion.items[0] if group.diffusion and group.diffusion.items else None


def _joined(axes: Sequence[Sequence[float]]) -> list[float]:
    return [axis[0] for axis in axes] if all(len(axis) == 1 for axis in axes) else []


def _items(model: Model, tag: str) -> list[Model]:
    values = _values(model, tag)
    return [value for value in values if isinstance(value, dict)]


def _values(model: Model, tag: str) -> list[Any]:
    element = model.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _numbers(model: Model, tag: str) -> list[float]:
    values = _values(model, tag)
    return [float(value) for value in values if isinstance(value, int | float)]


def _private(model: Model, group: str, owner: str, element: str, vr: str) -> list[float]:
    """Numbers of a private element; in the first block where nobody is named as the owner."""
    owners = {
        tag[6:]: next(iter(_values(model, tag)), None)
        for tag in model
        if tag.startswith(f"{group}00") and tag[6:] >= "10"
    }
    blocks = [block for block, name in owners.items() if str(name).casefold() == owner.casefold()]
    for block in blocks or ([] if owners else ["10"]):
        sent = model.get(f"{group}{block}{element}")
        if isinstance(sent, dict):
            return _numbers_of(sent, vr)
    return []


def _numbers_of(element: Model, vr: str) -> list[float]:
    """Numbers of an element; of one without a known VR, by the one that its owner gives it."""
    sent = element.get("InlineBinary")
    if not isinstance(sent, str):
        return _numbers({"": element}, "")
    try:
        data = base64.b64decode(sent)
        if vr in ("FD", "FL"):
            size, code = (8, "d") if vr == "FD" else (4, "f")
            return list(struct.unpack(f"<{len(data) // size}{code}", data))
        return [float(part) for part in data.decode("ascii").strip("\0 ").split("\\") if part]
    except (binascii.Error, struct.error, ValueError):
        return []
