"""Thumbnails are small, and give away nobody."""

import base64
import hashlib
import re

import cv2
import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality_report.chosen_frames import COLUMNS, ChosenFrame, Selection
from hc_assets.imaging.quality_report.pictures import histogram_markdown, montage_markdown
from hc_assets.imaging.quality_report.statistics import Scores
from hc_assets.imaging.quality_report.thumbnails import SIDE, Tile, data_uri, montage, png, tile
from hc_assets_tests.imaging.quality_report.test_statistics import rows as score_rows

NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)


def decoded(encoded: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_clean_frame_is_shown_as_it_is(frame_of):
    ramp = np.tile(np.arange(192, dtype=np.float32), (96, 1))
    made = tile(frame_of(ramp, "CT"))
    assert not made.is_blurred
    assert made.picture.shape == (SIDE, SIDE)
    # Twice as wide as high, in the middle of black margins
    assert made.picture[:23].max() == 0
    assert (np.diff(made.picture[48].astype(int)) >= 0).all()
    assert made.picture[48].max() == 255 or made.picture[48, -1] > 250


@pytest.mark.parametrize(
    ("modality", "context", "blurred"),
    [
        ("CT", {}, False),
        ("CT", {"burned_in_annotation": "NO"}, False),
        ("CT", {"burned_in_annotation": "YES"}, True),
        ("CT", {"is_recognizable": True}, True),
    ],
)
def test_what_the_header_warns_of_is_reduced_to_blocks(frame_of, modality, context, blurred):
    pixels = np.random.default_rng(1).normal(100, 20, (200, 200)).astype(np.float32)
    made = tile(frame_of(pixels, modality, **context))
    assert made.is_blurred is blurred
    blocks = made.picture.reshape(12, 8, 12, 8)
    is_blocks = bool((np.ptp(blocks, axis=(1, 3)) == 0).all())
    assert is_blocks is blurred


def test_text_that_the_header_does_not_declare_is_blackened(frame_of):
    pixels = np.full((400, 400), 90, np.uint8)
    cv2.putText(pixels, "DOE JANE 4711", (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    made = tile(frame_of(pixels, "CR", limits=(0.0, 255.0)))
    assert made.is_blurred
    row = made.picture[SIDE // 2 - 4]
    assert row.min() < 60, "the line is black"
    assert row.max() < 200, "no white stroke is left"


def test_photographs_are_blurred(frame_of):
    pixels = np.random.default_rng(2).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    assert tile(frame_of(pixels, "OT", limits=(0.0, 255.0))).is_blurred
    assert not tile(frame_of(pixels, "US", limits=(0.0, 255.0))).is_blurred


@pytest.mark.parametrize("most", [8_000, 16_000, 30_000])
def test_pictures_keep_to_their_size_whatever_they_show(most):
    picture = montage([Tile(NOISE, "CT 0.50 pass")] * 12, columns=6)
    encoded = png(picture, most_bytes=most)
    assert len(encoded) <= most
    assert decoded(encoded).ndim == 2


def test_a_picture_that_fits_is_kept_whole():
    flat = np.full((50, 70), 9, np.uint8)
    assert (decoded(png(flat, most_bytes=1000)) == flat).all()


def test_what_can_not_be_made_small_enough_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        png(np.vstack([NOISE] * 40), most_bytes=1000)


def row_of(at: int, score: float | None) -> dict[str, object]:
    values = (
        "b1",
        f"{at}.dcm",
        hashlib.sha256(bytes([at])).hexdigest(),
        0,
        "CT",
        score,
        None,
        None,
        None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def test_the_worst_are_chosen_whatever_the_order_and_the_sample_is_steady():
    listed = [row_of(at, None if at % 7 == 0 else (at * 37 % 100) / 100) for at in range(100)]

    def chosen(order: list[dict[str, object]], size: int) -> Selection:
        selection = Selection(worst=5, sample=5)
        for first in range(0, len(order), size):
            selection.add(pa.RecordBatch.from_pylist(order[first : first + size], schema()))
        return selection

    one, other = chosen(listed, 100), chosen(listed[::-1], 7)
    scores = sorted(row["overall_quality"] for row in listed if row["overall_quality"] is not None)
    assert [each.overall_quality for each in one.worst()] == scores[:5]
    assert one.worst() == other.worst()
    assert one.sample() == other.sample()
    assert len(set(one.sample())) == 5


def schema() -> pa.Schema:
    from hc_assets.imaging.schemas.quality import QUALITY_METRICS

    return pa.schema([QUALITY_METRICS.field(name) for name in COLUMNS])


def test_a_series_of_frames_is_drawn_once():
    frames = [row_of(1, 0.5) | {"frame": at} for at in range(30)] + [row_of(2, 0.5)]
    selection = Selection(worst=0, sample=6)
    for each in frames:
        selection.add(pa.RecordBatch.from_pylist([each], schema()))
    assert {(each.source_file, each.frame) for each in selection.sample()} == {
        ("1.dcm", 0),
        ("2.dcm", 0),
    }


@pytest.mark.parametrize(
    ("modality", "caption"),
    [("CT", "CT 0.25 FAIL"), ("", "- 0.25 FAIL"), ("DOE^JANE", "- 0.25 FAIL")],
)
def test_a_caption_holds_nothing_that_is_no_modality(modality, caption):
    one = ChosenFrame("b1", "a.dcm", "ab" * 32, 3, modality, 0.25, False, None, None)
    assert one.caption == caption
    assert one.label == "abababababab:3"


def test_a_histogram_is_small_and_describes_itself():
    scores = Scores()
    scores.add(score_rows([*np.linspace(0, 1, 101)]))
    rules = Rules()
    text = histogram_markdown(scores, rules.gate, rules.training_gate)
    assert "51 of 101 scored frames pass" in text
    encoded = base64.b64decode(re.search(r"base64,([^)]+)\)", text)[1])
    assert decoded(encoded).shape[:2] == (208, 400)
    assert len(text) < 22_000


def test_frames_that_are_gone_are_not_shown():
    assert montage_markdown(None, Selection(6, 6)) is None


def test_a_data_uri_holds_the_picture():
    encoded = png(NOISE, most_bytes=20_000)
    assert base64.b64decode(data_uri(encoded).partition(",")[2]) == encoded
