"""Whether versions and exports hold what they must: the evaluators behind their checks.

Belongs here: counting and comparing. Which check uses what is stated in `fhir/checks.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import duckdb
import msgspec
from upath import UPath

from hc_assets.core.verdicts import Verdict, none_of
from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.read import read_entries
from hc_assets.fhir.bundles.text_streams import TextLimits
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.export.ndjson import MANIFEST_NAME, Group, snapshot_name
from hc_assets.lake.archives import ArchiveLimits
from hc_assets.lake.atomic import HashingSink

_BLOCK = 1024 * 1024
# An export is what was taken in, within the limits for that, and more that is alike.
_OWN_FILES = TextLimits(2**31 - 1, ArchiveLimits(size=2**63, always=2**63))
_IDENTITIES = """
    SELECT count(*), count(*) FILTER (number != 1)
    FROM (
        SELECT count(*) FILTER (is_current) AS number
        FROM (
            SELECT source, resource_type, resource_id, true AS is_current
            FROM fhir.current_resources
            UNION ALL
            SELECT DISTINCT source, resource_type, resource_id, false FROM fhir.deliveries
        )
        GROUP BY source, resource_type, resource_id
    )
"""


def current_rows_unique(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that each resource that was ever delivered has one current row, and no other has one.

    Returns:
        A verdict whose value counts the resources with none or several.
    """
    total, offending = connection.execute(_IDENTITIES).fetchall()[0]
    return none_of(offending, total, what="resources with no or several current rows")


def export_equals(
    folder: UPath, files: Iterable[Mapping[str, Any]], current: Iterable[tuple[Group, bytes]]
) -> Verdict:
    """Judge that an export, read back as its manifest says, is the current rows.

    Args:
        folder: of the export.
        files: rows of `fhir/ndjson_exports`.
        current: group and JSON of each current resource, in the order of the export.

    Returns:
        A verdict whose value counts lines that differ, are missing or too many, and files that are
        not what was written.
    """
    manifest = msgspec.json.decode((folder / MANIFEST_NAME).read_bytes())
    written = {str(file["file"]): file for file in files}
    urls = [str(each["url"]) for each in manifest["output"]]
    snapshots = {name: snapshot_name(name, file["sha256"]) for name, file in written.items()}
    outputs = [
        name
        for url in urls
        for name, snapshot in snapshots.items()
        if f"/{url}".endswith(f"/{snapshot}")
    ]
    damaged = sum(
        not all(_is_as_written(folder / path, file["sha256"]) for path in (name, snapshots[name]))
        for name, file in written.items()
    )
    unlisted = sum(f["list"] == "output" and n not in outputs for n, f in written.items())
    total = differing = 0
    for found, line in zip_longest(_lines(folder, outputs), current):
        total += 1
        differing += (
            found is None
            or line is None
            or found[1].problem is not None
            or (Group(str(found[1].resource_type), written[found[0]]["source"]), found[1].resource)
            != line
        )
    return Verdict(
        passed=not (differing or damaged or unlisted),
        value=float(differing + damaged + unlisted),
        threshold=0.0,
        explanation=f"{total} resources: {differing} differ from the current ones; {len(written)}"
        f" files: {damaged} are not as written, {unlisted} not in the manifest",
        counts={"resources": total, "differing": differing, "damaged": damaged},
    )


def _is_as_written(path: UPath, sha256: str) -> bool:
    return path.exists() and _sha256(path) == sha256


def _lines(folder: UPath, names: Iterable[str]) -> Iterator[tuple[str, Entry]]:
    """Name of the file and entry of each line."""
    for name in names:
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                # A stored OperationOutcome or Bundle is a resource here, whatever it says.
                type_ = FHIR_FILES.media_type(name)
                for entry in read_entries(file, type_, keep_bundles=True, limits=_OWN_FILES):
                    yield name, entry


def _sha256(path: UPath) -> str:
    sink = HashingSink.discarding()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sink.write(block)
    return sink.hexdigest()
