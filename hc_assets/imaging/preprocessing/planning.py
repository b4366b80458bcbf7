"""Which frames of a batch become arrays, in which units of work, and which need no work.

Belongs here: the plan. Carrying it out is the work of `fhir/enrichment/units.py` in worker
processes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import pipeline_for, pipelines
from hc_assets.imaging.preprocessing.standing import Group, Key, standing_parts
from hc_assets.imaging.schemas.index import TABLES
from hc_assets.imaging.workers import ArraysMade, FileUnit, units_of
from hc_assets.lake.landing import LandedFile
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, read_commit
from hc_assets.lake.tables import LakeTable

ARRAYS = "imaging/preprocessed_arrays"
ARRAYS_VERSION = TABLES[ARRAYS].code_version


@dataclass(frozen=True)
class Plan:
    """What is to be done for one batch.

    Attributes:
        units: with the frames that are to be made.
        kept: parts that stand, by unit and pipeline.
    """

    units: list[FileUnit]
    kept: dict[Group, list[Part]]

    def kept_rows(self) -> int:
        """How many arrays stay as they are."""
        return sum(part.rows for parts in self.kept.values() for part in parts)

    def parts_with(self, done: Iterable[ArraysMade]) -> list[Part]:
        """All parts, in the order that they would have if all of them had been made anew."""
        every = {
            (number, label.partition("/")[0]): parts for (number, label), parts in self.kept.items()
        }
        for unit in done:
            every |= {(unit.number, name): parts for name, parts in unit.parts.items()}
        return [part for group in sorted(every) for part in every[group]]


def plan_arrays(
    layout: Layout,
    batch: str,
    landed: Sequence[LandedFile],
    metrics: LakeTable,
    *,
    told: Preprocessing,
    unit_bytes: int,
) -> Plan:
    """Plan the arrays of one batch.

    Args:
        layout: where the lake is.
        batch: its key.
        landed: its files.
        metrics: its quality metrics.
        told: parameters.
        unit_bytes: as for `units_of`. Units are of all files, whichever pass, so that what becomes
            of one frame moves no other into another part.

    Returns:
        Units of the files with frames to be made, and the parts that stand.
    """
    passing = _passing(metrics, told)
    units = list(units_of(str(layout.data_dir), batch, list(landed), unit_bytes))
    wanted: dict[Group, list[Key]] = {}
    for unit in units:
        for file in unit.files:
            label, frames = passing.get(file.source_file, ("", frozenset()))
            if frames:
                keys = wanted.setdefault((unit.number, label), [])
                keys += [(file.source_file, file.sha256, frame) for frame in sorted(frames)]
    kept = _standing(layout, batch, wanted, told)
    to_do = []
    for unit in units:
        files = [
            (file, frames)
            for file in unit.files
            for label, frames in [passing.get(file.source_file, ("", frozenset()))]
            if frames and (unit.number, label) not in kept
        ]
        if files:
            to_do.append(
                replace(
                    unit,
                    files=tuple(file for file, _ in files),
                    frames=tuple(frames for _, frames in files),
                )
            )
    return Plan(to_do, kept)


def _standing(
    layout: Layout, batch: str, wanted: dict[Group, list[Key]], told: Preprocessing
) -> dict[Group, list[Part]]:
    folder = layout.partition(ARRAYS, batch)
    before = read_commit(folder)
    if before is None or before.code_version != ARRAYS_VERSION:
        return {}
    table = LakeTable(ARRAYS, layout.table(ARRAYS), [(folder, before)])
    return standing_parts(table, wanted, pipelines(told))


def _passing(metrics: LakeTable, told: Preprocessing) -> dict[str, tuple[str, frozenset[int]]]:
    """Label of the pipeline and numbers of the frames that pass, by file."""
    frames: dict[str, tuple[str, set[int]]] = {}
    for rows in metrics.batches(["source_file", "frame", "modality", "passes_gate"]):
        for row in rows.to_pylist():
            if row["passes_gate"]:
                label = pipeline_for(row["modality"] or "", told).label
                frames.setdefault(row["source_file"], (label, set()))[1].add(row["frame"])
    return {name: (label, frozenset(numbers)) for name, (label, numbers) in frames.items()}
