"""The volumes of a study, a piece of work for a worker process that aligns them.

Belongs here: which studies there are, and what tells whether one has to be aligned again. What is
done with one is in `workers.py`; series to be made volumes of are in `series_work.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from hc_assets.imaging.volumes.kept_alignments import Before
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, rows_of
from hc_assets.lake.tables import LakeTable


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
