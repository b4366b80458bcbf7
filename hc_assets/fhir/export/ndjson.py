"""Resources leave as a Bulk Data export: NDJSON files per type, and a manifest.

Belongs here: files, their layout and their manifest, as HL7's Bulk Data Access IG 2.0 describes the
response of a completed export. What is exported is asked for in `exported_rows.py`.

Whoever follows the manifest sees one snapshot whole: it names files in `.snapshots` by their hash,
which no export changes, and those that it names stay until it has been replaced twice. The same
files are in the folder itself under plain names, for whoever reads one of them.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa
from upath import UPath

from hc_assets.core.source_names import FOLDER_PREFIX, folder_of
from hc_assets.lake.atomic import (
    TEMPORARY_PREFIX,
    HashingSink,
    atomic_file,
    is_local,
    local_path,
    make_folder,
    sync_folder,
    write_bytes,
)
from hc_assets.lake.locks import exclusive

MANIFEST_NAME = "manifest.json"
# Hidden, so that landing an export lands what is in the folder itself.
SNAPSHOTS_FOLDER = ".snapshots"
_BLOCK = 1024 * 1024
# Folder of the files of each list of the manifest.
_PLACES = {"output": "", "deleted": "deleted/", "error": "errors/"}


class Compression(StrEnum):
    """How NDJSON files are packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}


@dataclass(frozen=True)
class ExportOptions:
    """What a deployment chooses.

    Attributes:
        split_bytes: NDJSON bytes, before packing, from which a file is full.
        compression: of the files.
        base_url: of the folder, put before the names in the manifest; "" leaves them relative to
            the manifest, so that the folder can be moved.
        source: meta.source of resources that name none, and come from no source.
    """

    split_bytes: int = 1024**3
    compression: Compression = Compression.NONE
    base_url: str = ""
    source: str = ""


class Group(NamedTuple):
    """What the lines of a file have in common.

    Attributes:
        resource_type: of their resources, or of what they delete.
        source: that these are of; None where nothing names one, and where all of an export is of
            one.
    """

    resource_type: str
    source: str | None = None


@dataclass(frozen=True)
class ExportedFile:
    """One NDJSON file: its list in the manifest (output, deleted, error), type, name, content.

    Its name is the plain one, relative to the folder of the export. Its source is None where it is
    of none, or all of the export is of one.
    """

    list: str
    resource_type: str
    file: str
    resources: int
    bytes: int
    sha256: str
    source: str | None = None

    @property
    def snapshot(self) -> str:
        """Its name in the manifest, which no other content ever has."""
        return snapshot_name(self.file, self.sha256)


def snapshot_name(file: str, sha256: str) -> str:
    """Give the name in the manifest of a file of an export, which no other content ever has."""
    name, dot, suffix = file.partition(".ndjson")
    return f"{SNAPSHOTS_FOLDER}/{name}-{sha256[:16]}{dot}{suffix}"


@dataclass(frozen=True)
class Stated:
    """What an export says of itself: FHIR instant that it holds the state of, and the request."""

    transaction_time: str
    request: str


Lines = Iterable[tuple[Group, bytes]]


def writing(folder: UPath) -> AbstractContextManager[None]:
    """Keep every other export out of a folder.

    To be taken before what is exported is read, so that the newer snapshot is what stays.
    """
    return exclusive(folder / ".lock")


def write_export(
    folder: UPath,
    stated: Stated,
    *,
    output: Lines,
    deleted: Lines = (),
    errors: Lines = (),
    options: ExportOptions | None = None,
) -> list[ExportedFile]:
    """Write an export in place of the one before, inside `writing`.

    Args:
        folder: of the export; files in it that are not of an export stay.
        stated: what the manifest says.
        output: group and one-line JSON of each resource, ordered by group.
        deleted: group of what is deleted and one-line Bundle with the deletion, ordered by group.
        errors: the group of OperationOutcomes and one-line OperationOutcome of each problem.
        options: of the deployment.

    Returns:
        The files: `<Type>.ndjson`, `<Type>.2.ndjson` and so on in the folder itself, those of a
        source in `@<source>/`, deletions in `deleted/`, problems in `errors/`; packed ones with
        `.gz` or `.zst` at the end.
    """
    options = options or ExportOptions()
    make_folder(folder)
    listed, present = _listed(folder), _snapshots(folder)
    files: list[ExportedFile] = []
    try:
        for name, lines in (("output", output), ("deleted", deleted), ("error", errors)):
            for group, of_group in groupby(lines, key=lambda line: line[0]):
                files += _write_files(folder, name, group, of_group, options)
        write_bytes(folder / MANIFEST_NAME, _manifest(files, stated, options))
    except BaseException:
        _remove_snapshots(folder, present)
        raise
    _remove_snapshots(folder, listed | {file.snapshot for file in files})
    for file in files:
        _give_plain_name(folder / file.snapshot, folder / file.file)
    _remove_unlisted(folder, {file.file for file in files})
    return files


class _Sink(Protocol):
    def write(self, data: bytes) -> object: ...


@contextmanager
def _packed(sink: HashingSink, compression: Compression) -> Iterator[_Sink]:
    if compression is Compression.NONE:
        yield sink
        return
    raw = pa.PythonFile(sink, mode="w")
    with pa.CompressedOutputStream(raw, compression.value) as packed:
        yield packed


def _write_files(
    folder: UPath, list_: str, group: Group, lines: Lines, options: ExportOptions
) -> Iterator[ExportedFile]:
    """Write the lines of one group, into as many files as they fill."""
    type_, source = group
    inside = _PLACES[list_] + ("" if source is None else f"{folder_of(source)}/")
    suffix = f".ndjson{_SUFFIXES[options.compression]}"
    remaining = iter(lines)
    line = next(remaining, None)
    number = 1
    while line is not None:
        name = f"{inside}{type_}{suffix if number == 1 else f'.{number}{suffix}'}"
        count = size = 0
        place = (folder / SNAPSHOTS_FOLDER / name).parent
        with ExitStack() as stack:
            sink = stack.enter_context(
                atomic_file(
                    place, lambda sink, name=name: folder / snapshot_name(name, sink.hexdigest())
                )
            )
            packed = stack.enter_context(_packed(sink, options.compression))
            block: list[bytes] = []
            block_bytes = 0
            while line is not None and size < options.split_bytes:
                data = line[1]
                block += (data, b"\n")
                count += 1
                size += len(data) + 1
                block_bytes += len(data) + 1
                if block_bytes >= _BLOCK:
                    packed.write(b"".join(block))
                    block, block_bytes = [], 0
                line = next(remaining, None)
            packed.write(b"".join(block))
        yield ExportedFile(list_, type_, name, count, sink.size, sink.hexdigest(), source)
        number += 1


def _manifest(files: list[ExportedFile], stated: Stated, options: ExportOptions) -> bytes:
    base = f"{options.base_url.rstrip('/')}/" if options.base_url else ""

    def listed(name: str) -> list[dict[str, Any]]:
        return [
            {
                # A file of deletions holds Bundles.
                "type": "Bundle" if name == "deleted" else file.resource_type,
                "url": base + file.snapshot,
                "count": file.resources,
                # The name that the guide leaves to whoever exports
                **({} if file.source is None else {"extension": {"source": file.source}}),
            }
            for file in files
            if file.list == name
        ]

    return msgspec.json.format(
        msgspec.json.encode(
            {
                "transactionTime": stated.transaction_time,
                "request": stated.request,
                "requiresAccessToken": False,
                "output": listed("output"),
                "deleted": listed("deleted"),
                "error": listed("error"),
            }
        )
    )


def _listed(folder: UPath) -> set[str]:
    """Names, in the folder of snapshots, that the present manifest lists."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_NAME).read_bytes())
    except FileNotFoundError:
        return set()
    urls = [each["url"] for name in _PLACES for each in manifest[name]]
    marked = f"{SNAPSHOTS_FOLDER}/"
    return {url[url.rindex(marked) :] for url in urls if marked in url}


def _give_plain_name(snapshot: UPath, target: UPath) -> None:
    """Let a file be found under its plain name too; whoever has the one before open keeps it."""
    if not is_local(target):
        target.fs.cp_file(snapshot.path, target.path)
        return
    make_folder(target.parent)
    temporary = local_path(target.parent) / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        os.link(local_path(snapshot), temporary)
    except OSError:  # a file system without links
        shutil.copyfile(local_path(snapshot), temporary)
    temporary.replace(local_path(target))
    # Where both were the same file already, a rename does nothing at all (POSIX)
    temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def _places(folder: UPath) -> list[str]:
    """Where below a folder files of an export can be, those of sources first; "" for itself."""
    found: list[str] = []
    for place in _PLACES.values():
        inside = folder / place if place else folder
        if inside.is_dir():
            below = sorted(p.name for p in inside.iterdir() if p.name.startswith(FOLDER_PREFIX))
            found += [*(f"{place}{name}/" for name in below), place]
    return [place for place in found if not place or (folder / place).is_dir()]


def _snapshots(folder: UPath) -> set[str]:
    """Names, in the folder of the export, of what is in that of snapshots."""
    snapshots = folder / SNAPSHOTS_FOLDER
    return {
        f"{SNAPSHOTS_FOLDER}/{place}{path.name}"
        for place in _places(snapshots)
        for path in (snapshots / place if place else snapshots).iterdir()
        if path.is_file()
    }


def _remove_snapshots(folder: UPath, listed: Set[str]) -> None:
    """Remove snapshots that are not listed, and what a killed export left."""
    for name in _snapshots(folder) - listed:
        (folder / name).unlink()


def _remove_unlisted(folder: UPath, listed: set[str]) -> None:
    """Remove NDJSON files that an export before listed; whatever else is there is not ours."""
    for place in _places(folder):
        inside = folder / place if place else folder
        for path in list(inside.iterdir()):
            is_export = path.name.removesuffix(".gz").removesuffix(".zst").endswith(".ndjson")
            is_ours = is_export or path.name.startswith(TEMPORARY_PREFIX)
            if is_ours and f"{place}{path.name}" not in listed and path.is_file():
                path.unlink()
        if place and is_local(inside) and not list(inside.iterdir()):
            inside.rmdir()
