"""How often burned-in text is found, and how often where there is none.

Belongs here: writing text of known place and size on real images without any, and counting; the
same images as they are; and real annotated ones. Run with a folder of DICOM files whose images have
no text (pydicom's own by default), and `--annotated` with one whose images all have.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont

from hc_assets.imaging.burned_in_text import is_looked_at, text_boxes
from hc_assets.imaging.pixels import Frame, iter_frames
from hc_assets.imaging.reading import UnreadableFile

FONT_FOLDER = Path(mpl.get_data_path()) / "fonts" / "ttf"
FONTS = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSerif-Bold.ttf")
SHARES = (0.014, 0.022, 0.04)
PLACES = ((0.03, 0.03), (0.3, 0.5))
TEXTS = ("DOE^JANE 1961-04-02", "ID 4711-0815", "St. Mary Hospital")
LEAST_SIDE = 128


def first_frames(folder: Path) -> Iterator[tuple[str, Frame]]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            frame = next(iter_frames(path, wanted=frozenset([0])), None)
        except UnreadableFile:
            continue
        if isinstance(frame, Frame) and min(frame.pixels.shape[:2]) >= LEAST_SIDE:
            yield path.name, frame


def written(frame: Frame, text: str, font: str, share: float, place: tuple[float, float]) -> Frame:
    """White letters on black ground: what is visible whatever lies beneath."""
    rows, columns = frame.pixels.shape
    image = Image.new("L", (columns, rows))
    face = ImageFont.truetype(str(FONT_FOLDER / font), max(9, round(share * max(rows, columns))))
    at = (int(place[0] * columns), int(place[1] * rows))
    ImageDraw.Draw(image).text(at, text, fill=255, font=face)
    drawn = np.array(image)
    ground = cv2.dilate(drawn, np.ones((9, 9), np.uint8)) > 0
    values = frame.pixels.astype(np.float32)
    low, high = np.nanmin(values), np.nanmax(values)
    weight = drawn.astype(np.float32) / 255
    pixels = np.where(ground, low, values) * (1 - weight) + high * weight
    padding = None if frame.padding is None else frame.padding & ~ground
    return replace(frame, pixels=pixels.astype(np.float32), padding=padding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(pydicom.__file__).parent / "data" / "test_files"
    parser.add_argument("clean", type=Path, nargs="?", default=default)
    parser.add_argument("--annotated", type=Path)
    arguments = parser.parse_args()
    found: Counter[float] = Counter()
    tried: Counter[float] = Counter()
    alarms, frames, seconds = [], 0, 0.0
    for name, frame in first_frames(arguments.clean):
        frames += 1
        started = time.process_time()
        has_text = bool(text_boxes(frame))
        seconds += time.process_time() - started
        if has_text:
            alarms.append((name, is_looked_at(frame.context, is_color=frame.is_color)))
        if has_text or frame.is_color or frame.context.is_labels:
            continue
        for number, (font, share, place) in enumerate(product(FONTS, SHARES, PLACES)):
            text = TEXTS[number % len(TEXTS)]
            tried[share] += 1
            found[share] += bool(text_boxes(written(frame, text, font, share, place)))
    for share in SHARES:
        rate = found[share] / max(tried[share], 1)
        print(
            f"text of {share:.3f} of the longer side: {found[share]} of {tried[share]}, {rate:.3f}"
        )
    print(
        f"without text: {len(alarms)} of {frames} flagged; {1000 * seconds / frames:.0f} ms a frame"
    )
    for name, looked_at in alarms:
        print(f"  {name}{'' if looked_at else ' (would not be searched)'}")
    if arguments.annotated:
        listed = [(name, bool(text_boxes(f))) for name, f in first_frames(arguments.annotated)]
        print(f"annotated: {sum(is_found for _, is_found in listed)} of {len(listed)} flagged")
        for name, is_found in listed:
            if not is_found:
                print(f"  missed: {name}")


if __name__ == "__main__":
    main()
