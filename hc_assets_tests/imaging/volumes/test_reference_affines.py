"""The place of a volume in the patient, against nibabel's DICOM reader and against dcm2niix."""

import gzip
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from scipy.ndimage import map_coordinates

from hc_assets.imaging.volumes.volume_series import bval_text, bvec_text, runs_of
from hc_assets_tests.imaging import mosaic_files

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it calls itself experimental
    from nibabel.nicom import dicomwrappers

# nibabel's wrappers index a slice by row, column; volumes by column, row
SWAP = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def wrapped(path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dicomwrappers.wrapper_from_file(path)


def lps(row: dict) -> np.ndarray:
    return np.array(row["affine_lps"]).reshape(4, 4)


@pytest.fixture
def corpus(shared_data) -> Path:
    return shared_data / "dicom"


def test_a_mosaic_lies_where_nibabel_says(corpus, volumes):
    path = corpus / "dcm_qa_ts" / "In" / "1.dcm"
    ((row, voxels),) = volumes([path])
    reference = wrapped(path)
    np.testing.assert_allclose(lps(row) @ SWAP, reference.affine, atol=1e-3)
    np.testing.assert_array_equal(voxels.transpose(1, 2, 0), reference.get_data())


@pytest.mark.parametrize(
    "name",
    ["dcm_qa_enh/In/Siemens/XA10/6_1.dcm", "dcm_qa_enh/In/Siemens/XA10/6_4.dcm"],
)
def test_an_enhanced_multi_frame_lies_where_nibabel_says(corpus, volumes, name):
    ((row, voxels),) = volumes([corpus / name])
    reference = wrapped(corpus / name)
    # Its frames run from the head down, so nibabel's axes are left-handed: the same grid, flipped
    flip = np.diag([1.0, 1.0, -1.0, 1.0])
    flip[2, 3] = len(voxels) - 1
    np.testing.assert_allclose(lps(row) @ SWAP @ flip, reference.affine, atol=1e-3)
    np.testing.assert_allclose(voxels[::-1].transpose(1, 2, 0), reference.get_data(), rtol=1e-6)


def test_the_first_slice_of_single_frames_lies_where_nibabel_says(corpus, volumes):
    folder = corpus / "dicom2nifti/tests/data/siemens/dti_classic/001"
    paths = sorted(folder.glob("*.dcm"))
    made = volumes(paths)
    assert [row["dimensions"] for row, _ in made] == [
        '{"acquisition_number":"1"}',
        '{"acquisition_number":"2"}',
    ]
    # Slices were sent from the top down; number 4 is the lowest
    reference = wrapped(folder / "004.dcm")
    for row, _ in made:
        affine = lps(row) @ SWAP
        np.testing.assert_allclose(affine[:, [0, 1, 3]], reference.affine[:, [0, 1, 3]], atol=1e-3)
        second = wrapped(folder / "003.dcm").affine[:3, 3]
        np.testing.assert_allclose((affine @ [0, 0, 1, 1])[:3], second, atol=1e-3)


def converted(paths: list[Path], tmp_path: Path, *options: str) -> list[nibabel.Nifti1Image]:
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    program = program or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    for path in paths:
        shutil.copy(path, source / path.name)
    command = [program, "-b", "n", "-f", "%s_%p", *options, "-o", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(target.glob("*.nii"))]


def same_place(row: dict, voxels: np.ndarray, reference: nibabel.Nifti1Image, volume: int = 0):
    """Whether a reference holds the same value at the same place, voxel for voxel."""
    ours = np.array(row["affine_ras"]).reshape(4, 4)
    to_reference = np.linalg.inv(reference.affine) @ ours
    whole = np.rint(to_reference)
    assert np.abs(to_reference[:3, :3] - whole[:3, :3]).max() < 1e-4
    assert np.abs(to_reference[:3, 3] - whole[:3, 3]).max() < 0.01  # of a voxel
    data = reference.get_fdata(dtype=np.float32)
    data = data[..., volume] if data.ndim == 4 else data
    index = np.indices(voxels.shape[::-1]).reshape(3, -1)
    at = (whole[:3, :3] @ index + whole[:3, 3:]).astype(int)
    values = data[at[0], at[1], at[2]].reshape(voxels.shape[::-1]).transpose(2, 1, 0)
    np.testing.assert_allclose(values, voxels, rtol=1e-5, atol=1e-3)


def test_mosaics_are_those_of_dcm2niix(corpus, volumes, tmp_path):
    path = corpus / "dcm_qa_ts" / "In" / "1.dcm"
    ((row, voxels),) = volumes([path])
    (reference,) = converted([path], tmp_path)
    same_place(row, voxels, reference)


def test_equal_voxels_of_other_times_are_volumes_too(volumes, write_dicom):
    paths = []
    for number, time in enumerate(["101010", "101012", "101012"]):
        own = {"SOPInstanceUID": f"1.2.{number + 1}", "AcquisitionTime": time}
        dataset = mosaic_files.siemens(mosaic_files.slices(5), **own)
        paths.append(write_dicom(dataset, f"{number}.dcm"))
    assert [row["verdict"] for row, _ in volumes(paths)] == ["as_sent", "as_sent", "repeated"]


def test_real_diffusion_mosaics_are_those_of_dcm2niix(volumes, tmp_path):
    folder = Path(nibabel.__file__).parent / "nicom" / "tests" / "data"
    paths = []
    for b_value in (0, 1000):
        paths.append(tmp_path / f"{b_value}.dcm")
        data = gzip.decompress((folder / f"siemens_dwi_{b_value}.dcm.gz").read_bytes())
        paths[-1].write_bytes(data)
    made = volumes(paths)
    (run,) = runs_of([row for row, _ in made])
    assert bval_text(run) == "0 1000\n"
    (reference,) = converted(paths, tmp_path)
    for number, (row, voxels) in enumerate(made):
        same_place(row, voxels, reference, number)
    bvec = np.loadtxt(next((tmp_path / "out").glob("*.bvec")))
    # Rows of their image are stored the other way round, with a negative determinant
    ours = np.array([line.split() for line in bvec_text(run).splitlines()], float)
    np.testing.assert_allclose(ours * [[-1], [-1], [1]], bvec, atol=1e-5)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("make", [mosaic_files.siemens, mosaic_files.united_imaging])
def test_made_mosaics_are_those_of_dcm2niix(volumes, write_dicom, tmp_path, make, order):
    slices = mosaic_files.slices(7)
    path = write_dicom(make(slices, order=order))
    ((row, voxels),) = volumes([path])
    np.testing.assert_array_equal(voxels[::order], slices)
    at = np.array([lps(row) @ [0, 0, number, 1] for number in range(7)])[::order, :3]
    np.testing.assert_allclose(at, mosaic_files.positions(7, order), atol=1e-5)
    (reference,) = converted([path], tmp_path)
    same_place(row, voxels, reference)


def test_time_points_of_enhanced_files_are_those_of_dcm2niix(corpus, volumes, tmp_path):
    paths = sorted((corpus / "dcm_qa_enh/In/Siemens/XA10").glob("*.dcm"))
    made = volumes(paths)
    (reference,) = converted(paths, tmp_path)
    assert reference.shape[3] == len(made) == 4
    for number, (row, voxels) in enumerate(made):
        same_place(row, voxels, reference, number)


def test_magnitude_and_field_of_an_enhanced_file_are_those_of_dcm2niix(corpus, volumes, tmp_path):
    path = corpus / "dcm_qa_enh/In/Philips/IM_0027_fMAP.dcm"
    made = volumes([path])
    references = converted([path], tmp_path, "-p", "n")
    assert len(made) == len(references) == 2
    for row, voxels in made:
        data = [each.get_fdata() for each in references]
        # -p n: values by RescaleSlope, as in modality units
        closest = min(range(2), key=lambda n: abs(data[n].min() - voxels.min()))
        same_place(row, voxels, references[closest])


def test_parallel_slices_are_those_of_dcm2niix(corpus, volumes, tmp_path):
    paths = sorted((corpus / "dicom2nifti/tests/data/siemens/dti_classic/001").glob("*.dcm"))
    made = volumes(paths)
    (reference,) = converted(paths, tmp_path)
    assert reference.shape[3] == len(made) == 2
    for number, (row, voxels) in enumerate(made):
        same_place(row, voxels, reference, number)


def test_a_tilted_unevenly_spaced_head_is_where_dcm2niix_puts_it(corpus, volumes, tmp_path):
    paths = sorted((corpus / "dcm_qa_ct/In/GE").glob("*.dcm"))
    ((row, voxels),) = volumes(paths)
    assert (row["verdict"], row["findings"][:2]) == ("resampled", ["tilt", "variable_spacing"])
    assert row["tilt_deg"] == pytest.approx(18.5, abs=0.05)
    references = converted(paths, tmp_path)
    straight = next(each for each in references if each.shape[1] == row["shape"][1])
    # Inside the head, away from its edges, on every third voxel
    index = np.mgrid[4:33, 60:560:5, 30:480:5].reshape(3, -1)
    ours = voxels[tuple(index)]
    ras = np.array(row["affine_ras"]).reshape(4, 4)
    at = np.linalg.inv(straight.affine) @ ras @ [*index[::-1], np.ones(index.shape[1])]
    theirs = map_coordinates(straight.get_fdata(dtype=np.float32), at[:3], order=1, cval=-9999)
    head = (ours > -500) & (theirs > -1500)
    assert head.sum() > 100_000
    # Each interpolates once more than the other, at different places
    assert np.corrcoef(ours[head], theirs[head])[0, 1] > 0.99
    assert np.median(np.abs(ours[head] - theirs[head])) < 2


@pytest.mark.parametrize("number", [3, 10, 20])
def test_a_straightened_head_holds_the_slices_as_they_were_sent(corpus, volumes, number):
    paths = sorted((corpus / "dcm_qa_ct/In/GE").glob("*.dcm"))
    ((row, voxels),) = volumes(paths)
    sent = pydicom.dcmread(paths[number - 1])
    values = sent.pixel_array * float(sent.RescaleSlope) + float(sent.RescaleIntercept)
    j, i = np.mgrid[100:400:3, 100:400:3].reshape(2, -1)
    cosines = np.array(sent.ImageOrientationPatient, float)
    spacing = [float(value) for value in sent.PixelSpacing]
    world = (
        np.array(sent.ImagePositionPatient, float)[:, None]
        + cosines[:3, None] * spacing[1] * i
        + cosines[3:, None] * spacing[0] * j
    )
    at = np.linalg.inv(lps(row)) @ np.vstack([world, np.ones(i.size)])
    found = map_coordinates(voxels, at[2::-1], order=1)
    head = values[j, i] > -500
    assert np.corrcoef(values[j, i][head], found[head])[0, 1] > 0.999
