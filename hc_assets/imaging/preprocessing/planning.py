"""Which frames of a batch become arrays, in which pieces of work, and which need no work.

Belongs here: the plan. Worker processes carry it out with `workers.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hc_assets.imaging.headers.file_work import FileWork, work_of
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import recipe_for, recipes
from hc_assets.imaging.preprocessing.standing import Group, Key, standing_parts
from hc_assets.imaging.preprocessing.workers import ArraysMade
from hc_assets.imaging.schemas.index import TABLES
from hc_assets.lake.incremental import reusable_commit
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile
from hc_assets.lake.parts import Part, read_commit
from hc_assets.lake.tables import LakeTable

ARRAYS = "imaging/preprocessed_arrays"
FAILED_ARRAYS = "imaging/failed_arrays"
ARRAYS_VERSION = TABLES[ARRAYS].code_version


@dataclass(frozen=True)
class Plan:
    """What is to be done for one batch.

    Attributes:
        work: with the frames that are to be made.
        kept: parts that stand, by number of work and recipe.
    """

    work: list[FileWork]
    kept: dict[Group, list[Part]]

    def kept_rows(self) -> int:
        """How many arrays stay as they are."""
        return sum(part.rows for parts in self.kept.values() for part in parts)

    def parts_with(self, done: Iterable[ArraysMade]) -> list[Part]:
        """All parts, in the order that they would have if all of them had been rebuilt."""
        every = {
            (number, label.partition("/")[0]): parts for (number, label), parts in self.kept.items()
        }
        for arrays in done:
            every |= {(arrays.number, name): parts for name, parts in arrays.parts.items()}
        return [part for group in sorted(every) for part in every[group]]


def plan_arrays(
    layout: Layout,
    batch: str,
    landed: Sequence[LandedFile],
    metrics: LakeTable,
    *,
    preprocessing: Preprocessing,
    chunk_bytes: int,
) -> Plan:
    """Plan the arrays of one batch.

    Args:
        layout: where the lake is.
        batch: its key.
        landed: its files.
        metrics: its quality metrics.
        preprocessing: parameters.
        chunk_bytes: as for `work_of`. Pieces are of all files, whichever pass, so that what becomes
            of one frame moves no other into another part.

    Returns:
        Work on the files with frames to be made, and the parts that stand.
    """
    passing = _passing(metrics, preprocessing)
    pieces = list(work_of(str(layout.data_dir), batch, list(landed), chunk_bytes))
    wanted: dict[Group, list[Key]] = {}
    for work in pieces:
        for file in work.files:
            label, frames = passing.get(file.source_file, ("", frozenset()))
            if frames:
                keys = wanted.setdefault((work.number, label), [])
                keys += [(file.source_file, file.sha256, frame) for frame in sorted(frames)]
    kept = _standing(layout, batch, wanted, preprocessing)
    to_do = []
    for work in pieces:
        files = [
            (file, frames)
            for file in work.files
            for label, frames in [passing.get(file.source_file, ("", frozenset()))]
            if frames and (work.number, label) not in kept
        ]
        if files:
            to_do.append(
                replace(
                    work,
                    files=tuple(file for file, _ in files),
                    frames=tuple(frames for _, frames in files),
                )
            )
    return Plan(to_do, kept)


def _standing(
    layout: Layout, batch: str, wanted: dict[Group, list[Key]], preprocessing: Preprocessing
) -> dict[Group, list[Part]]:
    folder = layout.partition(ARRAYS, batch)
    before = reusable_commit(read_commit(folder), ARRAYS_VERSION)
    if before is None:
        return {}
    table = LakeTable(ARRAYS, layout.table(ARRAYS), [(folder, before)])
    return standing_parts(table, wanted, recipes(preprocessing))


def _passing(
    metrics: LakeTable, preprocessing: Preprocessing
) -> dict[str, tuple[str, frozenset[int]]]:
    """Label of the recipe and numbers of the frames that pass, by file."""
    frames: dict[str, tuple[str, set[int]]] = {}
    for rows in metrics.batches(["source_file", "frame", "modality", "passes_gate"]):
        for row in rows.to_pylist():
            if row["passes_gate"]:
                label = recipe_for(row["modality"] or "", preprocessing).label
                frames.setdefault(row["source_file"], (label, set()))[1].add(row["frame"])
    return {name: (label, frozenset(numbers)) for name, (label, numbers) in frames.items()}
