"""b-values and directions of each maker's files, in the patient."""

import numpy as np
import pytest

from hc_assets.imaging.headers.read import read_header
from hc_assets_tests.imaging import diffusion_files as made
from hc_assets_tests.imaging import mosaic_files

PLANES = {
    "axial": made.AXIAL,
    "tilted": made.TILTED,
    "coronal": made.CORONAL,
    "sagittal": made.SAGITTAL,
}


def weighting(path) -> tuple[float | None, list[float] | None]:
    row = read_header(path)
    b_values, directions = row["b_values"], row["gradient_directions"]
    return b_values and b_values[0], directions and directions[0]


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("maker", ["standard", "siemens", "philips"])
def test_directions_of_the_patient_are_kept(write_dicom, maker, plane):
    for volume in range(4):
        path = write_dicom(made.slice_of(0, volume, maker, PLANES[plane]))
        b_value, direction = weighting(path)
        assert b_value == made.B_VALUES[volume]
        if volume == 0:
            assert direction is None
        else:
            np.testing.assert_allclose(direction, made.SENT[volume], atol=1e-6)


@pytest.mark.parametrize("plane", PLANES)
def test_united_imagings_directions_are_along_the_image(write_dicom, plane):
    path = write_dicom(made.slice_of(0, 3, "united imaging", PLANES[plane]))
    row, column = np.array(PLANES[plane])
    x, y, z = made.SENT[3]
    expected = x * row + y * column + z * np.cross(row, column)
    np.testing.assert_allclose(weighting(path)[1], expected, atol=1e-6)


# Signs along rows, columns and the normal, for phase encoding along columns; then along rows
GE = {
    ("axial", "COL"): lambda x, y, z: (-x, -y, z),
    ("tilted", "COL"): lambda x, y, z: (-x, -y, z),
    ("coronal", "COL"): lambda x, y, z: (-x, y, z),
    ("sagittal", "COL"): lambda x, y, z: (x, y, -z),
    ("axial", "ROW"): lambda x, y, z: (-y, x, z),
    ("coronal", "ROW"): lambda x, y, z: (y, x, z),
    ("sagittal", "ROW"): lambda x, y, z: (y, -x, -z),
}


@pytest.mark.parametrize(("plane", "phase"), GE)
def test_ges_directions_depend_on_plane_and_phase_encoding(write_dicom, plane, phase):
    axes = PLANES[plane]
    path = write_dicom(made.slice_of(0, 2, "ge", axes, InPlanePhaseEncodingDirection=phase))
    b_value, direction = weighting(path)
    assert b_value == 1000
    row, column = np.array(axes)
    along = np.stack([row, column, np.cross(row, column)], axis=1).T @ np.array(direction)
    np.testing.assert_allclose(along, GE[plane, phase](*made.SENT[2]), atol=1e-6)


def test_ge_gives_a_lesser_b_value_by_a_shorter_vector(write_dicom):
    dataset = made.slice_of(0, 3, "ge")
    for element, value in zip((0xBB, 0xBC, 0xBD), (0.66, 0, 0), strict=True):
        dataset[0x0019, 0x1000 + element].value = str(value)
    b_value, direction = weighting(write_dicom(dataset))
    assert b_value == 870  # 2000 * 0.66**2, to a multiple of 5
    assert direction == [-1, 0, 0]


@pytest.mark.parametrize("missing", ["InPlanePhaseEncodingDirection", "ImageOrientationPatient"])
def test_without_what_ges_direction_refers_to_it_is_unknown(write_dicom, missing):
    path = write_dicom(made.slice_of(0, 2, "ge", **{missing: None}))
    assert weighting(path) == (1000, None)


@pytest.mark.parametrize(
    ("directionality", "has_direction"), [("DIRECTIONAL", True), ("ISOTROPIC", False)]
)
def test_each_frame_of_an_enhanced_file_has_its_own(write_dicom, directionality, has_direction):
    row = read_header(write_dicom(made.enhanced(directionality)))
    assert row["b_values"] == [b for b in made.B_VALUES for _ in range(4)]
    directions = row["gradient_directions"] or [None] * 16
    assert [direction is not None for direction in directions] == [
        has_direction and volume > 0 for volume in range(4) for _ in range(4)
    ]
    if has_direction:
        np.testing.assert_allclose(directions[-1], made.SENT[3], atol=1e-9)


def test_the_csa_header_says_it_where_nothing_else_does(write_dicom):
    csa = {
        "NumberOfImagesInMosaic": [5],
        "SliceNormalVector": list(mosaic_files.NORMAL),
        "B_value": [700],
        "DiffusionGradientDirection": [0, 0.6, -0.8],
    }
    path = write_dicom(mosaic_files.siemens(mosaic_files.slices(5), csa=csa))
    b_value, direction = weighting(path)
    assert b_value == 700
    np.testing.assert_allclose(direction, [0, 0.6, -0.8])


def test_private_elements_without_vr_are_read_as_their_owner_has_them(write_dicom):
    dataset = made.slice_of(0, 2, "united imaging")
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    assert weighting(write_dicom(dataset))[0] == 1000


def test_elements_of_another_owner_say_nothing(write_dicom):
    dataset = made.slice_of(0, 2, "siemens")
    dataset[0x0019, 0x0010].value = "SOMEBODY ELSE"
    assert weighting(write_dicom(dataset)) == (None, None)
    del dataset[0x0019, 0x0010]  # as de-identification leaves it
    assert weighting(write_dicom(dataset))[0] == 1000


@pytest.mark.parametrize("b_value", [-5.0, float("nan"), float("inf")])
def test_what_is_no_b_value_is_none(write_dicom, b_value):
    dataset = made.slice_of(0, 2, "standard")
    dataset.DiffusionBValue = b_value
    assert weighting(write_dicom(dataset)) == (None, None)
