"""Reading an exported training set: as NumPy arrays, Arrow record batches, and files for others.

Belongs here: opening, mapping into memory, checking. Exports are written in `training/`; PyTorch
reads in `torch_dataset.py`. Needs nothing but the folder: no lake, no warehouse, no Dagster.

Pixels are not copied: an array is a read-only view of the mapped file. Whatever is not as the
manifest says raises, and names its place; nothing is given in place of an image.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from upath import UPath

from hc_assets.imaging.training.manifest import Manifest, Shard, read_manifest
from hc_assets.lake.atomic import HashingSink

Check = Literal["first", "always", "never"]
Target = Literal["class", "multi_hot"]
_BLOCK_BYTES = 8 * 1024**2


class DamagedSetError(Exception):
    """A file of a training set is gone or is not what the manifest says; names file and row."""


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        pixels: rows by columns, 0 to 1, a read-only view; dtype as in the shard.
        sample_id: the same in every export with the same salt.
        patient_pseudonym: the same for all samples of a patient.
        labels: in alphabetical order; None where the set has no labels.
        modality: Modality (0008,0060); None where the header had none.
        source_to_array: [[a, b, c], [d, e, f]]: from (row, column, 1) in the stored frame to
            (row, column) in the array.
    """

    pixels: NDArray[np.floating]
    sample_id: str
    patient_pseudonym: str
    labels: tuple[str, ...] | None
    modality: str | None
    source_to_array: NDArray[np.float64]


class TrainingSet:
    """An exported training set.

    Attributes:
        folder: of the export.
        manifest: what the set says about itself.
    """

    def __init__(self, folder: Path | str) -> None:
        """Open the set and look whether its files are there, in their size.

        Args:
            folder: local, since shards are mapped into memory.

        Raises:
            ManifestError: there is no training set.
            DamagedSetError: a shard is gone or has another size.
        """
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(UPath(self.folder))
        for shard in self.manifest.shards:
            for file in (shard.parquet, shard.arrow):
                _check_size(self.folder / file.file, file.bytes)

    @property
    def classes(self) -> list[str]:
        """The labels that occur; their places are the class numbers."""
        return self.manifest.classes

    def split(self, name: str, pipeline: str | None = None, *, check: Check = "first") -> "Samples":
        """Return the samples of a split.

        Args:
            name: of the split.
            pipeline: name of a pipeline (`ct`), or name and version (`ct/2`); all where None.
            check: when the hash of a sample's pixels is looked at: when it is read for the first
                time, always, or never.

        Raises:
            KeyError: there is no such split.
        """
        if name not in self.manifest.splits:
            raise KeyError(f"expected one of {', '.join(self.manifest.splits)}; found {name}")
        shards = [
            shard
            for shard in self.manifest.shards
            if shard.split == name and pipeline in (None, shard.pipeline, _name(shard.pipeline))
        ]
        return Samples(self.folder, shards, self.classes, check)

    def pipelines(self) -> list[str]:
        """Names and versions of the pipelines that samples are from."""
        return sorted({shard.pipeline for shard in self.manifest.shards})

    def parquet_files(self, pipeline: str | None = None) -> dict[str, list[str]]:
        """Paths of the Parquet files by split, for Hugging Face `datasets` and the like.

        `datasets.load_dataset("parquet", data_files=...)` takes it as it is. Splits without samples
        are left out.
        """
        files: dict[str, list[str]] = {}
        for name in self.manifest.splits:
            shards = self.split(name, pipeline).shards
            if shards:
                files[name] = [str(self.folder / shard.parquet.file) for shard in shards]
        return files

    def verify(self) -> list[str]:
        """Hash every file again; name those that are not what the manifest says."""
        damaged = []
        for shard in self.manifest.shards:
            for file in (shard.parquet, shard.arrow):
                sink = HashingSink.discarding()
                with (self.folder / file.file).open("rb") as stream:
                    while block := stream.read(1024 * 1024):
                        sink.write(block)
                if sink.hexdigest() != file.sha256:
                    damaged.append(file.file)
        return damaged


class Samples(Sequence[Sample]):
    """The samples of one split, by number; in the order of the shards.

    May be sent to other processes: files are opened where they are read.

    Attributes:
        shards: that they are in.
        classes: of the whole set.
    """

    def __init__(
        self, folder: Path, shards: Sequence[Shard], classes: Sequence[str], check: Check
    ) -> None:
        self.shards, self.classes = list(shards), list(classes)
        self._folder, self._check = folder, check
        self._ends = list(accumulate(shard.samples for shard in shards))
        self._open: dict[int, _MappedShard] = {}
        self._verified = bytearray(len(self))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or those of a slice.

        Raises:
            IndexError: there is no such sample.
            DamagedSetError: its shard or its pixels are not what the manifest says.
        """
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        shard, row = self._place(self._number(index))
        rows, at = shard.rows(row)
        labels = rows["labels"][at].as_py()
        return Sample(
            pixels=self.pixels(index),
            sample_id=rows["sample_id"][at].as_py(),
            patient_pseudonym=rows["patient_pseudonym"][at].as_py(),
            labels=None if labels is None else tuple(labels),
            modality=rows["modality"][at].as_py(),
            source_to_array=np.array(rows["source_to_array"][at].as_py()).reshape(2, 3),
        )

    def pixels(self, index: int) -> NDArray[np.floating]:
        """Return the pixels of a sample, a read-only view; errors as `__getitem__`."""
        number = self._number(index)
        shard, row = self._place(number)
        if self._is_due_for_check(number):
            self._verify(number, shard, row)
        rows, at = shard.stacked(row)
        view: NDArray[np.floating] = rows[at]
        return view

    def read(
        self, indices: Sequence[int] | NDArray[np.integer], out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Copy the pixels of some samples into one array, samples by rows by columns.

        Args:
            indices: of samples of one shape and type.
            out: array to fill; made where None.

        Raises:
            ValueError: the samples have several shapes or types: ask for one pipeline.
        """
        wanted = [self._number(int(index)) for index in indices]
        kinds = {
            (self.shards[at].shape, self.shards[at].dtype)
            for at in {bisect_right(self._ends, number) for number in wanted}
        }
        if len(kinds) != 1:
            raise ValueError(f"expected samples of one shape and type, found {sorted(kinds)}")
        ((shape, dtype),) = kinds
        if out is None:
            out = np.empty((len(wanted), *shape), dtype)
        if out.shape != (len(wanted), *shape):
            raise ValueError(f"expected out of shape {(len(wanted), *shape)}, found {out.shape}")
        place = 0
        while place < len(wanted):
            rows = self._run(wanted, place)
            out[place : place + len(rows)] = rows
            place += len(rows)
        return out

    def _run(self, wanted: Sequence[int], place: int) -> NDArray[np.floating]:
        """Views of the samples from a place on that lie one behind the other, to be copied at once.

        Where hashes are looked at it is one sample, so that what was hashed is copied while it is
        still in the processor's cache.
        """
        first = wanted[place]
        shard, row = self._place(first)
        rows, at = shard.stacked(row)
        if self._is_due_for_check(first):
            self._verify(first, shard, row)
            return rows[at : at + 1]
        count = 1
        for number in wanted[place + 1 : place + len(rows) - at]:
            if number != first + count or self._is_due_for_check(number):
                break
            count += 1
        return rows[at : at + count]

    def targets(self, kind: Target) -> NDArray[Any]:
        """Return the labels of all samples as numbers.

        Args:
            kind: `class` gives int64 class numbers, by sample; `multi_hot` gives float32 zeros and
                ones, samples by classes.

        Raises:
            ValueError: `class` was asked for, and a sample has none or several labels; or the set
                has no labels. Names the first such sample.
        """
        number = {label: at for at, label in enumerate(self.classes)}
        hot = np.zeros((len(self), len(self.classes)), np.float32)
        at = 0
        for rows in self.record_batches(["sample_id", "labels"]):
            for id_, labels in zip(
                rows["sample_id"].to_pylist(), rows["labels"].to_pylist(), strict=True
            ):
                if labels is None:
                    raise ValueError("expected a set with labels, found one without")
                if kind == "class" and len(labels) != 1:
                    raise ValueError(
                        f"sample {id_}: expected one label, found {len(labels)}: ask for multi_hot"
                    )
                hot[at, [number[label] for label in labels]] = 1
                at += 1
        return hot.argmax(axis=1) if kind == "class" else hot

    def record_batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Return the rows as Arrow, mapped, not copied; pixels are fixed-shape tensors.

        Args:
            columns: names of those wanted; all where None.
        """
        for number in range(len(self.shards)):
            for rows in self._mapped(number).batches:
                yield rows if columns is None else rows.select(list(columns))

    def blocks(self) -> list[range]:
        """Divide the samples into runs that lie together on disk, some 8 MB each."""
        blocks = []
        for end, shard in zip(self._ends, self.shards, strict=True):
            size = int(np.prod(shard.shape)) * np.dtype(shard.dtype).itemsize
            step = max(1, _BLOCK_BYTES // size)
            blocks += [
                range(at, min(at + step, end)) for at in range(end - shard.samples, end, step)
            ]
        return blocks

    def _number(self, index: int) -> int:
        """Number of a sample from 0; negative ones count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected a sample from 0 to {len(self) - 1}, found {index}")
        return index % len(self)

    def _place(self, number: int) -> tuple["_MappedShard", int]:
        shard = bisect_right(self._ends, number)
        return self._mapped(shard), number - (self._ends[shard - 1] if shard else 0)

    def _is_due_for_check(self, number: int) -> bool:
        return self._check == "always" or (self._check == "first" and not self._verified[number])

    def _verify(self, number: int, shard: "_MappedShard", row: int) -> None:
        shard.check(row)
        self._verified[number] = 1

    def _mapped(self, number: int) -> "_MappedShard":
        mapped = self._open.get(number)
        if mapped is None:
            mapped = self._open[number] = _MappedShard(self._folder, self.shards[number])
        return mapped


class _MappedShard:
    """An Arrow file in memory, and its pixels as NumPy sees them."""

    def __init__(self, folder: Path, shard: Shard) -> None:
        self._file, path = shard.arrow.file, folder / shard.arrow.file
        _check_size(path, shard.arrow.bytes)
        try:
            # Closing gives back the descriptor; the memory stays while a view of it is alive.
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                self.batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
            self._arrays = [
                _flat(batch["pixels"].storage).reshape(-1, *shard.shape) for batch in self.batches
            ]
            self._hashes = [
                batch["pixels_xxh3"].to_numpy(zero_copy_only=True) for batch in self.batches
            ]
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise DamagedSetError(f"{self._file}: expected an Arrow file of pixels") from error
        if sum(batch.num_rows for batch in self.batches) != shard.samples:
            raise DamagedSetError(f"{self._file}: expected {shard.samples} rows, found others")
        self._step = self.batches[0].num_rows

    def rows(self, row: int) -> tuple[pa.RecordBatch, int]:
        """Record batch of a row, and its place in it."""
        number, at = divmod(row, self._step)
        return self.batches[number], at

    def stacked(self, row: int) -> tuple[NDArray[np.floating], int]:
        """Pixels of all rows that lie behind one another in memory with a row, and its place."""
        number, at = divmod(row, self._step)
        return self._arrays[number], at

    def check(self, row: int) -> None:
        """Hold the pixels of a row against their hash."""
        number, at = divmod(row, self._step)
        stated = int(self._hashes[number][at])
        found = xxhash.xxh3_64_intdigest(self._arrays[number][at].data)
        if stated != found:
            raise DamagedSetError(
                f"{self._file}, row {row}: expected pixels of XXH3 {stated:016x},"
                f" found {found:016x}"
            )


def _flat(storage: pa.FixedSizeListArray) -> NDArray[np.floating]:
    flat: NDArray[np.floating] = storage.flatten().to_numpy(zero_copy_only=True)
    return flat


def _name(pipeline: str) -> str:
    return pipeline.partition("/")[0]


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise DamagedSetError(f"{path.name}: expected {size} bytes, found no file") from error
    if found != size:
        raise DamagedSetError(f"{path.name}: expected {size} bytes, found {found}")
