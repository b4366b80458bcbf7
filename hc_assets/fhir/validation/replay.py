"""A batch's quarantine is judged again, after a rule or a profile changed.

Belongs here: which entries are still to be judged, and where what is now valid is put. Judging is
in `workers.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part
from hc_assets.lake.tables import LakeTable, read_partition

Entries = frozenset[tuple[str, int]]
_ENTRY = ["source_file", "position"]


@dataclass(frozen=True)
class Replay:
    """What was judged before.

    Attributes:
        validated: the parts that hold the valid entries; they stay.
        inputs: hashes of what those were made from.
        waiting: source file and position of the entries to be judged again: those in quarantine,
            without those that a replay killed between its two commits has moved on already.
    """

    validated: list[Part]
    inputs: dict[str, str]
    waiting: Entries

    @classmethod
    def of(cls, layout: Layout, batch: str) -> "Replay":
        """Read what there is of a batch.

        Raises:
            MissingPartitionError: it was never judged.
        """
        validated = read_partition(layout, "fhir/validated_resources", batch)
        quarantined = read_partition(layout, "fhir/quarantined_resources", batch)
        ((_, commit),) = validated.partitions
        waiting = _entries(quarantined)
        if waiting:
            waiting -= _entries(validated)
        return cls(list(commit.parts), commit.inputs, waiting)

    def first_number(self) -> int:
        """Number of the first writer of parts to be added."""
        return 1 + max((part.number for part in self.validated), default=-1)

    def with_moved(self, moved: Sequence[Part], inputs: dict[str, str]) -> "Replay":
        """Add parts with what is now valid, and what that was judged by."""
        replayed = {f"replayed/{name}": digest for name, digest in inputs.items()}
        return Replay([*self.validated, *moved], self.inputs | (replayed if moved else {}), _NONE)


_NONE: Entries = frozenset()


def _entries(table: LakeTable) -> Entries:
    return frozenset(
        entry
        for rows in table.batches(_ENTRY)
        for entry in zip(*(rows[name].to_pylist() for name in _ENTRY), strict=True)
    )
