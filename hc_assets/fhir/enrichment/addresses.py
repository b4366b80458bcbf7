"""Which absolute references lead to resources of the same source, whatever file brings these.

Belongs here: telling them from those to other servers. References within one file are resolved by
its fullUrls, in `columns/batch_references.py`, which asks here for the rest.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from hc_assets.core.source_names import is_base
from hc_assets.fhir.bundles.sources import address
from hc_assets.fhir.references import split_version

if TYPE_CHECKING:
    from hc_assets.fhir.enrichment.batch_index import BatchIndex

OwnTarget = Callable[[str], str | None]
"""Gives what an absolute reference stands for, `<type>/<id>`; None where it is not of the source.
"""
OwnTargets = Callable[[str | None], OwnTarget]
"""Gives that of a source."""


def nowhere(_: str) -> None:
    """Take each address for one of another server."""
    return


def unresolved(_: str | None) -> OwnTarget:
    """Take them so for each source."""
    return nowhere


def types_and_addresses(rows: pa.RecordBatch, source: str) -> Iterator[str]:
    """Give what a `BatchIndex` has to know of rows beside their types and ids.

    Args:
        rows: of one source, with ids.
        source: of the rows; "" for none.

    Yields:
        The types; and where the source is a name, which does not say where its resources are, their
        addresses.
    """
    yield from rows["resource_type"].unique().to_pylist()
    urls = rows["full_url"]
    if not source or is_base(source) or urls.null_count == len(urls):
        return
    columns = (rows[name].to_pylist() for name in ("full_url", "resource_type", "resource_id"))
    for url, type_, id_ in zip(*columns, strict=True):
        named = address(url)
        if named is not None and named.base and named[2:] == (type_, id_):
            yield url


def own_targets(index: "BatchIndex") -> OwnTargets:
    """Resolve absolute references to resources of the same source; their version is kept.

    Where the source is the base of a server, all that is below it is of the source, whether it came
    or not; where it is a name, what is the fullUrl of one of the batch's resources.

    Args:
        index: of the batch.
    """

    def of_source(source: str | None) -> OwnTarget:
        if source is None:
            return nowhere
        known = index.of_source(source)

        def target(text: str) -> str | None:
            if "://" not in text:
                return None
            before, version = split_version(text)
            named = address(before)
            if named is None or named.base is None:
                return None
            if is_base(source):
                is_own = named.base == source
            else:
                (is_own,) = known.are_known([known.key_of(before)])
            return f"{named.resource_type}/{named.resource_id}{version}" if is_own else None

        return target

    return of_source
