import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX
from hc_assets.imaging.schemas.series import SERIES
from hc_assets.imaging.series.instances import read_series
from hc_assets.imaging.series.table import series_row
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter

PIXELS = np.zeros((4, 4), np.uint16)


@pytest.fixture
def described(tmp_path, write_dicom):
    """Rows of the series that files with some attributes make, each (batch, attributes)."""

    def describe(*files: dict, pixels=PIXELS) -> list[dict]:
        parts = []
        folder = Layout.of(tmp_path / "data").partition("imaging/dicom_index", "b")
        with PartWriter(folder, DICOM_INDEX) as writer:
            for number, attributes in enumerate(files):
                name = f"{number}.dcm"
                own = {"SOPInstanceUID": f"1.2.{number + 1}", "InstanceNumber": number + 1}
                path = write_dicom(pixels, name, **own | attributes)
                file = FileToRead(name, path, f"{number:064x}", path.stat().st_size)
                for found in index_files([file], f"b{number // 100}"):
                    writer.write(found.index)
        parts = [str(folder / part.name) for part in writer.parts]
        rows = [series_row(group) for group in read_series(parts)]
        assert all(row.keys() == set(SERIES.names) for row in rows)
        return rows

    return describe


def slices(heights, **attributes) -> list[dict]:
    return [
        {
            "ImagePositionPatient": [0, 0, z],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.5, 0.5],
            "SliceThickness": "2",
        }
        | attributes
        for z in heights
    ]


def test_a_whole_series_is_complete(described):
    (row,) = described(*slices([0, 2, 4, 6, 8]))
    assert (row["instances"], row["slices"], row["plane"]) == (5, 5, "AXIAL")
    assert (row["slice_spacing_mm"], row["missing_slices"], row["is_complete"]) == (2, 0, True)
    assert row["pixel_spacing"] == [0.5, 0.5]
    assert row["warnings"] == []


def test_a_gap_makes_it_incomplete(described):
    (row,) = described(*slices([0, 2, 4, 8, 10, 12]))
    assert (row["missing_slices"], row["expected_instances"], row["is_complete"]) == (1, 7, False)
    assert row["expected_from"] == "positions of the slices"


def test_the_header_says_how_many_there_should_be(described):
    files = slices([0, 2, 4], NumberOfSeriesRelatedInstances="9")
    (row,) = described(*files)
    assert (row["expected_instances"], row["missing_instances"]) == (9, 6)
    assert row["expected_from"] == "NumberOfSeriesRelatedInstances"


def test_pet_counts_slices_and_time_slices(described):
    files = slices([0, 2, 4], Modality="PT", NumberOfSlices=3, NumberOfTimeSlices=2)
    (row,) = described(*files)
    assert (row["expected_instances"], row["missing_instances"]) == (6, 3)


def test_a_hole_in_the_numbers_leaves_it_open(described):
    files = slices([0, 2, 4, 6])
    files[-1]["InstanceNumber"] = 9
    (row,) = described(*files)
    assert (row["missing_instance_numbers"], row["is_complete"]) == (5, None)


def test_without_positions_nothing_is_expected(described):
    (row,) = described({}, {})
    assert (row["slices"], row["expected_instances"], row["is_complete"]) == (0, None, None)
    assert row["slice_spacing_mm"] is None


def test_duplicates_and_conflicts_are_told_apart(described):
    files = slices([0, 2, 4, 4])
    files.append(slices([6], SOPInstanceUID="1.2.1")[0])  # another content under a known UID
    (row,) = described(*files)
    assert (row["files"], row["instances"], row["conflicting_instances"]) == (5, 4, 1)
    assert row["duplicate_positions"] == 1


def test_the_tilt_of_the_positions_is_that_of_the_gantry(described):
    shear = np.tan(np.radians(18.5))
    files = slices([0, 2, 4, 6], GantryDetectorTilt="18.5")
    for file in files:
        z = file["ImagePositionPatient"][2]
        file["ImagePositionPatient"] = [0, round(z * shear, 6), z]
    (row,) = described(*files)
    assert row["gantry_tilt"] == 18.5
    assert row["stack_tilt_deg"] == pytest.approx(18.5, abs=0.01)


def test_where_files_differ_the_row_is_null_and_flagged(described):
    files = slices([0, 2, 4])
    files[0]["PatientID"] = "P2"
    (row,) = described(*files)
    assert row["patient_id"] is None
    assert row["warnings"] == ["patient_id differs: 2 values"]


def test_series_are_sorted_and_kept_apart(described):
    files = [{"SeriesInstanceUID": uid} for uid in ("1.2.3.2", "1.2.3.1", "1.2.3.2")]
    rows = described(*files)
    assert [(r["series_instance_uid"], r["instances"]) for r in rows] == [
        ("1.2.3.1", 1),
        ("1.2.3.2", 2),
    ]


def test_frames_of_an_enhanced_file_are_its_slices(described):
    groups = []
    for z in (0, 3, 6, 12):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, z]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.SliceThickness = "3"
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    for group, z in zip(groups, (0, 3, 6, 12), strict=True):
        group.PlanePositionSequence[0].ImagePositionPatient = [0, z, 0]
    (row,) = described(
        {
            "SharedFunctionalGroupsSequence": Sequence([shared]),
            "PerFrameFunctionalGroupsSequence": Sequence(groups),
        },
        pixels=np.zeros((4, 4, 4), np.uint16),
    )
    assert (row["frames"], row["slices"], row["plane"]) == (4, 4, "CORONAL")
    assert (row["slice_spacing_mm"], row["greatest_spacing_mm"]) == (3, 6)
    assert row["missing_slices"] == 1


@pytest.mark.parametrize("stated", [1_000_000, 1_000_000_000, 2**31 - 1])
def test_a_file_has_no_more_frames_than_it_can_hold(described, stated):
    orientation, position, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    position.ImagePositionPatient = [0, 0, 0]
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PlanePositionSequence = Sequence([position])
    (row,) = described(
        {
            "NumberOfFrames": stated,
            "SharedFunctionalGroupsSequence": Sequence([shared]),
        },
        pixels=np.zeros((64, 64), np.uint16),
    )
    assert row["frames"] == 1


def test_a_hostile_number_of_expected_instances_is_not_believed(described):
    (row,) = described({"NumberOfSeriesRelatedInstances": "99999999"})
    assert row["expected_instances"] is None


def test_real_tilted_slices_of_two_thicknesses_agree_with_their_header(shared_files, tmp_path):
    headers = [
        (file.path, read_header(file.path)) for file in shared_files if file.modality == "CT"
    ]
    tilted = [path for path, header in headers if header["gantry_tilt"]]
    if len(tilted) < 20:
        pytest.skip("no tilted series among the shared files")
    folder = Layout.of(tmp_path).partition("imaging/dicom_index", "b")
    with PartWriter(folder, DICOM_INDEX) as writer:
        for number, path in enumerate(tilted):
            for found in index_files([FileToRead(path.name, path, f"{number:064x}", 1)], "b"):
                writer.write(found.index)
    (group,) = read_series([str(folder / part.name) for part in writer.parts])
    row = series_row(group)
    assert row["stack_tilt_deg"] == pytest.approx(abs(row["gantry_tilt"]), abs=0.1)
    assert (row["slices"], row["missing_slices"]) == (len(tilted), 0)
    assert (row["slice_thickness"], row["is_complete"]) == (None, True)
