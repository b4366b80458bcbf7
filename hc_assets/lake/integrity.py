"""Whether what is kept is what was written: landed files, parts, commits, exports, by their hashes.

Belongs here: finding damage. What can be mended is mended in `repair.py`; whether the warehouse's
state is what the lake makes is found in `state.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from upath import UPath

from hc_assets.lake.exclusions import damaged_records
from hc_assets.lake.hashes import sha256_of
from hc_assets.lake.layout import (
    ALL_BATCHES_FOLDER,
    BATCH_PREFIX,
    COMMIT_NAME,
    MANIFEST_NAME,
    SCHEMA_FOLDER,
    Layout,
)
from hc_assets.lake.manifests import DamagedManifestError, batch_keys, read_manifest
from hc_assets.lake.parts import DamagedCommitError, read_commit

_Found = tuple[str, str]


@dataclass(frozen=True)
class Damage:
    """Something that is not what was written.

    Attributes:
        name: of the file below the data folder, without `lake/`.
        problem: what is wrong with it.
        path: of the file.
        kind: of landed files; "" of all else.
        table: `<group>/<asset>` that is or writes the file; "" of landed files.
        batch: key; None where it is of all batches.
    """

    name: str
    problem: str
    path: UPath
    kind: str = ""
    table: str = ""
    batch: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


@dataclass(frozen=True)
class Export:
    """Files that a table keeps outside of the lake.

    Attributes:
        folder: below the folder of exports.
        table: whose job writes them, over all batches.
        files: SHA-256 by name in the folder.
    """

    folder: str
    table: str
    files: Mapping[str, str] = field(default_factory=dict)


def damaged_landed(layout: Layout, tables: Mapping[str, Iterable[str]]) -> Iterator[Damage]:
    """Hash landed files and records of exclusions again, and look for manifests that are gone.

    Args:
        layout: where they are.
        tables: made batch by batch, by kind: what they hold was landed once.
    """
    for kind in sorted({*layout.kinds(), *tables}):
        whole = batch_keys(layout, kind)
        there = layout.batches(kind).iterdir() if layout.batches(kind).exists() else ()
        known = {path.name for path in there if path.is_dir() and not path.name.startswith(".")}
        for table in tables.get(kind, ()):
            known |= _committed_batches(layout, table)
        for key in sorted(known):
            found = _landed(layout, kind, key) if key in whole else [(MANIFEST_NAME, "is gone")]
            for file, problem in found:
                path = layout.batch(kind, key) / file
                yield Damage(f"batches/{kind}/{key}/{file}", problem, path, kind=kind, batch=key)
        for path in damaged_records(layout, kind):
            name = f"batches/{kind}/{path.parent.name}/{path.name}"
            problem = "is not what was recorded: its batch counts as retracted"
            yield Damage(name, problem, path, kind=kind, batch=path.name.rpartition(".")[0])


def _committed_batches(layout: Layout, table: str) -> set[str]:
    folder = layout.table(table)
    partitions = folder.iterdir() if folder.exists() else ()
    return {
        path.name.removeprefix(BATCH_PREFIX)
        for path in partitions
        if path.name.startswith(BATCH_PREFIX) and (path / COMMIT_NAME).exists()
    }


def damaged_tables(layout: Layout, tables: Iterable[str]) -> Iterator[Damage]:
    """Hash parts and commits again, and give what is gone or changed.

    Args:
        layout: where they are.
        tables: names of the tables, `<group>/<asset>`.
    """
    for table in tables:
        folder = layout.table(table)
        for partition in sorted(folder.iterdir(), key=lambda p: p.name) if folder.exists() else []:
            if partition.is_dir():
                of_all = partition.name in (ALL_BATCHES_FOLDER, SCHEMA_FOLDER)
                batch = None if of_all else partition.name.removeprefix(BATCH_PREFIX)
                for file, problem in _kept(partition):
                    name = f"{table}/{partition.name}/{file}"
                    yield Damage(name, problem, partition / file, table=table, batch=batch)


def damaged_exports(layout: Layout, exports: Iterable[Export]) -> Iterator[Damage]:
    """Hash exported files again, and give what is gone or changed."""
    for export in exports:
        folder = layout.exports(export.folder)
        for name, sha256 in sorted(export.files.items()):
            for file, problem in _compared(folder / name, name, sha256):
                shown = f"exports/{export.folder}/{file}"
                yield Damage(shown, problem, folder / file, table=export.table)


def _landed(layout: Layout, kind: str, key: str) -> Iterator[_Found]:
    try:
        manifest = read_manifest(layout, kind, key)
    except DamagedManifestError:
        yield MANIFEST_NAME, "is not what was written"
        return
    for file in manifest.files:
        if file.stored:
            path = layout.landed_file(kind, key, file.stored)
            yield from _compared(path, f"files/{file.stored}", file.sha256)


def _kept(partition: UPath) -> Iterator[_Found]:
    try:
        made = read_commit(partition)
    except DamagedCommitError:
        yield COMMIT_NAME, "is not what was committed"
        return
    for part in made.parts if made is not None else ():
        yield from _compared(partition / part.name, part.name, part.sha256)


def _compared(path: UPath, name: str, sha256: str) -> Iterator[_Found]:
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        yield name, "is gone"
        return
    if found != sha256:
        yield name, "is not what was written"
