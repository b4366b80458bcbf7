"""The volumes of a study, a piece of work for a worker process that aligns them.

Belongs here: which studies there are, and what tells whether one, or some volumes of it, have to be
aligned again: those of a study that are as they were are read back. What is done with one is in
`workers.py`; series to be made volumes of are in `series_work.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np

from hc_assets.imaging.volumes.registration import Registration
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, part_number, rows_of
from hc_assets.imaging.volumes.volume import Volume
from hc_assets.lake.tables import LakeTable


@dataclass(frozen=True)
class Before:
    """The aligned volumes of a study as they were, by the present parameters and code.

    Attributes:
        rows: of `imaging/aligned_volumes`, by volume_id; none where one of them failed, since what
            the others rest on may be another now.
        stored: their slices.
    """

    rows: Mapping[str, Row] = field(default_factory=dict)
    stored: StoredVolumes = field(default_factory=lambda: StoredVolumes("aligned_id"))

    def row(self, volume_id: str, digest: str) -> Row | None:
        """The row of a volume, if it was made of the same."""
        row = self.rows.get(volume_id)
        return row if row is not None and row["source_sha256"] == digest else None

    def volume(self, row: Row) -> Volume | None:
        """The voxels of a row; None where it has none.

        Raises:
            IncompleteVolumeError: not all of its slices are there.
            DamagedPartError: a part is gone or is not what its commit says.
        """
        if row["shape"] is None:
            return None
        return self.stored.load(row, part_number(row["study_instance_uid"]))


@dataclass(frozen=True)
class StudyWork:
    """The volumes of a study.

    Attributes:
        data_dir: folder of the lake.
        rows: of `imaging/volumes`, those that are volumes.
        stored: their slices.
        inputs_sha256: of what they were made of.
        spacing_mm: of the isotropic grid.
        correct_bias: whether the bias field of MR magnitudes is taken out.
        per_series: volumes of one series that are brought onto the grid.
        most_series: series that are aligned.
        parameters: all that alignment depends on besides the volumes.
        before: the study's aligned volumes as they were.
    """

    data_dir: str
    rows: tuple[Row, ...]
    stored: StoredVolumes
    inputs_sha256: str
    spacing_mm: float
    correct_bias: bool
    per_series: int
    most_series: int = 64
    parameters: str = ""
    before: Before = field(default_factory=Before)


def studies_of(volumes: LakeTable) -> Iterator[tuple[str, list[Row]]]:
    """Volumes by study, sorted by StudyInstanceUID."""
    for study, members in groupby(rows_of(volumes), key=itemgetter("study_instance_uid")):
        yield study, list(members)


def inputs_of(rows: Iterable[Row], parameters: str) -> str:
    """Hash of all that the aligned volumes of a study depend on."""
    digest = hashlib.sha256(parameters.encode())
    for row in rows:
        digest.update(f"/{row['volume_id']}:{row['content_sha256']}".encode())
    return digest.hexdigest()


def registration_of(row: Row) -> Registration | None:
    """How a volume was laid on the reference, from its row; None for what moves with that."""
    if row["rotation_deg"] is None:
        return None
    return Registration(
        np.array(row["to_source"]).reshape(4, 4),
        row["verdict"],
        row["rotation_deg"],
        row["translation_mm"],
        row["information_before"],
        row["information_after"],
    )


def digests_of(groups: Sequence[Sequence[Row]], parameters: str) -> dict[str, str]:
    """Hash all that each aligned volume depends on.

    Args:
        groups: as `alignment.groups_of` has them.
        parameters: of aligning.

    Returns:
        By volume_id: the hash of the parameters, the reference, whether it is alone, the first
        volume of its series, how many of its series come before it, and the volume itself.
    """
    digests = {}
    for group in groups:
        first: dict[str, Row] = {}
        counts: dict[str, int] = {}
        for row in group:
            series = row["series_instance_uid"]
            first.setdefault(series, row)
            counts[series] = counts.get(series, -1) + 1
            sources = "/".join(
                f"{each['volume_id']}:{each['content_sha256']}"
                for each in (group[0], first[series], row)
            )
            text = f"{parameters}/{len(group) > 1}/{counts[series]}/{sources}"
            digests[row["volume_id"]] = hashlib.sha256(text.encode()).hexdigest()
    return digests
