"""Resources that a view is run over by hand: those of the lake, or those of files.

Belongs here: finding them, some at a time. Tables of views are made in `workers.py`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from upath import UPath

from hc_assets.core.errors import UnreadableInputError
from hc_assets.fhir.bundles.read import read_entries
from hc_assets.fhir.bundles.text_streams import TextLimits
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.versions import ledger
from hc_assets.fhir.views.places import places_of, taken
from hc_assets.fhir.views.shares import standing
from hc_assets.lake.discovery import discover
from hc_assets.lake.tables import read_partition
from hc_assets.lake.warehouse import Warehouse

_AT_ONCE = 2_000


class UnreadableResourceError(UnreadableInputError):
    """A file, or something in it, that no resource can be taken from."""


def current_resources(warehouse: Warehouse, type_: str) -> Iterator[list[bytes]]:
    """Current resources of a type, by batch and in the order of its rows.

    Raises:
        DamagedPartError: a part is gone or is not what its commit says.
    """
    with warehouse.read() as connection:
        if not ledger.inputs(connection):
            return
        digests = ledger.digests(connection)
        batches = sorted(standing(connection, [type_], digests)[type_])
        places = {batch: places_of(connection, type_, batch) for batch in batches}
    for batch, lying in places.items():
        first = 0
        rows_of = read_partition(warehouse.layout, "fhir/enriched_resources", batch)
        for rows in rows_of.batches(["resource"]):
            chosen, _ = taken(rows["resource"], first, lying)
            first += rows.num_rows
            if chosen:
                yield chosen


def resources_in_files(paths: Iterable[Path], limits: TextLimits) -> Iterator[list[bytes]]:
    """Resources of Bundles, NDJSON files, single resources, and folders of them.

    Args:
        paths: files and folders.
        limits: of what is read.

    Raises:
        UnreadableResourceError: a file is not there, or no resource can be taken from it or a part.
    """
    some: list[bytes] = []
    for path in paths:
        if not path.exists():
            raise UnreadableResourceError(f"{path}: no such file or folder")
        for found in discover([path], Path.cwd()):
            if found.problem:
                raise UnreadableResourceError(f"{found.path}: {found.problem}")
            media_type = FHIR_FILES.media_type(found.source_file)
            with UPath(found.path).open("rb") as stream:
                for entry in read_entries(stream, media_type, limits=limits):
                    if entry.problem is not None:
                        where = f"{found.path}:{entry.position}"
                        raise UnreadableResourceError(f"{where}: {entry.problem}")
                    if entry.resource is not None and entry.not_data is None:
                        some.append(entry.resource)
                    if len(some) >= _AT_ONCE:
                        yield some
                        some = []
    if some:
        yield some
