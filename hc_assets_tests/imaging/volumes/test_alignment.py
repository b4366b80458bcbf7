"""Which volumes of a study go onto one grid, and that all of them get there the same way."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from hc_assets.imaging.volumes.alignment import align, first_series, groups_of
from hc_assets.imaging.volumes.volume import Volume
from hc_assets_tests.imaging.volumes.test_registration import head, moved, other_contrast

__all__ = ["head"]  # a fixture


def row(series: str, number: int, volume: Volume | None = None, modality: str = "MR") -> dict:
    shape = [8, 8, 8] if volume is None else list(volume.voxels.shape)
    return {
        "volume_id": f"{series}-{number}",
        "series_instance_uid": series,
        "volume": number,
        "modality": modality,
        "spacing_mm": [2.2, 2.0, 2.0] if series == "1" else [3.0, 2.0, 2.0],
        "shape": shape,
        "frame_of_reference_uid": "9",
    }


def names(group):
    return [each["volume_id"] for each in group]


def test_every_mr_volume_of_a_study_is_in_one_group_the_firsts_of_the_series_in_front():
    rows = [row("2", 0), row("2", 1), row("1", 3), row("1", 4), row("0", 0, modality="CT")]
    together, alone = groups_of(rows)
    assert names(together) == ["1-3", "2-0", "1-4", "2-1"]
    assert names(alone) == ["0-0"]


def test_series_beyond_a_limit_are_left_out_mr_and_fine_ones_last():
    rows = [row("2", 0), row("2", 1), row("1", 3), row("1", 4), row("0", 0, modality="CT")]
    groups = groups_of(rows)
    aligned, left_out = first_series(groups, 2)
    assert [names(group) for group in aligned] == [["1-3", "2-0", "1-4", "2-1"]]
    assert names(left_out) == ["0-0"]
    aligned, left_out = first_series(groups, 1)
    assert [names(group) for group in aligned] == [["1-3", "1-4"]]
    assert names(left_out) == ["2-0", "2-1", "0-0"]
    assert first_series(groups, 3) == (groups, [])


def test_volumes_of_a_series_move_as_its_first_and_none_is_left_without_verdict(head):
    moving, _ = moved(head, (0, 0, 8), (8, 2, -3))
    echo = Volume(other_contrast(moving.voxels), moving.affine, 0.0)
    volumes = {"1-0": head, "1-1": head, "2-0": moving, "2-1": echo, "2-2": echo}
    rows = [row(name[0], int(name[2]), volume) for name, volume in volumes.items()]
    (group,) = groups_of(rows)
    made = {
        each.source["volume_id"]: each
        for each in align(
            group,
            lambda each: volumes[each["volume_id"]],
            spacing_mm=4.0,
            correct_bias=False,
            per_series=2,
        )
    }
    assert {name: each.verdict for name, each in made.items()} == {
        "1-0": "reference",
        "1-1": "with_series",
        "2-0": "registered",
        "2-1": "with_series",
        "2-2": "one_too_many",
    }
    for follower in ("2-1", "2-2"):
        assert made[follower].registration is made["2-0"].registration
    assert made["2-2"].volume is None
    np.testing.assert_allclose(made["1-1"].volume.voxels, made["1-0"].volume.voxels, atol=0.05)
    # The echo lies where it would had it not moved
    still = Volume(other_contrast(head.voxels), head.affine, 0.0)
    (_, expected) = align(
        [row("1", 0, head), row("1", 1, still)],
        lambda each: still if each["volume"] else head,
        spacing_mm=4.0,
        correct_bias=False,
        per_series=2,
    )
    inside = np.s_[3:-3, 6:-6, 6:-6]
    found = [each.volume.voxels[inside].ravel() for each in (made["2-1"], expected)]
    assert np.corrcoef(*found)[0, 1] > 0.95


STUDY = """
    import sys
    from pathlib import Path

    import nibabel, numpy as np, SimpleITK as sitk

    from hc_assets.imaging.volumes.geometry import ras_from_lps
    from hc_assets.imaging.volumes.study_work import StudyWork
    from hc_assets.imaging.volumes.volume import Volume
    from hc_assets.imaging.volumes.workers import align_study
    from hc_assets_tests.imaging.volumes.test_alignment import row
    from hc_assets_tests.imaging.volumes.test_registration import moved

    threads, folder = int(sys.argv[1]), sys.argv[2]
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    image = nibabel.load(path)
    voxels = np.ascontiguousarray(
        image.get_fdata(dtype=np.float32)[..., 0].transpose(2, 1, 0)[:, ::4, ::4]
    )
    affine = ras_from_lps(image.affine) @ np.diag([4, 4, 1, 1])
    fixed = Volume(voxels, affine, 0.0)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    moving, _ = moved(fixed, (0, 0, 8), (8, 2, -3))
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    volumes = {"1-0": fixed, "2-0": moving}
    rows = tuple(
        row(name[0], 0, volume) | {"study_instance_uid": "1.2", "content_sha256": name}
        for name, volume in volumes.items()
    )

    class Stored:
        def load(self, row, number):
            return volumes[row["volume_id"]]

    made = align_study(StudyWork(folder, rows, Stored(), "0", 4.0, True, 8))
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    print([each["verdict"] for each in made.rows])
    print([(each["content_sha256"], each["to_source"]) for each in made.rows])
    print([part.sha256 for part in made.parts])
"""


@pytest.fixture
def aligned_with(tmp_path):
    """What a process of its own says, in which ITK is given some threads."""

    def run(threads: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(STUDY), str(threads), tmp_path / str(threads)],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        ).stdout

    return run


def test_a_study_is_aligned_to_the_same_bytes_however_many_threads_there_are(aligned_with):
    one, several = aligned_with(1), aligned_with(3)
    assert "'reference', 'registered'" in one or "'registered', 'reference'" in one
    assert one == several
