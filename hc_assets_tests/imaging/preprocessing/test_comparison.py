import cv2
import numpy as np
import pytest

from hc_assets.imaging.preprocessing.comparison import (
    BINS,
    PICTURE_BYTES,
    SIDE,
    compared,
    drawn,
    may_be_shown,
)
from hc_assets.imaging.preprocessing.registry import recipe_for


@pytest.fixture
def frame(frame_of):
    pixels = np.random.default_rng(1).integers(0, 4096, (300, 200), dtype=np.uint16)
    return frame_of(pixels, "CT")


def test_even_noise_gives_a_small_picture(frame):
    picture = drawn(compared(frame, recipe_for("CT").run(frame).pixels))
    assert len(picture) < PICTURE_BYTES
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.shape == (SIDE, 4 * SIDE + 12)


def test_histograms_count_every_pixel(frame):
    array = recipe_for("CT").run(frame).pixels
    made = compared(frame, array)
    assert len(made.counts_before) == len(made.counts_after) == BINS
    assert sum(made.counts_before) == frame.pixels.size
    assert sum(made.counts_after) == array.size
    assert made.limits == (float(frame.pixels.min()), float(frame.pixels.max()))


@pytest.mark.parametrize(
    ("modality", "context", "is_shown"),
    [
        ("CT", {}, True),
        ("MR", {"burned_in_annotation": "NO"}, True),
        ("CT", {"burned_in_annotation": "YES"}, False),
        ("CT", {"is_secondary": True}, False),
        ("US", {}, False),
        ("OT", {}, False),
    ],
)
def test_what_may_hold_burned_in_text_is_not_shown(frame_of, modality, context, is_shown):
    frame = frame_of(np.zeros((64, 64), np.uint8), modality, **context)
    assert may_be_shown(frame) == is_shown


def test_colour_is_not_shown(frame_of):
    assert not may_be_shown(frame_of(np.zeros((64, 64, 3), np.uint8), "MR"))


def test_a_radiograph_with_text_in_it_is_not_shown(frame_of):
    pixels = np.full((400, 600), 30, np.uint8)
    assert may_be_shown(frame_of(pixels.copy(), "DX"))
    cv2.putText(pixels, "DOE JANE 1970", (40, 80), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 3)
    assert not may_be_shown(frame_of(pixels, "DX"))
