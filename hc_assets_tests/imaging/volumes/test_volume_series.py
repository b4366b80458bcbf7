"""Volumes of a series as one 4-D image, with gradients as FSL has them, against dcm2niix."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from upath import UPath

from hc_assets.imaging.series.table import series_row
from hc_assets.imaging.volumes.exports import ExportedFile, exported_series
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes
from hc_assets.imaging.volumes.volume_series import (
    bval_text,
    bvec_text,
    is_weighted,
    runs_of,
    seconds_between,
)
from hc_assets_tests.imaging import diffusion_files as made
from hc_assets_tests.imaging import mosaic_files
from hc_assets_tests.imaging.volumes.test_reference_affines import converted, same_place

FLIPPED = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
CASES = [
    *((maker, made.TILTED, "COL") for maker in made.MAKERS),
    *(("ge", axes, phase) for axes in (made.CORONAL, made.SAGITTAL) for phase in ("COL", "ROW")),
    ("ge", made.AXIAL, "ROW"),
    ("siemens", FLIPPED, "COL"),
    ("united imaging", made.CORONAL, "COL"),
]


def gradients(text: str) -> np.ndarray:
    return np.array([line.split() for line in text.splitlines()], float)


def in_patient(bvec: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Directions in RAS of what FSL's convention says of an image."""
    turned = bvec.copy()
    if np.linalg.det(affine[:3, :3]) > 0:
        turned[0] = -turned[0]
    return (affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)) @ turned


def write_series(write_dicom, maker: str, axes, **attributes) -> list[Path]:
    return [
        write_dicom(
            made.slice_of(number, volume, maker, axes, **attributes), f"{volume}{number}.dcm"
        )
        for volume in range(4)
        for number in range(4)
    ]


@pytest.mark.parametrize(("maker", "axes", "phase"), CASES)
def test_gradients_are_those_of_dcm2niix(volumes, write_dicom, tmp_path, maker, axes, phase):
    paths = write_series(write_dicom, maker, axes, InPlanePhaseEncodingDirection=phase)
    rows_and_voxels = volumes(paths)
    rows = [row for row, _ in rows_and_voxels]
    (run,) = runs_of(rows)
    assert [row["b_value"] for row in run] == list(made.B_VALUES)
    assert is_weighted(run)
    (reference,) = converted(paths, tmp_path)
    for number, (row, voxels) in enumerate(rows_and_voxels):
        same_place(row, voxels, reference, number)
    (bval,), (bvec,) = ((tmp_path / "out").glob(f"*.{name}") for name in ("bval", "bvec"))
    np.testing.assert_allclose(gradients(bval_text(run)), [np.loadtxt(bval)])
    ours = in_patient(gradients(bvec_text(run)), np.array(run[0]["affine_ras"]).reshape(4, 4))
    theirs = in_patient(np.loadtxt(bvec), reference.affine)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_x_of_directions_is_turned_round_where_the_determinant_is_positive():
    row = {"gradient_direction": [0.6, 0.0, 0.8], "b_value": 1000.0}
    positive = {"affine_lps": np.diag([2.0, 2, 3, 1]).ravel().tolist()}
    negative = {"affine_lps": np.diag([2.0, -2, 3, 1]).ravel().tolist()}
    assert bvec_text([row | positive]) == "-0.6\n0\n0.8\n"
    assert bvec_text([row | negative]) == "0.6\n0\n0.8\n"
    assert bvec_text([row | positive | {"gradient_direction": None}]) == "0\n0\n0\n"
    assert bval_text([row, row | {"b_value": 0.0}]) == "1000 0\n"


def test_an_enhanced_file_is_divided_and_ordered_as_the_single_ones(volumes, write_dicom):
    rows = [row for row, _ in volumes([write_dicom(made.enhanced())])]
    (run,) = runs_of(rows)
    assert bval_text(run) == "0 1000 1000 2000\n"
    np.testing.assert_allclose(gradients(bvec_text(run))[:, 3], [0.48, 0.6, 0.64], atol=1e-6)
    assert seconds_between(run) == 3.0


def test_mosaics_follow_one_another(volumes, write_dicom):
    paths = []
    for volume in range(3):
        csa = {
            "NumberOfImagesInMosaic": [5],
            "SliceNormalVector": list(mosaic_files.NORMAL),
            "B_value": [500 * volume],
            "DiffusionGradientDirection": [0, 0.6, 0.8],
        }
        voxels = mosaic_files.slices(5) + volume
        dataset = mosaic_files.siemens(
            voxels,
            csa=csa,
            InstanceNumber=volume + 1,
            SOPInstanceUID=f"1.2.{volume + 1}",
            AcquisitionTime=f"2359{58 + volume % 2}" if volume < 2 else "000000",
        )
        paths.append(write_dicom(dataset, f"{2 - volume}.dcm"))
    rows = [row for row, _ in volumes(paths)]
    (run,) = runs_of(rows)
    assert bval_text(run) == "0 500 1000\n"
    assert seconds_between(run) == 1.0  # over midnight


def test_other_echoes_kinds_and_grids_are_other_images(volumes, write_dicom):
    paths = []
    different = [{}, {"EchoNumbers": 2}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, {}]
    for volume, own in enumerate(different):
        paths += [
            write_dicom(made.slice_of(number, volume, "standard", **own), f"{volume}{number}.dcm")
            for number in range(4)
        ]
    runs = runs_of([row for row, _ in volumes(paths)])
    assert [[row["b_value"] for row in run] for run in runs] == [[0, 2000], [1000], [1000]]


@pytest.mark.parametrize(
    ("starts", "seconds"),
    [([1, 3, 5], 2), ([1, 3, 9], None), ([1, None, 5], None), ([5, 3, 1], None), ([1], None)],
)
def test_time_between_volumes_is_known_where_it_is_even(starts, seconds):
    assert seconds_between([{"acquired_s": start} for start in starts]) == seconds


@pytest.fixture
def exported(hc_assets, write_dicom, data_dir):
    paths = write_series(write_dicom, "siemens", made.TILTED)
    assert hc_assets("ingest", *paths).exit_code == 0
    return data_dir / "exports" / "nifti"


def test_a_diffusion_series_is_exported_as_one_image_with_its_gradients(exported, hc_assets, query):
    rows = dict(query("SELECT content, file FROM imaging.nifti_exports WHERE content <> 'volume'"))
    assert set(rows) == {"volumes", "bval", "bvec"}
    image = nibabel.load(exported / rows["volumes"])
    assert (image.shape, image.get_data_dtype()) == ((20, 16, 4, 4), np.int16)
    assert image.header.get_zooms()[3] == 3
    assert image.header.get_xyzt_units() == ("mm", "sec")
    data = image.get_fdata()
    singles = query(
        "SELECT file FROM imaging.nifti_exports JOIN imaging.volumes USING (volume_id)"
        " WHERE content = 'volume' AND NOT is_aligned ORDER BY volume"
    )
    for number, (name,) in enumerate(singles):
        single = nibabel.load(exported / name)
        np.testing.assert_array_equal(single.get_fdata(), data[..., number])
        np.testing.assert_allclose(single.affine, image.affine)
    stem = rows["volumes"].removesuffix(".nii.gz")
    assert (rows["bval"], rows["bvec"]) == (f"{stem}.bval", f"{stem}.bvec")
    assert (exported / rows["bval"]).read_text() == "0 1000 1000 2000\n"
    found = query("SELECT b_values, gradient_directions FROM imaging.series")
    assert found == [([0.0, 1000.0, 2000.0], 3)]
    assert hc_assets("lake", "verify").exit_code == 0
    (exported / rows["bvec"]).write_text("")
    assert hc_assets("lake", "verify").exit_code == 1


def test_without_4d_files_each_volume_has_its_gradients_beside_it(volumes, write_dicom, tmp_path):
    rows = [row for row, _ in volumes(write_series(write_dicom, "siemens", made.AXIAL))]
    folder = UPath(tmp_path / "nifti")
    stored = StoredVolumes("volume_id")

    def export(before):
        made_rows = exported_series(folder, iter(rows), stored, before, is_four_dimensional=False)
        return list(made_rows)

    files = export({})
    assert [each["content"] for each in files] == ["bval", "bvec"] * 4
    assert (folder / files[0]["file"]).read_text() == "0\n"
    assert files[0]["file"] == f"{rows[0]['volume_id']}.bval"
    when = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    known = {
        each["file"]: ExportedFile(**{name: each[name] for name in ExportedFile._fields})
        for each in files
    }
    assert export(known) == files
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == when
    unweighted = [row | {"b_value": 0.0} for row in rows]
    assert not list(
        exported_series(folder, iter(unweighted), stored, {}, is_four_dimensional=False)
    )


@pytest.mark.parametrize("make", [mosaic_files.siemens, mosaic_files.united_imaging])
def test_the_slices_of_mosaics_are_the_slices_of_their_series(series, write_dicom, make):
    paths = []
    for number in range(2):
        own = {"SOPInstanceUID": f"1.2.{number + 1}", "AcquisitionTime": f"10101{number}"}
        paths.append(write_dicom(make(mosaic_files.slices(7), **own), f"{number}.dcm"))
    (files,) = series(paths)
    row = series_row(files)
    assert (row["frames"], row["slices"], row["stacks"]) == (14, 7, 1)
    assert (row["rows"], row["columns"], row["frames_per_position"]) == (32, 40, 2)
    assert row["slice_spacing_mm"] == pytest.approx(mosaic_files.THICKNESS)
    assert (row["duplicate_positions"], row["missing_slices"]) == (0, 0)


def test_a_mosaic_without_known_slices_is_an_unknown_mosaic(volumes, write_dicom):
    csa = {"NumberOfImagesInMosaic": [5]}
    path = write_dicom(mosaic_files.siemens(mosaic_files.slices(5), csa=csa))
    ((row, voxels),) = volumes([path])
    assert (row["verdict"], row["frames"], voxels) == ("unknown_mosaic", 5, None)


def test_a_field_map_is_no_time_of_its_magnitude(volumes, shared_data):
    path = shared_data / "dicom" / "dcm_qa_enh" / "In" / "Philips" / "IM_0027_fMAP.dcm"
    assert [len(run) for run in runs_of([row for row, _ in volumes([path])])] == [1, 1]


def test_times_of_enhanced_files_are_one_image(volumes, shared_data):
    folder = shared_data / "dicom" / "dcm_qa_enh" / "In" / "Siemens" / "XA10"
    (run,) = runs_of([row for row, _ in volumes(sorted(folder.glob("*.dcm")))])
    assert len(run) == 4
    assert not is_weighted(run)
