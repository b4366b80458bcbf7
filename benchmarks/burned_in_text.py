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

from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.burned_in_text import is_looked_at, text_boxes

FONT_FOLDER = Path(mpl.get_data_path()) / "fonts" / "ttf"
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSerif-Bold.ttf",
    # No threshold was chosen on these
    "STIXGeneral.ttf",
    "cmtt10.ttf",
    "cmss10.ttf",
)
SHARES = (0.014, 0.022, 0.04)
WAYS = {"on black": (True, 1.0), "on the image": (False, 1.0), "faint, on it": (False, 0.6)}
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


def written(
    frame: Frame, text: str, *, font: str, share: float, place: tuple[float, float], way: str
) -> Frame:
    """White letters, on black ground or straight on the image, opaque or faint."""
    has_ground, opacity = WAYS[way]
    rows, columns = frame.pixels.shape
    image = Image.new("L", (columns, rows))
    face = ImageFont.truetype(str(FONT_FOLDER / font), max(9, round(share * max(rows, columns))))
    at = (int(place[0] * columns), int(place[1] * rows))
    ImageDraw.Draw(image).text(at, text, fill=255, font=face)
    drawn = np.array(image)
    ground = cv2.dilate(drawn, np.ones((9, 9), np.uint8)) > 0
    values = frame.pixels.astype(np.float32)
    low, high = np.nanmin(values), np.nanmax(values)
    weight = opacity * drawn.astype(np.float32) / 255
    pixels = np.where(ground & has_ground, low, values) * (1 - weight) + high * weight
    padding = None if frame.padding is None else frame.padding & ~ground
    return replace(frame, pixels=pixels.astype(np.float32), padding=padding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(pydicom.__file__).parent / "data" / "test_files"
    parser.add_argument("clean", type=Path, nargs="?", default=default)
    parser.add_argument("--annotated", type=Path)
    parser.add_argument("--every", type=int, default=5, help="try every n-th way of writing")
    arguments = parser.parse_args()
    found: Counter[tuple[str, object]] = Counter()
    tried: Counter[tuple[str, object]] = Counter()
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
        for number, (font, share, place, way) in enumerate(product(FONTS, SHARES, PLACES, WAYS)):
            if number % arguments.every:
                continue
            text = TEXTS[number % len(TEXTS)]
            is_found = bool(
                text_boxes(written(frame, text, font=font, share=share, place=place, way=way))
            )
            for key in (("share", share), ("font", font), ("way", way)):
                tried[key] += 1
                found[key] += is_found
    for kind, what in sorted(tried, key=str):
        count = tried[kind, what]
        rate = found[kind, what] / count
        print(f"{kind} {what}: {found[kind, what]} of {count} lines of text found, {rate:.3f}")
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
