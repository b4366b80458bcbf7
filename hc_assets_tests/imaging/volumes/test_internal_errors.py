"""What is raised for one volume costs that volume: the others of its series or study are made."""

import json
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from hc_assets.core.fence import InternalError
from hc_assets.imaging.volumes import alignment, exports, pictures, rows
from hc_assets.imaging.volumes.aligned_rows import row_and_slices
from hc_assets.imaging.volumes.stored_volumes import IncompleteVolumeError, StoredVolumes
from hc_assets.imaging.volumes.volume import Volume
from hc_assets_tests.faults.dicom_deliveries import slice_of


@pytest.fixture
def two_echoes(tmp_path) -> list[Path]:
    """Two volumes of one series, at the same place."""
    paths = []
    for echo in (1, 2):
        for number in range(4):
            dataset = slice_of(1, number)
            dataset.SOPInstanceUID += f".{echo}"
            dataset.EchoNumbers = echo
            pixels = np.frombuffer(dataset.PixelData, np.uint16) + echo
            dataset.PixelData = pixels.astype(np.uint16).tobytes()
            paths.append(tmp_path / f"{echo}-{number}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def failing_on(call: int, genuine, error):
    calls = []

    def function(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise error
        return genuine(*arguments, **options)

    return function


def test_a_volume_that_raises_is_a_row_with_class_and_place(volumes, two_echoes, monkeypatch):
    monkeypatch.setattr(rows, "assemble", failing_on(1, rows.assemble, MemoryError()))
    (failed, no_voxels), (row, voxels) = volumes(two_echoes)
    assert failed["verdict"].startswith("internal error: MemoryError at ")
    assert (failed["volume"], failed["frames"], no_voxels) == (0, 4, None)
    assert (row["verdict"], voxels.shape) == ("as_sent", (4, 32, 32))


def test_slices_that_raise_leave_no_slice_behind(volumes, two_echoes, monkeypatch):
    monkeypatch.setattr(rows, "slice_batch", failing_on(2, rows.slice_batch, ValueError("Doe")))
    (_, voxels), (failed, no_voxels) = volumes(two_echoes)
    assert voxels is not None
    assert failed["verdict"].startswith("internal error: ValueError at ")
    assert (failed["shape"], failed["volume_id"], no_voxels) == (None, None, None)


def test_a_series_that_cannot_be_divided_is_one_row(volumes, two_echoes, monkeypatch):
    monkeypatch.setattr(rows, "candidates", failing_on(1, rows.candidates, RecursionError()))
    ((failed, _),) = volumes(two_echoes)
    assert failed["verdict"].startswith("internal error: RecursionError at ")
    assert failed["frames"] == 8


def test_a_picture_that_fails_costs_no_volume(volumes, two_echoes, monkeypatch):
    monkeypatch.setattr(pictures.cv2, "imencode", lambda *_: (False, None))
    made = volumes(two_echoes)
    assert [row["verdict"] for row, _ in made] == ["as_sent", "as_sent"]
    assert [row["picture"] for row, _ in made] == [None, None]


def a_row(series: str, number: int = 0) -> dict:
    return {
        "study_instance_uid": "1.2",
        "series_instance_uid": series,
        "volume": number,
        "volume_id": f"{series}-{number}",
        "modality": "MR",
        "frame_of_reference_uid": "1.2.3",
        "spacing_mm": [1.0, 1.0, 1.0],
        "shape": [24, 24, 24],
        "content_sha256": "ab" * 32,
    }


def a_volume(_: object = None) -> Volume:
    z, y, x = np.mgrid[:24, :24, :24] - 11.5
    inside = (z / 10) ** 2 + (y / 8) ** 2 + (x / 9) ** 2 < 1
    voxels = (inside * (200.0 + 4 * x)).astype(np.float32)
    return Volume(voxels, np.eye(4), 0.0)


def aligned(group: list[dict], load) -> list[alignment.Aligned]:
    return list(alignment.align(group, load, spacing_mm=1, correct_bias=False, per_series=2))


@pytest.mark.parametrize("failing", ["1-0", "2-0"])
def test_a_volume_that_cannot_be_aligned_costs_itself(failing):
    def load(row):
        if row["volume_id"] == failing:
            raise MemoryError
        return a_volume()

    made = aligned([a_row("1"), a_row("2"), a_row("3")], load)
    by_id = {each.source["volume_id"]: each for each in made}
    assert by_id[failing].verdict.startswith("internal error: MemoryError at ")
    assert by_id[failing].volume is None
    others = [each for name, each in by_id.items() if name != failing]
    assert next(each.verdict for each in others) == "reference"
    assert all(each.volume is not None for each in others)
    assert len({each.reference["volume_id"] for each in others}) == 1


def test_the_next_volume_of_a_series_takes_the_place_of_one_that_failed():
    def load(row):
        if row["volume_id"] == "2-0":
            raise MemoryError
        return a_volume()

    made = aligned([a_row("1"), a_row("2"), a_row("2", 1), a_row("2", 2), a_row("2", 3)], load)
    verdicts = [each.verdict for each in made]
    assert verdicts[0] == "reference"
    assert verdicts[1].startswith("internal error: ")
    assert not verdicts[2].startswith("internal error: ")
    assert verdicts[3:] == ["with_series", "one_too_many"]


def test_a_failed_alignment_is_a_row_without_voxels():
    row, slices = row_and_slices(
        alignment.failed(a_row("1"), a_row("1"), InternalError("ValueError at x.py:1")), "cd" * 32
    )
    assert row["verdict"] == "internal error: ValueError at x.py:1"
    assert (row["content_sha256"], slices) == (None, [])


def test_a_damaged_lake_is_not_taken_for_a_volume_that_failed():
    def load(row):
        raise IncompleteVolumeError("slices are gone")

    with pytest.raises(IncompleteVolumeError):
        aligned([a_row("1")], load)


def test_a_file_that_cannot_be_written_is_listed_and_the_others_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(StoredVolumes, "load", lambda *_: a_volume())
    monkeypatch.setattr(
        exports, "nifti_bytes", failing_on(1, exports.nifti_bytes, ValueError("Doe"))
    )
    wanted = [a_row("1"), a_row("2")]
    failed, written = exports.exported(
        UPath(tmp_path), iter(wanted), StoredVolumes("volume_id"), {}, is_aligned=False
    )
    assert failed["reason"].startswith("internal error: ValueError at ")
    assert (failed["volume_id"], failed["file"], failed["file_size"]) == ("1-0", None, None)
    assert (tmp_path / written["file"]).stat().st_size == written["file_size"]
    assert "Doe" not in json.dumps(failed)
