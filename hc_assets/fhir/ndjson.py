"""Current resources leave as NDJSON, one file per type, with a manifest.

Belongs here: the layout of a Bulk Data export. Which resources are current is decided in
`versions.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import duckdb
import msgspec
from upath import UPath

from hc_assets.lake.atomic import atomic_file, make_folder, write_bytes

MANIFEST_NAME = "manifest.json"
_ROWS_PER_FETCH = 2_000


@dataclass(frozen=True)
class ExportedFile:
    """One NDJSON file: its type, name, and what it holds."""

    resource_type: str
    file: str
    resources: int
    bytes: int
    sha256: str


def current_lines(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, bytes]]:
    """Stream type and JSON of all current resources that are not deleted, by type and id."""
    cursor = connection.execute(
        "SELECT resource_type, resource FROM fhir.current_resources WHERE NOT is_deleted "
        "ORDER BY resource_type, resource_id"
    )
    while rows := cursor.fetchmany(_ROWS_PER_FETCH):
        yield from rows


def export(
    lines: Iterable[tuple[str, bytes]], folder: UPath, *, transaction_time: str
) -> list[ExportedFile]:
    """Write resources as `<type>.ndjson` files and a manifest in a folder.

    Each file appears whole or not at all; the manifest is written after the files that it lists,
    and NDJSON files that it no longer lists are removed last.

    Args:
        lines: type and one-line JSON of each resource, ordered by type.
        folder: of the export.
        transaction_time: FHIR instant that the export holds the state of.

    Returns:
        The files, by type.
    """
    make_folder(folder)
    files = []
    for type_, group in groupby(lines, key=lambda line: line[0]):
        target = folder / f"{type_}.ndjson"
        count = 0
        with atomic_file(folder, lambda _, target=target: target) as sink:
            for _, line in group:
                sink.write(line)
                sink.write(b"\n")
                count += 1
        files.append(ExportedFile(type_, target.name, count, sink.size, sink.hexdigest()))
    manifest = {
        "transactionTime": transaction_time,
        "request": "hc-assets export of all current resources",
        "requiresAccessToken": False,
        "output": [{"type": f.resource_type, "url": f.file, "count": f.resources} for f in files],
        "error": [],
    }
    write_bytes(folder / MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest)))
    listed = {file.file for file in files}
    for path in folder.iterdir():
        # Whatever else lies there is somebody else's.
        if path.suffix == ".ndjson" and path.name not in listed and path.is_file():
            path.unlink()
    return files
