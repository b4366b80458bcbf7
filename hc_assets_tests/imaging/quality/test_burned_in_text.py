"""Text is found where it is written, by fonts and sizes, and nowhere else."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw, ImageFont
from upath import UPath

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.burned_in_text import burned_in_text, is_looked_at, text_boxes
from hc_assets.imaging.quality.gates import Rules, is_fit_for_training
from hc_assets.imaging.quality.ranks import add_percentiles
from hc_assets.imaging.quality.rows import score_files
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets.lake.parts import write_part

FONT_FOLDER = Path(mpl.get_data_path()) / "fonts" / "ttf"
FONTS = ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf")
TEXTS = {"DOE^JANE 1961-04-02": (0.03, 0.03), "St. Mary Hospital": (0.3, 0.5)}
# Real images of their makers, none with text
CLEAN = ["RG3_UNCR.dcm", "MR2_UNCR.dcm", "dx_image.dcm", "693_UNCR.dcm"]
WITH_TEXT = [
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "examples_palette.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
]
WITHOUT_TEXT = ["examples_overlay.dcm", "SC_rgb.dcm", "color-pl.dcm", "OT-PAL-8-face.dcm"]


@pytest.fixture(scope="module")
def first_frame(real_files):
    by_name = {path.name: path for path in real_files}

    def read(name: str) -> Frame:
        if name not in by_name:
            pytest.skip(f"{name} is not here")
        frame = next(iter(iter_frames(by_name[name], wanted=frozenset([0]))))
        assert isinstance(frame, Frame)
        return frame

    return read


def write_on(frame: Frame, text: str, *, font: str, share: float, place: tuple[float, float]):
    """Write white text on a black ground into a frame; its size is a share of the longer side."""
    rows, columns = frame.pixels.shape
    image = Image.new("L", (columns, rows))
    face = ImageFont.truetype(str(FONT_FOLDER / font), max(9, round(share * max(rows, columns))))
    at = (int(place[0] * columns), int(place[1] * rows))
    ImageDraw.Draw(image).text(at, text, fill=255, font=face)
    drawn = np.array(image)
    ground = cv2.dilate(drawn, np.ones((9, 9), np.uint8)) > 0
    values = frame.pixels.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    weight = drawn.astype(np.float32) / 255
    written = np.where(ground, low, values) * (1 - weight) + high * weight
    padding = None if frame.padding is None else frame.padding & ~ground
    return replace(frame, pixels=written.astype(np.float32), padding=padding), drawn


def test_written_text_is_found_where_it_is_in_nine_of_ten_images(first_frame):
    found = {}
    for name, font, share in product(CLEAN, FONTS, (0.022, 0.04)):
        frame = first_frame(name)
        if is_looked_at(frame.context, is_color=frame.is_color):
            assert text_boxes(frame) == []
        for text, place in TEXTS.items():
            written, drawn = write_on(frame, text, font=font, share=share, place=place)
            covered = np.zeros(drawn.shape, bool)
            for box in text_boxes(written):
                covered[box.row : box.row + box.height, box.column : box.column + box.width] = True
            found[name, font, share, text] = bool((covered & (drawn > 128)).any())
    missed = [case for case, is_found in found.items() if not is_found]
    assert len(missed) <= 0.1 * len(found), missed


@pytest.mark.parametrize("name", WITH_TEXT)
def test_annotations_of_real_scanners_are_found(first_frame, name):
    found = burned_in_text(first_frame(name))
    assert (found.is_probable, found.evidence) == (True, "pixels")


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_images_without_text_are_left_alone(first_frame, name):
    assert text_boxes(first_frame(name)) == []


@pytest.mark.parametrize("seed", range(3))
def test_noise_stripes_and_ticks_are_no_text(frame_of, seed):
    noise = np.random.default_rng(seed).normal(100, 30, (300, 300)).astype(np.float32)
    ticks = np.zeros((300, 300), np.uint8)
    ticks[20:280:10, 10:20] = 255
    ticks[280:290, 20:280:8] = 255
    stripes = np.zeros((300, 300), np.uint8)
    stripes[:, ::12] = 255
    for pixels in (noise, ticks, stripes, np.full((300, 300), 7, np.uint8)):
        assert text_boxes(frame_of(pixels, "US")) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 500), (500, 1)])
def test_frames_of_any_shape_are_looked_at(frame_of, shape):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    pixels.flat[0] = np.nan
    assert text_boxes(frame_of(pixels, "CR", limits=(0.0, 1.0))) == []


@pytest.mark.parametrize(
    ("context", "is_color", "looked_at"),
    [
        ({"modality": "CT"}, False, False),
        ({"modality": "CT"}, True, True),
        ({"modality": "CT", "is_secondary": True}, False, True),
        ({"modality": "CR"}, False, True),
        ({"modality": "US"}, False, True),
        ({"modality": "US", "is_labels": True}, False, False),
        ({"modality": ""}, False, True),
    ],
)
def test_slices_as_acquired_are_not_searched(context, is_color, looked_at):
    assert is_looked_at(FrameContext(**context), is_color=is_color) is looked_at


@pytest.mark.parametrize(
    ("tag", "modality", "expected"),
    [
        ("YES", "CT", (True, "tag")),
        ("NO", "CT", (False, None)),
        ("", "CT", (None, None)),
        ("", "CR", (False, None)),
        ("YES", "CR", (True, "tag")),
    ],
)
def test_an_absent_tag_is_unknown_until_somebody_looks(frame_of, tag, modality, expected):
    frame = frame_of(np.eye(64, dtype=np.float32), modality, burned_in_annotation=tag)
    found = burned_in_text(frame)
    assert (found.is_probable, found.evidence) == expected


def test_pixels_are_believed_over_a_tag_that_says_no(first_frame):
    frame = first_frame("JPGLosslessP14SV1_1s_1f_8b.dcm")
    assert frame.context.burned_in_annotation == "NO"
    assert burned_in_text(frame).is_probable


def test_the_tag_the_kind_and_faces_are_read_from_the_header(write_dicom):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    secondary = "1.2.840.10008.5.1.4.1.1.7"
    endoscope = "1.2.840.10008.5.1.4.1.1.77.1.1"
    path = write_dicom(
        pixels, BurnedInAnnotation="YES", RecognizableVisualFeatures="YES", SOPClassUID=secondary
    )
    context = next(iter(iter_frames(path))).context
    assert (context.burned_in_annotation, context.is_secondary) == ("YES", True)
    assert context.is_recognizable
    derived = write_dicom(pixels, ImageType=["DERIVED", "SECONDARY"])
    assert next(iter(iter_frames(derived))).context.is_secondary
    scope = write_dicom(pixels, SOPClassUID=endoscope, ImageType=["ORIGINAL", "PRIMARY"])
    context = next(iter(iter_frames(scope))).context
    assert (context.is_secondary, context.is_recognizable) == (False, False)
    assert context.burned_in_annotation == ""


@pytest.mark.parametrize(
    ("overall", "has_text", "excludes", "fit"),
    [
        (0.8, None, True, True),
        (0.8, False, True, True),
        (0.8, True, True, False),
        (0.8, True, False, True),
        (0.6, False, True, False),
        (None, True, True, None),
    ],
)
def test_text_keeps_a_frame_out_of_training_sets(overall, has_text, excludes, fit):
    rules = Rules(excludes_burned_in_text=excludes)
    assert is_fit_for_training(overall, rules, has_burned_in_text=has_text) is fit


def test_rows_say_what_was_found(real_files):
    path = next(path for path in real_files if path.name == "examples_rgb_color.dcm")
    file = FileToRead(path.name, path, "ab", 1)
    (made,) = score_files([file], "b1", rules=Rules())
    (row,) = made.metrics.to_pylist()
    assert (row["has_burned_in_text"], row["burned_in_text_evidence"]) == (True, "pixels")
    assert row["passes_training_gate"]
    assert row["is_fit_for_training"] is False
    box = row["text_boxes"][0]
    assert 0 <= box["row"] < box["row"] + box["height"] <= 240
    (made,) = score_files([file], "b1", rules=Rules(excludes_burned_in_text=False))
    assert made.metrics.to_pylist()[0]["is_fit_for_training"] is True


@pytest.mark.parametrize("excludes", [True, False])
def test_text_in_one_frame_counts_for_all_of_its_file(tmp_path, excludes):
    folder = UPath(tmp_path)
    frames = [("a", None, True), ("a", True, None), ("a", False, True), ("b", False, True)]
    required = {f.name: "" for f in QUALITY_METRICS if not f.nullable and f.type == pa.string()}
    rows = [
        {
            **required,
            "file_sha256": file,
            "frame": at,
            "weights_rescaled": False,
            "text_boxes": [],
            "overall_quality": 0.9,
            "explanation": "",
            "has_burned_in_text": text,
            "is_fit_for_training": fit,
        }
        for at, (file, text, fit) in enumerate(frames)
    ]
    tables = [pa.Table.from_pylist(half, QUALITY_METRICS) for half in (rows[:1], rows[1:])]
    parts = [
        write_part(folder, table, number=n, prefix=".tmp-draft") for n, table in enumerate(tables)
    ]
    made = add_percentiles(folder, parts, excludes_burned_in_text=excludes)
    found = [row for part in made for row in pq.read_table(str(folder / part.name)).to_pylist()]
    assert [row["has_burned_in_text"] for row in found] == [True, True, True, False]
    evidence = [row["burned_in_text_evidence"] for row in found]
    assert evidence == ["other_frame", None, "other_frame", None]
    fit = not excludes
    assert [row["is_fit_for_training"] for row in found] == [fit, None, fit, True]
