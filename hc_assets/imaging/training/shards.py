"""Shards of a training set: the pixels of one batch's samples, in files that outlive the lake.

Belongs here: what a worker process does for one batch. Which samples there are is decided in
`plan.py`; what becomes of the shards in `export.py`. Imports no Dagster.

Each shard is written twice: as Arrow IPC, not packed, whose pixels lie in the file as they do in
memory, so that mapping it is reading it; and as Parquet, packed, for whatever reads that. There the
tensors are plain lists of fixed length in one another, since few readers know tensors.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray
from upath import UPath

from hc_assets.core.errors import DamagedLakeError
from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at as at_place
from hc_assets.imaging.training.manifest import Shard, ShardFile
from hc_assets.imaging.training.schemas import TRAINING_SET, shard_schema
from hc_assets.lake.atomic import HashingSink, atomic_file
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import read_partition

# So many bytes of pixels, or one array, wait in memory for each kind of array.
_BATCH_BYTES = 8 * 1024**2
_ROWS = 10_000
SHARD_BYTES = 256 * 1024**2
ARRAYS = "imaging/preprocessed_arrays"
TABLE = "imaging/training_set"
_ARRAY_COLUMNS = ["source_file", "frame", "content_sha256", "pixels"]
_PLANNED = (
    "sample_id",
    "split",
    "patient_pseudonym",
    "modality",
    "body_part",
    "overall_quality",
    "labels",
    "pipeline",
    "source_to_array",
    "content_sha256",
)
_KIND = ("split", "pipeline", "parameters")
_IN_TABLE = (*_PLANNED, "source_file", "frame", "sop_instance_uid")


class DamagedArrayError(DamagedLakeError):
    """An array is not what its row says, or is gone; names batch, file number and frame."""


@dataclass(frozen=True)
class ShardWork:
    """The samples of one batch.

    Attributes:
        data_dir: of the lake.
        batch: key of the batch.
        plan: Arrow IPC file with the rows that `plan.Plan.of_batch` gave.
        folder: of the export.
        number: of the parts that are written into the table.
        shards: of the last export where they are as they should be; None where they are not.
        shard_bytes: pixels from which a shard is full.
        with_table: whether the rows of `imaging/training_set` are written.
    """

    data_dir: str
    batch: str
    plan: str
    folder: str
    number: int
    shards: tuple[Shard, ...] | None = None
    shard_bytes: int = SHARD_BYTES
    with_table: bool = True


def export_or_failure(work: ShardWork) -> tuple[list[Shard], list[Part]] | InternalError:
    """As `export_batch`; what is raised for the batch (`core/fence.py`) is its own failure."""
    with at_place(f"batch {work.batch}"):
        return fenced(export_batch, work)


def export_batch(work: ShardWork) -> tuple[list[Shard], list[Part]]:
    """Write the shards of a batch, or take over those that are there, and the rows of the table.

    Raises:
        DamagedArrayError: an array that was planned is gone, or its pixels are not what its hash
            says.
    """
    with UPath(work.plan).open("rb") as file:
        plan = pa.ipc.open_file(file).read_all()
    layout = Layout.of(work.data_dir)
    if work.shards is None:
        shards, places = _write_shards(work, layout, plan)
    else:
        shards, places = list(work.shards), _places(UPath(work.folder), work.shards)
    if not work.with_table:
        return shards, []
    folder = layout.partition(TABLE, None)
    with PartWriter(folder, TRAINING_SET, number=work.number) as writer:
        for rows in plan.to_batches(max_chunksize=_ROWS):
            writer.write(_table_rows(rows, work.batch, places))
    return shards, writer.parts


def _table_rows(
    plan: pa.RecordBatch, batch: str, places: dict[str, tuple[str, int]]
) -> pa.RecordBatch:
    found = [places[sample] for sample in plan["sample_id"].to_pylist()]
    columns = {name: plan[name] for name in _IN_TABLE} | {
        "batch": pa.array([batch] * plan.num_rows),
        "shard": pa.array([name for name, _ in found], pa.string()),
        "shard_row": pa.array([row for _, row in found], pa.int64()),
    }
    return pa.RecordBatch.from_arrays(
        [columns[field_.name] for field_ in TRAINING_SET], schema=TRAINING_SET
    )


def _places(folder: UPath, shards: tuple[Shard, ...]) -> dict[str, tuple[str, int]]:
    """Shard and row of each sample, read from shards."""
    places: dict[str, tuple[str, int]] = {}
    for shard in shards:
        with (folder / shard.parquet.file).open("rb") as file:
            samples = pq.read_table(file, columns=["sample_id"])["sample_id"]
        places |= {sample: (shard.name, row) for row, sample in enumerate(samples.to_pylist())}
    return places


def _write_shards(
    work: ShardWork, layout: Layout, plan: pa.Table
) -> tuple[list[Shard], dict[str, tuple[str, int]]]:
    wanted = {
        key: row
        for row, key in enumerate(
            zip(plan["source_file"].to_pylist(), plan["frame"].to_pylist(), strict=True)
        )
    }
    planned = plan.combine_chunks().to_batches()
    samples = plan.select(list(_PLANNED)).combine_chunks().to_batches()
    series: dict[tuple[Any, ...], _Series] = {}
    with ExitStack() as stack:
        for rows in read_partition(layout, ARRAYS, work.batch).batches(_ARRAY_COLUMNS):
            for at, row in _chosen(rows, wanted):
                sample = samples[0].slice(row, 1)
                pixels = _checked(rows, at, sample, work.batch)
                made_by = (planned[0][name][row].as_py() for name in _KIND)
                kind = (*made_by, pixels.shape, pixels.dtype.name)
                if kind not in series:
                    series[kind] = stack.enter_context(_Series(work, *kind))
                series[kind].add(sample, pixels)
    if wanted:
        raise DamagedArrayError(
            f"{work.batch}: expected an array of {len(plan)} frames, found none of {len(wanted)}"
        )
    shards: list[Shard] = []
    places: dict[str, tuple[str, int]] = {}
    for kind in sorted(series):
        shards += series[kind].shards
        places |= series[kind].places
    return shards, places


def _chosen(rows: pa.RecordBatch, wanted: dict[tuple[str, int], int]) -> Iterator[tuple[int, int]]:
    """Place in `rows` and in the plan of each array that is planned; it is then wanted no more."""
    keys = zip(rows["source_file"].to_pylist(), rows["frame"].to_pylist(), strict=True)
    for at, key in enumerate(keys):
        row = wanted.pop(key, None)
        if row is not None:
            yield at, row


def _checked(
    rows: pa.RecordBatch, at: int, sample: pa.RecordBatch, batch: str
) -> NDArray[np.floating]:
    """One array of a record batch, once its hash is found right."""
    tensors = rows["pixels"]
    flat = tensors.storage.slice(at, 1).flatten().to_numpy(zero_copy_only=True)
    digest = hashlib.sha256(flat).hexdigest()
    stated = sample["content_sha256"][0].as_py()
    if digest != stated:
        raise DamagedArrayError(
            f"{ARRAYS}, {batch}, frame {rows['frame'][at].as_py()}: expected pixels of SHA-256"
            f" {stated}, found {digest}"
        )
    pixels: NDArray[np.floating] = flat.reshape(tensors.type.shape)
    return pixels


@dataclass
class _Series:
    """The shards of one split and kind of array, one of them open at a time."""

    work: ShardWork
    split: str
    pipeline: str
    parameters: str
    shape: tuple[int, ...]
    dtype: str
    shards: list[Shard] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensor = pa.fixed_shape_tensor(pa.from_numpy_dtype(np.dtype(self.dtype)), list(self.shape))
        self._schema = shard_schema(tensor)
        self._array_bytes = int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize
        self._batch_bytes = min(_BATCH_BYTES, self.work.shard_bytes)
        self._samples: list[pa.RecordBatch] = []
        self._pixels: list[NDArray[np.floating]] = []
        self._names: list[str] = []
        self._open: _OpenShard | None = None
        self._file = ExitStack()

    def __enter__(self) -> "_Series":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._write()
            self._finish()
        else:
            self._file.__exit__(kind, *rest)  # type: ignore[arg-type]

    def add(self, sample: pa.RecordBatch, pixels: NDArray[np.floating]) -> None:
        """Take a sample; writes when enough of them wait."""
        self._samples.append(sample)
        self._pixels.append(pixels.copy())  # else its whole row group would stay in memory
        if (len(self._pixels) + 1) * self._array_bytes > self._batch_bytes:
            self._write()

    def _write(self) -> None:
        if not self._pixels:
            return
        if self._open is None:
            self._open = self._file.enter_context(
                _OpenShard(UPath(self.work.folder), self._stem(), self._schema)
            )
        samples = pa.Table.from_batches(self._samples).combine_chunks().to_batches()[0]
        stacked = np.stack(self._pixels)
        hashes = [xxhash.xxh3_64_intdigest(array.data) for array in self._pixels]
        columns = [samples[name] for name in self._schema.names[:-2]]
        columns += [
            pa.array(hashes, pa.uint64()),
            pa.FixedShapeTensorArray.from_numpy_ndarray(stacked),
        ]
        self._open.write(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._names += samples["sample_id"].to_pylist()
        self._samples, self._pixels = [], []
        if len(self._names) * self._array_bytes >= self.work.shard_bytes:
            self._finish()

    def _stem(self) -> str:
        shape = "x".join(map(str, self.shape))
        # The same pipeline with other parameters makes other arrays
        parameters = hashlib.sha256(self.parameters.encode()).hexdigest()[:6]
        kind = f"{self.pipeline.replace('/', '-')}-{shape}-{self.dtype}-{parameters}"
        return f"{self.split}/{kind}/{self.work.batch}-{len(self.shards):03d}"

    def _finish(self) -> None:
        if self._open is None:
            return
        made, self._open = self._open, None
        self._file.close()
        shard = Shard(
            made.name,
            self.split,
            self.pipeline,
            self.parameters,
            self.shape,
            self.dtype,
            self.work.batch,
            len(self._names),
            made.parquet_file(),
            made.arrow_file(),
        )
        self.shards.append(shard)
        self.places |= {sample: (shard.name, row) for row, sample in enumerate(self._names)}
        self._names = []


class _OpenShard:
    """A shard that is being written; it appears, under its hash, when the block ends."""

    def __init__(self, folder: UPath, stem: str, schema: pa.Schema) -> None:
        self.name = ""
        self._folder, self._stem, self._schema = folder, stem, schema
        self._stack = ExitStack()

    def __enter__(self) -> "_OpenShard":
        # The Parquet file is closed first, as the last to be entered: its hash names both.
        self._arrow = self._stack.enter_context(
            atomic_file(self._parent(), lambda _: self._folder / f"{self.name}.arrow")
        )
        self._parquet = self._stack.enter_context(
            atomic_file(self._parent(), lambda sink: self._folder / f"{self._named(sink)}.parquet")
        )
        self._arrow_writer = self._stack.enter_context(
            pa.ipc.new_file(pa.PythonFile(self._arrow, mode="w"), self._schema)
        )
        plain = [name for name in self._schema.names if not name.startswith("pixels")]
        self._parquet_writer = self._stack.enter_context(
            pq.ParquetWriter(
                pa.PythonFile(self._parquet, mode="w"),
                _without_tensors(self._schema),
                compression="zstd",
                compression_level=1,
                use_dictionary=plain,
                write_statistics=plain,
            )
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def write(self, rows: pa.RecordBatch) -> None:
        """Write a record batch, a row group of the Parquet."""
        self._arrow_writer.write_batch(rows)
        table = pa.Table.from_arrays(
            [*rows.columns[:-1], _nested(rows["pixels"])], schema=_without_tensors(self._schema)
        )
        self._parquet_writer.write_table(table, row_group_size=rows.num_rows)

    def parquet_file(self) -> ShardFile:
        """The Parquet file, once it is closed."""
        return ShardFile(f"{self.name}.parquet", self._parquet.size, self._parquet.hexdigest())

    def arrow_file(self) -> ShardFile:
        """The Arrow file, once it is closed."""
        return ShardFile(f"{self.name}.arrow", self._arrow.size, self._arrow.hexdigest())

    def _parent(self) -> UPath:
        return (self._folder / self._stem).parent

    def _named(self, parquet: HashingSink) -> str:
        self.name = f"{self._stem}-{parquet.hexdigest()[:12]}"
        return self.name


def _without_tensors(schema: pa.Schema) -> pa.Schema:
    """The schema with the last column, the pixels, as lists of fixed length."""
    field_ = schema.field("pixels")
    type_ = field_.type.value_type
    for size in reversed(field_.type.shape):
        type_ = pa.list_(type_, size)
    return schema.set(len(schema) - 1, field_.with_type(type_))


def _nested(tensors: pa.FixedShapeTensorArray) -> pa.FixedSizeListArray:
    values = tensors.storage.flatten()
    for size in reversed(tensors.type.shape):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values
