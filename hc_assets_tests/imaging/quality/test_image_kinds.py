"""Pages of text, screens and test patterns are told from acquisitions, and not scored."""

import cv2
import numpy as np
import pytest

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame, frames_of, iter_frames
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.image_kinds import CAPTURES, image_kind
from hc_assets.imaging.quality.rows import score_files
from hc_assets.imaging.schemas.quality import METRIC_NAMES
from hc_assets_tests.imaging.landed_files import landed
from hc_assets_tests.imaging.quality.pages import lossy, panelled_page, step_pattern, text_page

CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
FRAME_GRABBER = {"SOPClassUID": CAPTURE_CLASS, "ConversionType": "WSD"}
PLACED = {
    "ImagePositionPatient": [0, 0, 0],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [1, 1],
}


def disk(side: int = 128, noise: float = 12.0) -> np.ndarray:
    """A noisy disk on air."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    inside = np.hypot(rows, columns) < side / 3
    noisy = 100 + 900 * inside + np.random.default_rng(5).normal(0, noise, (side, side))
    return np.clip(noisy, 0, None).astype(np.uint16)


def frame(pixels: np.ndarray, modality: str = "CT", **context) -> Frame:
    bits = 8 if pixels.dtype == np.uint8 else 16
    about = FrameContext(modality=modality, bits_stored=bits, **context)
    return Frame(0, pixels, pixels.ndim == 3, None, (0.0, 65535.0), "none", about)


def kind_of(path) -> tuple[str, str | None]:
    (read,) = iter_frames(path)
    assert isinstance(read, Frame)
    found = image_kind(read)
    return found.name, found.evidence


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary_capture image_type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, "report image_type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, "report image_type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "VOLREN"]}, "secondary_capture image_type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "LOCALIZER"]}, "secondary_capture image_type"),
        ({"ConversionType": "SD"}, "report conversion_type"),
        ({"ConversionType": "WSD"}, "secondary_capture conversion_type"),
        ({"SOPClassUID": CAPTURE_CLASS}, "secondary_capture sop_class"),
        ({"SOPClassUID": f"{CAPTURE_CLASS}.4"}, "secondary_capture sop_class"),
        ({"SOPClassUID": CAPTURE_CLASS, "Modality": "MR"}, "secondary_capture sop_class"),
        # Films, frame grabbers and whole-body scans come so: no other modality is refused for it
        *(
            (FRAME_GRABBER | {"Modality": name}, "acquisition")
            for name in ("US", "XA", "CR", "DX", "NM", "OT", "ES")
        ),
        # Slices that a workstation computed are slices
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR", "CSA MPR"], **PLACED}, "acquisition"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SPI"], **PLACED}, "acquisition"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], **PLACED}, "acquisition"),
        ({"ImageType": ["ORIGINAL", "SECONDARY", "OTHER"]}, "acquisition"),
        ({"ConversionType": "DV", **PLACED}, "acquisition"),
        ({"SOPClassUID": CAPTURE_CLASS, **PLACED}, "acquisition"),
        ({}, "acquisition"),
    ],
)
def test_a_header_tells_a_page_from_a_slice(write_dicom, attributes, kind):
    found = kind_of(write_dicom(disk(), **attributes))
    assert " ".join(filter(None, found)) == kind


@pytest.mark.parametrize(
    ("modality", "kind"),
    [
        *((name, ("secondary_capture", "photometric")) for name in ("CT", "MR", "PT", "NM")),
        *((name, ("acquisition", None)) for name in ("US", "XA", "CR", "ES", "XC", "SM", "OT")),
    ],
)
def test_colour_is_a_display_of_slices_and_a_picture_of_others(write_dicom, modality, kind):
    colour = np.dstack([(disk() // 8).astype(np.uint8)] * 3)
    assert kind_of(write_dicom(colour, Modality=modality)) == kind


@pytest.mark.parametrize("modality", ["CT", "MR", "US"])
@pytest.mark.parametrize(
    "page",
    [
        text_page(font=font, ink=ink, paper=paper, smooth=smooth)
        for font, ink, paper, smooth in ((0, 255, 0, True), (1, 0, 255, False), (2, 200, 30, True))
    ]
    + [panelled_page(), lossy(text_page()), text_page().astype(np.uint16) * 16],
)
def test_a_page_of_text_is_seen_where_the_header_says_nothing(page, modality):
    found = image_kind(frame(page, modality))
    assert (found.name, found.evidence) == ("report", "content")


def test_a_test_pattern_is_seen_where_the_header_says_nothing():
    pattern = step_pattern()
    for page in (pattern, pattern.astype(np.int16) * 10 - 1000, lossy(pattern)):
        assert image_kind(frame(page)).name == "test_pattern"


def test_pages_in_a_screen_with_tissue_on_it_are_acquisitions():
    """A page with an image on it may be an image with annotations: it is not lost."""
    screen = text_page(512)
    screen[150:350, 150:350] = np.random.default_rng(2).rayleigh(40, (200, 200)).clip(0, 255)
    assert image_kind(frame(screen, "US")).name == "acquisition"
    speckle = text_page(512)
    assert image_kind(frame(speckle, "US", image_regions=((0, 0, 511, 511),))).name == "acquisition"


def test_smooth_and_empty_and_repeated_images_are_acquisitions():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    mask = (disk() > 500).astype(np.uint16)
    enlarged = np.kron(disk(64), np.ones((8, 8), np.uint16))
    air = disk(256, noise=3.0)
    air[air < 300] = 0
    vessels = np.zeros((256, 256), np.uint16)
    for at in range(20, 240, 30):
        cv2.line(vessels, (at, 10), (250 - at, 245), 900 + at, 2)
    for pixels in (ramp, mask, enlarged, air, vessels, np.zeros((128, 128), np.uint16)):
        for modality in ("CT", "MR", "US"):
            assert image_kind(frame(pixels, modality)).name == "acquisition"


def test_a_page_has_reasons_in_place_of_metrics_and_passes_no_gate(write_dicom):
    colour = np.dstack([text_page()] * 3)
    paths = [
        write_dicom(colour, "dose.dcm", SOPClassUID=CAPTURE_CLASS),
        write_dicom(text_page().astype(np.uint16), "page.dcm", Modality="MR", SOPClassUID=MR_CLASS),
    ]
    files = [landed(path) for path in paths]
    (found,) = score_files(files, "b1", rules=Rules(0.0))
    rows = found.metrics.to_pylist()
    assert [(row["image_kind"], row["image_kind_evidence"]) for row in rows] == [
        ("secondary_capture", "photometric_and_sop_class"),
        ("report", "content"),
    ]
    for row in rows:
        assert row["image_kind"] in CAPTURES
        assert row["has_burned_in_text"]
        assert row["explanation"] == f"no score: {row['image_kind']}"
        assert {row[f"{name}_reason"] for name in METRIC_NAMES} == {row["image_kind"]}
        empty = (*METRIC_NAMES, "overall_quality", "passes_gate", "is_fit_for_training", "efc")
        assert [row[name] for name in empty] == [None] * len(empty)


def test_no_file_at_hand_is_taken_for_a_page(real_files):
    """None of the public files is one: a rule that calls one so would lose what was acquired."""
    for path in real_files[::7]:
        for read in frames_of(path, wanted=frozenset({0})):
            if isinstance(read, Frame):
                assert image_kind(read).name == "acquisition", path.name
