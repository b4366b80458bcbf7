"""Volumes read back from the tables of their slices.

Belongs here: finding the parts that hold a volume, and filling its array slice by slice.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from hc_assets.core.errors import DamagedLakeError
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.schemas import TABLES
from hc_assets.imaging.volumes.volume import Volume, Voxels
from hc_assets.lake.parts import Part
from hc_assets.lake.tables import LakeTable, opened_part, verified_part


class IncompleteVolumeError(DamagedLakeError):
    """Slices of a volume are not in its table."""


def rows_of(volumes: LakeTable) -> Iterator[Row]:
    """Rows of a table of volumes that are volumes, without their pictures."""
    columns = [name for name in TABLES[volumes.table].schema.names if name != "picture"]
    for batch in volumes.batches(columns):
        yield from (row for row in batch.to_pylist() if row["content_sha256"] is not None)


def part_number(uid: str) -> int:
    """Number of the writer of a series' slices, or of a study's aligned ones.

    It is of its own, so that its parts can stay when others change.
    """
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:6], "big")


@dataclass(frozen=True)
class StoredVolumes:
    """Voxels of volumes, read when asked for.

    Attributes:
        key: column that says which volume a slice is of.
        parts: folder of the partition and part, by the number of the part's writer.
    """

    key: str
    parts: Mapping[int, Sequence[tuple[str, Part]]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: LakeTable, key: str) -> "StoredVolumes":
        """Sort the parts of a table by the number of their writer."""
        parts: dict[int, list[tuple[str, Part]]] = {}
        for folder, made in table.partitions:
            for part in made.parts:
                parts.setdefault(part.number, []).append((str(folder), part))
        return cls(key, parts)

    def only(self, *numbers: int) -> "StoredVolumes":
        """Those of some writers."""
        return StoredVolumes(self.key, {n: self.parts.get(n, ()) for n in numbers})

    def load(self, row: Row, number: int) -> Volume:
        """Read a volume.

        Args:
            row: its row, with shape, affine and the key.
            number: of the writer of its slices.

        Raises:
            IncompleteVolumeError: not all of its slices are there.
            DamagedPartError: a part is gone or is not what its commit says.
        """
        voxels = np.empty(row["shape"], np.float32)
        found = 0
        for rows in self._slices(number, [row[self.key]]):
            for at, pixels in zip(rows["slice"], rows["voxels"], strict=True):
                voxels[at.as_py()] = pixels.values.to_numpy().reshape(row["shape"][1:])
                found += 1
        if found != len(voxels):
            raise IncompleteVolumeError(
                f"{row[self.key]}: {found} of {len(voxels)} slices are in the table"
            )
        return _volume(row, voxels)

    def load_each(self, rows: Sequence[Row], number: int) -> Iterator[Volume]:
        """Read volumes of one writer one after the other, each part once.

        Args:
            rows: of the volumes, in the order in which their slices were written, so that one is
                in memory at a time.
            number: as for `load`.

        Yields:
            The volumes, in the order of the rows.

        Raises:
            IncompleteVolumeError: as for `load`.
            DamagedPartError: as for `load`.
        """
        due = list(rows)
        wanted = {row[self.key]: row for row in due}
        begun: dict[str, tuple[Voxels, int]] = {}
        for own in self._slices(number, list(wanted)):
            keys = own[self.key].to_pylist()
            for key, at, pixels in zip(keys, own["slice"], own["voxels"], strict=True):
                shape = wanted[key]["shape"]
                voxels, found = begun.get(key) or (np.empty(shape, np.float32), 0)
                voxels[at.as_py()] = pixels.values.to_numpy().reshape(shape[1:])
                begun[key] = (voxels, found + 1)
            while due and begun.get(due[0][self.key], (None, -1))[1] == due[0]["shape"][0]:
                row = due.pop(0)
                yield _volume(row, begun.pop(row[self.key])[0])
        if due:
            key = due[0][self.key]
            found = begun[key][1] if key in begun else 0
            raise IncompleteVolumeError(
                f"{key}: {found} of {due[0]['shape'][0]} slices are in the table"
            )

    def _slices(self, number: int, wanted: Sequence[str]) -> Iterator[pa.Table]:
        """Slices of some volumes; a part holds all of its series, whose voxels stay unread."""
        keys = pa.array(wanted, pa.string())
        for folder, part in self.parts.get(number, ()):
            with opened_part(verified_part(UPath(folder), part)) as file:
                for group in range(file.num_row_groups):
                    there = file.read_row_group(group, columns=[self.key])[self.key]
                    if not pc.any(pc.is_in(there, keys)).as_py():
                        continue
                    read = file.read_row_group(group, columns=[self.key, "slice", "voxels"])
                    yield read.filter(pc.is_in(read[self.key], keys))


def _volume(row: Row, voxels: Voxels) -> Volume:
    affine = np.array(row["affine_lps"]).reshape(4, 4)
    return Volume(voxels, affine, float(row.get("fill_value") or 0.0))
