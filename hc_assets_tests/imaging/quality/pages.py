"""Pages as scanners and workstations put them into studies, drawn, for tests.

Belongs here: drawing. What is made of them is in `test_image_kinds.py`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Page = NDArray[np.uint8]
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
_LINES = (
    "Exam Description: CT ABDOMEN",
    "Series  Type   Scan Range (mm)   CTDIvol   DLP",
    "1       Scout       -              -         -",
    "2       Helical  I12.5-I342.5     11.43    437.8",
    "Total Exam DLP:   437.8 mGy-cm",
    "Phantom used: 32 cm body",
    "Operator ABC, 120 kV, 250 mAs",
)


def text_page(
    side: int = 512, *, ink: int = 255, paper: int = 0, font: int = 0, smooth: bool = True
) -> Page:
    """A page of text with a rule under its second line."""
    page = np.full((side, side), paper, np.uint8)
    scale = side / 900 * (1.4 if font == 1 else 1.0)
    step = side // 12
    for number, line in enumerate(_LINES):
        kind = cv2.LINE_AA if smooth else cv2.LINE_8
        place = (side // 25, step * (number + 2))
        cv2.putText(page, line, place, _FONTS[font], scale, ink, max(1, side // 700), kind)
    cv2.line(page, (side // 25, step * 3 + 8), (side - side // 25, step * 3 + 8), ink, 1)
    return page


def panelled_page(side: int = 512) -> Page:
    """The same under a banner, beside a panel, each of one grey."""
    page = text_page(side)
    page[: side // 14] = 90
    page[-side // 16 :, : side // 3] = 140
    return page


def step_pattern(side: int = 512) -> Page:
    """Eleven steps from black to white on grey, with corners of lines, as SMPTE RP 133 has."""
    page = np.full((side, side), 128, np.uint8)
    size = side // 9
    for step in range(11):
        row, column = divmod(step, 6)
        top, left = side // 3 + row * 2 * size, side // 8 + column * size
        page[top : top + size, left : left + size] = round(step * 25.5)
    page[:size, :size:2] = 255
    page[-size::2, -size:] = 255
    return page


def lossy(page: Page, quality: int = 90) -> Page:
    """A page as it comes out of JPEG."""
    done, encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
