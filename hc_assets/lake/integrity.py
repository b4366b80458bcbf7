"""Whether what is kept is what was written: every landed file, part and commit, by its hash.

Belongs here: finding damage, and setting a damaged partition aside so that it is rebuilt, which
is the work of the jobs (`cli/lake.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
from upath import UPath

from hc_assets.lake.atomic import HashingSink
from hc_assets.lake.layout import (
    ALL_BATCHES_FOLDER,
    BATCH_PREFIX,
    COMMIT_NAME,
    SCHEMA_FOLDER,
    Layout,
)
from hc_assets.lake.manifests import batch_keys, content_sha256, read_manifest
from hc_assets.lake.parts import DamagedCommitError, Part, read_commit

_BLOCK = 1024 * 1024
_Found = tuple[str, str]


@dataclass(frozen=True)
class Damage:
    """Something that is not what was written.

    Attributes:
        kind: of the landed files; "" of a table.
        table: `<group>/<asset>`; "" of landed files.
        partition: name of the partition's folder, or key of the batch of landed files.
        file: its name in there.
        problem: what is wrong with it.
    """

    kind: str
    table: str
    partition: str
    file: str
    problem: str

    @property
    def batch(self) -> str | None:
        """Key of the batch; None where it is of all batches, or of a declared schema."""
        if self.partition in (ALL_BATCHES_FOLDER, SCHEMA_FOLDER):
            return None
        return self.partition.removeprefix(BATCH_PREFIX)

    def __str__(self) -> str:
        where = self.table or f"batches/{self.kind}"
        return f"{where}/{self.partition}/{self.file} {self.problem}"


def damage(layout: Layout, tables: Iterable[str]) -> Iterator[Damage]:
    """Hash everything that is kept again, and give what is gone or changed.

    Args:
        layout: where it is.
        tables: names of the tables, `<group>/<asset>`.
    """
    for kind in layout.kinds():
        for key in batch_keys(layout, kind):
            for file, problem in _landed(layout, kind, key):
                yield Damage(kind, "", key, file, problem)
    for table in tables:
        folder = layout.table(table)
        for partition in sorted(folder.iterdir(), key=lambda p: p.name) if folder.exists() else []:
            if partition.is_dir():
                for file, problem in _kept(partition):
                    yield Damage("", table, partition.name, file, problem)


def _landed(layout: Layout, kind: str, key: str) -> Iterator[_Found]:
    name = layout.manifest(kind, key).name
    try:
        manifest = read_manifest(layout, kind, key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield name, "can't be read"
        return
    if content_sha256(manifest.files) != manifest.content_sha256:
        yield name, "does not list what was landed"
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
    parts: list[Part] = made.parts if made is not None else []
    for part in parts:
        yield from _compared(partition / part.name, part.name, part.sha256)


def _compared(path: UPath, name: str, sha256: str) -> Iterator[_Found]:
    sink = HashingSink.discarding()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                sink.write(block)
    except FileNotFoundError:
        yield name, "is gone"
        return
    if sink.hexdigest() != sha256:
        yield name, "is not what was written"


def set_aside(layout: Layout, found: Iterable[Damage]) -> None:
    """Remove damaged parts and the commits that list them: the partitions count as not made yet."""
    for each in found:
        if each.table:
            folder = layout.table(each.table) / each.partition
            (folder / COMMIT_NAME).unlink(missing_ok=True)
            # Views look at every part, whether it is committed or not
            (folder / each.file).unlink(missing_ok=True)
