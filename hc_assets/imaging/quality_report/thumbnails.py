"""Frames as small pictures that give away nobody: what may be text or a face is blurred.

Belongs here: one frame to one tile, tiles to one picture, pictures to PNG. Which frames are shown
is chosen in `chosen_frames.py`.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.display import displayed
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import luminance
from hc_assets.imaging.preprocessing.geometry import placed
from hc_assets.imaging.quality.burned_in_text import burned_in_text
from hc_assets.imaging.quality.image_kinds import CAPTURES, image_kind

Picture = NDArray[np.uint8]

# A line of text of a fortieth of the frame's height is 2 pixels high, and can't be read
SIDE = 96
_BLOCKS = 12
_CAPTION = 13
_GAP = 4
_GREYS = (256, 64, 32, 16)
_SMALLEST = 0.3


@dataclass(frozen=True)
class Tile:
    """A thumbnail with what is written under it.

    Attributes:
        picture: grey, square.
        caption: of ASCII letters; must hold nothing of a patient.
        is_blurred: whether text or a face was hidden.
    """

    picture: Picture
    caption: str = ""
    is_blurred: bool = False


def tile(frame: Frame, caption: str = "", *, side: int = SIDE) -> Tile:
    """Make a thumbnail.

    Args:
        frame: as decoded.
        caption: to be written under it.
        side: rows and columns of the picture.

    Returns:
        The frame in grey, at its true proportions, as it should be looked at. Where text is
        probable, by the header or by the pixels, or a person may be recognized, the lines of text
        are blackened and the rest is reduced to a dozen blocks a side.
    """
    visible = displayed(frame)
    if frame.is_color:
        visible = luminance(visible, 1.0)
    text = burned_in_text(frame, is_page=image_kind(frame).name in CAPTURES)
    is_blurred = bool(text.is_probable) or _may_show_a_face(frame)
    if is_blurred:
        visible = visible.copy()
        for box in text.boxes:
            margin = box.height // 2
            rows = slice(max(0, box.row - margin), box.row + box.height + margin)
            columns = slice(max(0, box.column - margin), box.column + box.width + margin)
            visible[rows, columns] = 0
    small = placed(visible, (side, side), frame.context.spacing).pixels
    if is_blurred:
        blocks = cv2.resize(small, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        small = np.asarray(
            cv2.resize(blocks, (side, side), interpolation=cv2.INTER_NEAREST), np.float32
        )
    picture = np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
    return Tile(picture, caption, is_blurred)


def _may_show_a_face(frame: Frame) -> bool:
    """Whether a person may be recognized: in a photograph, as far as is known."""
    is_photograph = frame.is_color and frame.context.modality in ("", "OT", "XC")
    return is_photograph or frame.context.is_recognizable


def montage(tiles: Sequence[Tile], *, columns: int) -> Picture:
    """Lay tiles out in rows, each with its caption beneath.

    Args:
        tiles: at least one, all of one size.
        columns: tiles in a row, at most.
    """
    side = tiles[0].picture.shape[0]
    width = min(columns, len(tiles)) * (side + _GAP) + _GAP
    rows = []
    for first in range(0, len(tiles), columns):
        canvas = np.full((side + _CAPTION + _GAP, width), 40, np.uint8)
        for number, each in enumerate(tiles[first : first + columns]):
            left = _GAP + number * (side + _GAP)
            canvas[_GAP : _GAP + side, left : left + side] = each.picture
            cv2.putText(
                canvas,
                each.caption,
                (left, _GAP + side + _CAPTION - 4),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.32,
                255,
                1,
                cv2.LINE_AA,
            )
        rows.append(canvas)
    return np.vstack(rows)


def png(picture: Picture, *, most_bytes: int) -> bytes:
    """Encode a picture, with fewer shades of grey and then smaller where it would be too large.

    Args:
        picture: rows by columns.
        most_bytes: that it may have; at least 1,000.

    Raises:
        ValueError: it does not get that small.
    """
    scale = 1.0
    while scale >= _SMALLEST:
        size = (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale)))
        smaller = picture
        if scale < 1.0:
            smaller = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        for greys in _GREYS:
            step = 256 // greys
            reduced = (smaller // step * step).astype(np.uint8)
            done, encoded = cv2.imencode(".png", reduced, [cv2.IMWRITE_PNG_COMPRESSION, 9])
            if done and encoded.nbytes <= most_bytes:
                return encoded.tobytes()
        scale *= 0.75
    raise ValueError(f"a picture of {picture.shape} does not fit into {most_bytes} bytes")


def data_uri(encoded: bytes) -> str:
    """Return a PNG as a URL that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encoded).decode()}"
