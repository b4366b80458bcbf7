"""A series that joins a study is aligned; the volumes that are as they were are taken over."""

import numpy as np
import pytest

from hc_assets.imaging.volumes import alignment
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, part_number
from hc_assets.imaging.volumes.study_work import Before, StudyWork
from hc_assets.imaging.volumes.volume import Volume
from hc_assets.imaging.volumes.workers import ALIGNED_SLICES_TABLE, MadeVolumes, align_study
from hc_assets.lake.layout import Layout

STUDY = "1.2"


def a_volume(seed: int) -> Volume:
    z, y, x = np.mgrid[:16, :24, :24] - 11.5
    inside = ((z + 4) / 7) ** 2 + (y / 8) ** 2 + (x / 9) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 3, inside.shape)
    voxels = (inside * (200.0 + (seed + 2) * x) + 20 + noise).astype(np.float32)
    return Volume(voxels, np.eye(4), 0.0)


class Study:
    """A study whose volumes are in memory, and how often each was read."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.volumes = {f"{series}-{n}": a_volume(int(series)) for series, n in NAMES}
        self.read: list[str] = []

    def load(self, row: dict, _: int) -> Volume:
        self.read.append(row["volume_id"])
        return self.volumes[row["volume_id"]]

    def rows(self, *names: str) -> tuple[dict, ...]:
        return tuple(
            {
                "study_instance_uid": STUDY,
                "series_instance_uid": name[0],
                "volume": int(name[2]),
                "volume_id": name,
                "modality": "MR",
                "frame_of_reference_uid": "1.2.3",
                "spacing_mm": [1.0, 1.0, 1.0],
                "shape": list(self.volumes[name].voxels.shape),
                "content_sha256": self.volumes[name].content_sha256(),
            }
            for name in names
        )

    def align(self, *names: str, before: Before | None = None, parameters: str = "p"):
        self.read = []
        return align_study(
            StudyWork(
                str(self.folder),
                self.rows(*names),
                self,
                inputs_sha256="/".join(names),
                spacing_mm=2.0,
                correct_bias=False,
                per_series=2,
                parameters=parameters,
                before=before or Before(),
            )
        )

    def before(self, made: MadeVolumes) -> Before:
        folder = str(Layout.of(str(self.folder)).partition(ALIGNED_SLICES_TABLE, None))
        parts = {part_number(STUDY): [(folder, part) for part in made.parts]}
        rows = {row["volume_id"]: row for row in made.rows}
        return Before(rows, StoredVolumes("aligned_id", parts))


NAMES = [("1", 0), ("2", 0), ("2", 1), ("3", 0)]


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


def hashes(made: MadeVolumes) -> list[str]:
    return [part.sha256 for part in made.parts]


def test_only_the_series_that_joins_is_aligned_and_the_bytes_are_those_from_scratch(
    study, monkeypatch
):
    first = study.align("1-0", "2-0")
    count = []
    real = alignment.register
    monkeypatch.setattr(alignment, "register", lambda *a, **k: count.append(1) or real(*a, **k))
    joined = study.align("1-0", "2-0", "3-0", before=study.before(first))
    assert len(count) == 1
    assert study.read == ["1-0", "3-0"]  # the reference, to lay the new one on, and that
    scratch = study.align("1-0", "2-0", "3-0")
    assert joined.rows == scratch.rows
    assert hashes(joined) == hashes(scratch)


def test_a_volume_that_joins_a_series_moves_as_its_first_did(study):
    first = study.align("1-0", "2-0")
    joined = study.align("1-0", "2-0", "2-1", before=study.before(first))
    assert "2-0" not in study.read
    assert joined.rows == study.align("1-0", "2-0", "2-1").rows


@pytest.mark.parametrize("changed", ["reference", "parameters", "alone"])
def test_what_rests_on_something_else_is_aligned_again(study, changed):
    if changed == "alone":
        before = study.before(study.align("1-0"))
    else:
        before = study.before(study.align("1-0", "2-0"))
    if changed == "reference":
        study.volumes["1-0"] = a_volume(9)
    parameters = "q" if changed == "parameters" else "p"
    made = study.align("1-0", "2-0", before=before, parameters=parameters)
    assert study.read == ["1-0", "2-0"]
    assert made.rows == study.align("1-0", "2-0", parameters=parameters).rows


def test_of_a_study_as_it_was_nothing_is_read(study):
    first = study.align("1-0", "2-0")
    again = study.align("1-0", "2-0", before=study.before(first))
    assert study.read == []
    assert again.rows == first.rows
    assert hashes(again) == hashes(first)
