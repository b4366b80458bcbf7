"""A training set leaves: plan, shards, manifest, in a folder that outlives the pipeline.

Belongs here: the order of the steps, and what is kept of the set before. Shards are named by their
hash and written beside the old ones, the manifest changes in one step, what it no longer lists is
removed last: whoever follows the manifest sees the old set or the new one, after a kill too.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from upath import UPath

from hc_assets.core.compute import executor, in_order
from hc_assets.core.fence import ROW_SECONDS, InternalError
from hc_assets.core.progress import Listener, reported
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.training.manifest import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_NAME,
    Manifest,
    Shard,
    SplitCounts,
    content_hash,
    encode,
    read_manifest,
)
from hc_assets.imaging.training.plan import ARRAY_COLUMNS, Plan
from hc_assets.imaging.training.salts import kept_salt
from hc_assets.imaging.training.selection import Selection
from hc_assets.imaging.training.shards import ARRAYS, SHARD_BYTES, ShardWork, export_or_failure
from hc_assets.lake.atomic import (
    TEMPORARY_PREFIX,
    atomic_file,
    is_local,
    make_folder,
    write_bytes,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.locks import exclusive
from hc_assets.lake.parts import Part
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse

_TABLE = "imaging/training_set"
_STAGING = ".staging-"
# Counted up when the same plan gives other shards.
_SHARDS_VERSION = "1"
_SUFFIXES = (".parquet", ".arrow")
_Outcome = tuple[list[Shard], list[Part]] | InternalError


@dataclass(frozen=True)
class Exported:
    """An export that is done.

    Attributes:
        manifest: as it was written.
        parts: of `imaging/training_set`, not committed yet.
        rebuilt: batches whose shards were written; those of the others were taken over.
    """

    manifest: Manifest
    parts: list[Part]
    rebuilt: int


@dataclass
class _Known:
    """Shards that are in the folder, and what each batch's were planned as."""

    batches: dict[str, str] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)

    @classmethod
    def of(cls, before: Manifest | None) -> "_Known":
        return cls() if before is None else cls(dict(before.batches), list(before.shards))

    def add(self, plan: "_Planned", done: Iterable[_Outcome]) -> None:
        """Take in the batches that were exported, in place of what they were."""
        for work, outcome in zip(plan.work, done, strict=True):
            if not isinstance(outcome, InternalError):
                self.batches[work.batch] = plan.digests[work.batch]
                others = [shard for shard in self.shards if shard.batch != work.batch]
                self.shards = [*others, *outcome[0]]


@dataclass(frozen=True)
class _Planned:
    rows: dict[str, int]
    work: list[ShardWork]
    digests: dict[str, str]
    samples: dict[str, tuple[int, int]]
    labels: dict[str, dict[str, int]]
    left_out: dict[str, int]
    linked_patients: int


def export_training_set(
    warehouse: Warehouse,
    folder: UPath,
    selection: Selection,
    *,
    workers: int = 0,
    row_seconds: float = ROW_SECONDS,
    batches: Sequence[str] | None = None,
    shard_bytes: int = SHARD_BYTES,
    with_table: bool = True,
    listener: Listener | None = None,
) -> Exported:
    """Write a training set in place of the one before.

    A batch for which anything is raised (`core/fence.py`) is left out, and counted so.

    Args:
        warehouse: that the arrays, metrics, index and FHIR resources are in.
        folder: of the export; files in it that are not of a training set stay.
        selection: what is asked for.
        workers: worker processes, as in `compute.executor`.
        row_seconds: time that each row has, as in `compute.in_order`.
        batches: whose arrays are looked at; all that are committed where None.
        shard_bytes: pixels from which a shard is full.
        with_table: whether the rows of `imaging/training_set` are written too, to be committed.
        listener: that hears how far it is.

    Raises:
        labels.LabelsError: a file of labels is not as it must be.
        shards.DamagedArrayError: an array is not what its row says.
        DamagedPartError: a part that is read is gone or is not what its commit says.
    """
    layout = warehouse.layout
    make_folder(folder)
    with exclusive(folder / ".lock"):
        committed = read_partitions(layout, ARRAYS).partitions
        wanted = [made.batch for _, made in committed if made.batch]
        if batches is not None:
            wanted = [batch for batch in wanted if batch in set(batches)]
        before = read_manifest(folder) if (folder / MANIFEST_NAME).exists() else None
        _clear_staging(folder)
        staging = folder / f"{_STAGING}{secrets.token_hex(4)}"
        known = _Known.of(before)
        failed: Counter[str] = Counter()
        rebuilt: set[str] = set()
        try:
            while True:
                plan = _plan(
                    warehouse,
                    folder,
                    staging,
                    selection,
                    wanted,
                    known=known,
                    shard_bytes=shard_bytes,
                    with_table=with_table,
                )
                pool = executor(len(plan.work), workers)
                made = in_order(pool, export_or_failure, plan.work, row_seconds=row_seconds)
                done = list(
                    reported(made, _TABLE, "batches", total=len(plan.work), listener=listener)
                )
                rebuilt |= {each.batch for each in plan.work if each.shards is None}
                failures = _failures(plan, done)
                if not failures:
                    break
                # As if they were not there: what they held may move the samples of the others
                for batch, error in failures.items():
                    failed[error.text] += plan.rows[batch]
                    known.batches.pop(batch, None)
                wanted = [batch for batch in wanted if batch not in failures]
                known.add(plan, done)
                rebuilt -= failures.keys()
        finally:
            _clear_staging(folder)
        exported = [each for each in done if not isinstance(each, InternalError)]
        shards = [shard for of_batch, _ in exported for shard in of_batch]
        manifest = _manifest(plan, selection, shards, failed)
        write_bytes(folder / MANIFEST_NAME, encode(manifest))
        _remove_unlisted(folder, [*known.shards, *shards], shards)
    parts = [part for _, of_batch in exported for part in of_batch]
    return Exported(manifest, parts, len(rebuilt))


def _failures(plan: "_Planned", done: Iterable[_Outcome]) -> dict[str, InternalError]:
    """The batches that could not be exported."""
    return {
        work.batch: outcome
        for work, outcome in zip(plan.work, done, strict=True)
        if isinstance(outcome, InternalError)
    }


def selection_of(settings: ImagingSettings, layout: Layout) -> Selection:
    """Take the choices of a deployment from its settings.

    Raises:
        SelectionError: they contradict one another.
    """
    return Selection(
        salt=settings.training_salt or kept_salt(layout),
        quality_threshold=settings.quality_training_gate,
        modalities=settings.training_modalities,
        body_parts=settings.training_body_parts,
        maximum=settings.training_maximum,
        with_burned_in=settings.training_burned_in,
        splits=settings.training_splits,
        split_seed=settings.training_split_seed,
        labels_file=settings.training_labels,
        label_codes=settings.training_label_codes,
        label_scope=settings.training_label_scope,
        patient_system=settings.dicom_patient_system,
    )


def _plan(
    warehouse: Warehouse,
    folder: UPath,
    staging: UPath,
    selection: Selection,
    batches: Sequence[str],
    *,
    known: _Known,
    shard_bytes: int,
    with_table: bool,
) -> _Planned:
    """Ask the warehouse, and let go of it: whoever writes it must not wait for the shards."""
    work: list[ShardWork] = []
    counts: dict[str, int] = {}
    digests: dict[str, str] = {}
    read_partitions(warehouse.layout, ARRAYS).only(batches).check_pages(ARRAY_COLUMNS)
    with warehouse.read("imaging/quality_metrics", "imaging/dicom_index") as connection:
        plan = Plan(connection, selection, batches)
        for batch in batches:
            rows = plan.of_batch(batch)
            if not rows.num_rows:
                continue
            path = staging / f"{batch}.arrow"
            counts[batch] = rows.num_rows
            digests[batch] = _keep(path, rows, shard_bytes)
            work.append(
                ShardWork(
                    data_dir=str(warehouse.layout.data_dir),
                    batch=batch,
                    plan=str(path),
                    folder=str(folder),
                    number=len(work),
                    shards=_still_there(folder, known, batch, digests[batch]),
                    shard_bytes=shard_bytes,
                    with_table=with_table,
                )
            )
        return _Planned(
            counts,
            work,
            digests,
            plan.samples_and_patients(),
            plan.label_counts(),
            plan.left_out(),
            plan.linked_patients,
        )


def _keep(path: UPath, rows: pa.Table, shard_bytes: int) -> str:
    with (
        atomic_file(path.parent, lambda _: path) as sink,
        pa.ipc.new_file(pa.PythonFile(sink, mode="w"), rows.schema) as writer,
    ):
        writer.write_table(rows)
    stated = f"{_SHARDS_VERSION} {shard_bytes} {sink.hexdigest()}"
    return hashlib.sha256(stated.encode()).hexdigest()


def _still_there(folder: UPath, known: _Known, batch: str, digest: str) -> tuple[Shard, ...] | None:
    """Shards that are known and hold just what is planned; None where they don't, or lack."""
    if known.batches.get(batch) != digest:
        return None
    shards = tuple(shard for shard in known.shards if shard.batch == batch)
    for shard in shards:
        for file in (shard.parquet, shard.arrow):
            path = folder / file.file
            if not path.exists() or path.stat().st_size != file.bytes:
                return None
    return shards


def _manifest(
    plan: _Planned, selection: Selection, shards: list[Shard], failed: Mapping[str, int]
) -> Manifest:
    names = {label for counts in plan.labels.values() for label in counts if label}
    nothing = (0, 0)
    return Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        content_sha256=content_hash(shards),
        selection=selection.described(),
        classes=sorted(names),
        is_labelled=selection.is_labelled,
        splits={
            split: SplitCounts(*plan.samples.get(split, nothing), labels=plan.labels.get(split, {}))
            for split in selection.splits
        },
        left_out={**plan.left_out, **failed},
        linked_patients=plan.linked_patients,
        batches=plan.digests,
        shards=shards,
    )


def _clear_staging(folder: UPath) -> None:
    """Remove what an export that failed or was killed left."""
    for path in list(folder.iterdir()):
        if path.name.startswith(_STAGING):
            path.fs.rm(path.path, recursive=True)


def _remove_unlisted(folder: UPath, known: Sequence[Shard], listed: Sequence[Shard]) -> None:
    """Remove shards of sets before, and those of a run that was killed; nothing else is ours."""
    kept = {file.file for shard in listed for file in (shard.parquet, shard.arrow)}
    splits = {shard.split for shard in known}
    for split in sorted(splits):
        for kind in _folders(folder / split):
            for path in list(kind.iterdir()):
                name = f"{split}/{kind.name}/{path.name}"
                is_ours = path.name.endswith(_SUFFIXES) or path.name.startswith(TEMPORARY_PREFIX)
                if is_ours and name not in kept:
                    path.unlink(missing_ok=True)
            if is_local(kind) and not list(kind.iterdir()):
                kind.rmdir()
        if is_local(folder) and (folder / split).is_dir() and not list((folder / split).iterdir()):
            (folder / split).rmdir()


def _folders(folder: UPath) -> list[UPath]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
