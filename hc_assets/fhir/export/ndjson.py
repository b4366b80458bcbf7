"""Resources leave as a Bulk Data export: NDJSON files per type, and a manifest.

Belongs here: files, their layout and their manifest, as HL7's Bulk Data Access IG 2.0 describes the
response of a completed export. What is exported is asked for in `exported_rows.py`.

Atomic for whoever follows the manifest: all files are written beside, the manifest is taken away,
the files change places, the new manifest comes last.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Protocol

import msgspec
import pyarrow as pa
from upath import UPath

from hc_assets.lake.atomic import (
    HashingSink,
    atomic_file,
    is_local,
    local_path,
    make_folder,
    sync_folder,
    write_bytes,
)

MANIFEST_NAME = "manifest.json"
_STAGING_PREFIX = ".staging-"
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
    """

    split_bytes: int = 1024**3
    compression: Compression = Compression.NONE
    base_url: str = ""


@dataclass(frozen=True)
class ExportedFile:
    """One NDJSON file: its list in the manifest (output, deleted, error), type, name, content."""

    list: str
    resource_type: str
    file: str
    resources: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Stated:
    """What an export says of itself: FHIR instant that it holds the state of, and the request."""

    transaction_time: str
    request: str


Lines = Iterable[tuple[str, bytes]]


def write_export(
    folder: UPath,
    stated: Stated,
    *,
    output: Lines,
    deleted: Lines = (),
    errors: Lines = (),
    options: ExportOptions | None = None,
) -> list[ExportedFile]:
    """Write an export in place of the one before.

    Args:
        folder: of the export; files in it that are not of an export stay.
        stated: what the manifest says.
        output: type and one-line JSON of each resource, ordered by type.
        deleted: type of what is deleted and one-line Bundle with the deletion, ordered by type.
        errors: `OperationOutcome` and one-line OperationOutcome of each problem.
        options: of the deployment.

    Returns:
        The files: `<Type>.ndjson`, `<Type>.2.ndjson` and so on in the folder itself, deletions in
        `deleted/`, problems in `errors/`; packed ones with `.gz` or `.zst` at the end.
    """
    options = options or ExportOptions()
    make_folder(folder)
    _clear_staging(folder)
    staging = folder / f"{_STAGING_PREFIX}{secrets.token_hex(4)}"
    files: list[ExportedFile] = []
    try:
        for name, lines in (("output", output), ("deleted", deleted), ("error", errors)):
            for _, group in groupby(lines, key=lambda line: line[0]):
                files += _write_files(staging, name, group, options)
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        for file in files:
            _move(staging / file.file, folder / file.file)
    finally:
        _clear_staging(folder)
    write_bytes(folder / MANIFEST_NAME, _manifest(files, stated, options))
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
    staging: UPath, list_: str, lines: Lines, options: ExportOptions
) -> Iterator[ExportedFile]:
    """Write the lines of one type, into as many files as they fill."""
    suffix = f".ndjson{_SUFFIXES[options.compression]}"
    remaining = iter(lines)
    line = next(remaining, None)
    number = 1
    while line is not None:
        type_ = line[0]
        name = f"{_PLACES[list_]}{type_}{suffix if number == 1 else f'.{number}{suffix}'}"
        target = staging / name
        count = size = 0
        with ExitStack() as stack:
            sink = stack.enter_context(atomic_file(target.parent, lambda _, target=target: target))
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
        yield ExportedFile(list_, type_, name, count, sink.size, sink.hexdigest())
        number += 1


def _manifest(files: list[ExportedFile], stated: Stated, options: ExportOptions) -> bytes:
    base = f"{options.base_url.rstrip('/')}/" if options.base_url else ""

    def listed(name: str) -> list[dict[str, Any]]:
        return [
            {
                # A file of deletions holds Bundles.
                "type": "Bundle" if name == "deleted" else file.resource_type,
                "url": base + file.file,
                "count": file.resources,
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


def _move(source: UPath, target: UPath) -> None:
    if is_local(target):
        make_folder(target.parent)
        local_path(source).replace(local_path(target))
        sync_folder(target.parent)
        return
    with source.open("rb") as staged, target.open("wb") as final:
        while block := staged.read(_BLOCK):
            final.write(block)


def _clear_staging(folder: UPath) -> None:
    """Remove what an export that failed or was killed left."""
    for path in list(folder.iterdir()):
        if path.name.startswith(_STAGING_PREFIX):
            path.fs.rm(path.path, recursive=True)


def _remove_unlisted(folder: UPath, listed: set[str]) -> None:
    """Remove NDJSON files that an export before listed; whatever else is there is not ours."""
    for place in _PLACES.values():
        inside = folder / place if place else folder
        if not inside.is_dir():
            continue
        for path in list(inside.iterdir()):
            is_export = path.name.removesuffix(".gz").removesuffix(".zst").endswith(".ndjson")
            if is_export and f"{place}{path.name}" not in listed and path.is_file():
                path.unlink()
        if place and is_local(inside) and not list(inside.iterdir()):
            inside.rmdir()
