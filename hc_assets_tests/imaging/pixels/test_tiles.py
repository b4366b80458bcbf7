"""The slices of a mosaic are frames, each with its own pixels and place."""

import numpy as np
import pytest

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import frames_of, iter_frames
from hc_assets.imaging.preprocessing.rows import ArrayBatch, preprocess_files
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.rows import score_files
from hc_assets_tests.imaging import diffusion_files
from hc_assets_tests.imaging import mosaic_files as made

MAKERS = {"siemens": made.siemens, "united imaging": made.united_imaging}


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


@pytest.mark.parametrize("count", [2, 5, 7, 9, 10])
def test_each_tile_is_a_frame_with_its_place_in_the_patient(maker, write_dicom, count):
    voxels = made.slices(count)
    path = write_dicom(maker(voxels))
    frames = list(iter_frames(path))
    assert [frame.index for frame in frames] == list(range(count))
    np.testing.assert_array_equal([frame.pixels for frame in frames], voxels)
    at = [frame.context.position for frame in frames]
    np.testing.assert_allclose(at, made.positions(count), atol=1e-5)
    row = read_header(path)
    assert (row["tiles"], row["tile_shape"]) == (count, [32, 40])
    np.testing.assert_allclose(row["tile_positions"], at)


def test_only_the_tiles_that_are_wanted_are_given(maker, write_dicom):
    voxels = made.slices(7)
    path = write_dicom(maker(voxels))
    found = {frame.index: frame for frame in iter_frames(path, wanted=frozenset([2, 6, 99]))}
    assert sorted(found) == [2, 6]
    np.testing.assert_array_equal(found[6].pixels, voxels[6])


def test_a_mosaic_that_cannot_be_decoded_has_a_reason_for_each_slice(maker, write_dicom):
    dataset = maker(made.slices(5))
    dataset.PixelData = dataset.PixelData[:100]
    found = list(iter_frames(write_dicom(dataset)))
    assert [frame.index for frame in found] == list(range(5))
    assert all(isinstance(frame, UndecodableFrame) for frame in found)


def test_padding_is_cut_with_its_tile(maker, write_dicom):
    voxels = made.slices(5)
    voxels[3, :4] = 0
    frames = list(iter_frames(write_dicom(maker(voxels, PixelPaddingValue=0))))
    assert [frame.padding is not None for frame in frames] == [False, False, False, True, False]
    np.testing.assert_array_equal(frames[3].padding, voxels[3] == 0)


def _without_csa(dataset):
    del dataset[0x0029, 0x1010]
    return dataset


UNKNOWN = {
    "no private header": lambda: _without_csa(made.siemens(made.slices(5))),
    "no count": lambda: made.siemens(made.slices(5), csa={"SliceNormalVector": [0, 0, 1]}),
    "a count that does not fit": lambda: made.siemens(
        made.slices(5), csa={"NumberOfImagesInMosaic": [17], "SliceNormalVector": [0, 0, 1]}
    ),
    "an absurd count": lambda: made.siemens(
        made.slices(5), csa={"NumberOfImagesInMosaic": [60_000], "SliceNormalVector": [0, 0, 1]}
    ),
    "fewer items than slices": lambda: made.united_imaging(made.slices(5), items=4),
    "VFRAME alone": lambda: made.siemens(
        made.slices(5), ImageType=["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    ),
    "several frames": lambda: made.united_imaging(made.slices(4), NumberOfFrames=2),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_mosaic_whose_tiles_are_not_known_is_a_reason_and_no_picture(write_dicom, name):
    path = write_dicom(UNKNOWN[name]())
    (frame,) = frames_of(path)
    assert isinstance(frame, UndecodableFrame)
    assert frame.reason.startswith("a mosaic whose slices can't be told apart: ")
    row = read_header(path)
    assert (row["tiles"], row["tile_positions"]) == (0, None)
    assert frame.reason in row["warnings"]


def test_an_enhanced_file_of_several_frames_is_no_mosaic(write_dicom):
    dataset = diffusion_files.enhanced()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "MOSAIC"]
    path = write_dicom(dataset)
    assert len(list(iter_frames(path))) == 16
    assert read_header(path)["tiles"] is None


def test_tiles_without_known_places_are_frames_without_a_place(write_dicom):
    path = write_dicom(made.siemens(made.slices(5), csa={"NumberOfImagesInMosaic": [5]}))
    frames = list(iter_frames(path))
    assert [frame.context.position for frame in frames] == [None] * 5
    assert read_header(path)["tiles"] == 5


def test_the_count_of_siemens_outside_of_its_csa_header_serves_too(write_dicom):
    dataset = _without_csa(made.siemens(made.slices(5)))
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", 5)
    assert len(list(iter_frames(write_dicom(dataset)))) == 5


def test_private_blocks_are_found_wherever_they_are(write_dicom):
    dataset = made.united_imaging(made.slices(5))
    count, items = dataset[0x0065, 0x1050].value, dataset[0x0065, 0x1051].value
    for tag in ((0x0065, 0x0010), (0x0065, 0x1050), (0x0065, 0x1051)):
        del dataset[tag]
    dataset.private_block(0x0065, "SOMEBODY ELSE", create=True).add_new(0x50, "LO", "x")
    block = dataset.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", count)
    block.add_new(0x51, "SQ", items)
    assert len(list(iter_frames(write_dicom(dataset)))) == 5


def test_the_slices_of_a_mosaic_are_scored_and_preprocessed_one_by_one(maker, write_dicom):

    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:64, 0:64] - 32
    head = 900 * (np.hypot(y, x) < 25) + 300 * (np.hypot(y - 6, x + 4) < 8)
    voxels = np.stack([head + rng.rayleigh(10, (64, 64)) for _ in range(5)]).astype(np.uint16)
    path = write_dicom(maker(voxels))
    file = FileToRead(path.name, path, "0" * 64, path.stat().st_size)
    (scored,) = score_files([file], "b", rules=Rules())
    assert scored.metrics["frame"].to_pylist() == list(range(5))
    assert min(scored.metrics["overall_quality"].to_pylist()) > 0.5
    assert max(row for row in scored.metrics["ghosting"].to_pylist()) < 0.2
    (arrays,) = preprocess_files([(file, frozenset(range(5)))], "b")
    assert isinstance(arrays, ArrayBatch)
    assert arrays.rows["frame"].to_pylist() == list(range(5))
    planes = np.array(arrays.rows["array_to_patient"].to_pylist()).reshape(5, 3, 3)
    steps = np.diff(planes[:, :, 2], axis=0) @ made.NORMAL
    np.testing.assert_allclose(steps, made.THICKNESS, atol=1e-5)
