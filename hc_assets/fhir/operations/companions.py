"""What leaves beside an export: the provenance of its batches, and what our extensions mean.

Belongs here: the two folders next to that of the export, which holds resources of patients only.
"""

from collections.abc import Iterator

from upath import UPath

from hc_assets.fhir.enrichment.extension_definitions import write_published
from hc_assets.lake.atomic import atomic_file
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions

PROVENANCE_FOLDER, DEFINITIONS_FOLDER = "fhir_provenance", "fhir_definitions"
_PROVENANCE_FILE = "Provenance.ndjson"


def write_companions(layout: Layout, base: str) -> dict[str, list[str]]:
    """Write all batches' Provenance as NDJSON, and the definitions of our extensions.

    Args:
        layout: of the lake and its exports.
        base: URL that our extensions share.

    Returns:
        Names of the files by their folder.
    """
    definitions = write_published(layout.exports(DEFINITIONS_FOLDER), base)
    folder = layout.exports(PROVENANCE_FOLDER)
    with atomic_file(folder, lambda _: UPath(folder / _PROVENANCE_FILE)) as sink:
        for resource in _resources(layout):
            sink.write(resource)
            sink.write(b"\n")
    return {DEFINITIONS_FOLDER: definitions, PROVENANCE_FOLDER: [_PROVENANCE_FILE]}


def _resources(layout: Layout) -> Iterator[bytes]:
    for rows in read_partitions(layout, "fhir/provenance_resources").batches(["resource"]):
        yield from rows["resource"].drop_null().to_pylist()
