"""Deletions that name a server or a path: whether it is one that resources came from.

Belongs here: which servers are known, and what a deletion on another one is refused with. Reading
addresses is in `fhir/bundles/sources.py`.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.source_names import is_base
from hc_assets.fhir.bundles.not_data import issue_of
from hc_assets.fhir.bundles.sources import Address, address
from hc_assets.fhir.r4.issues import Issue
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable, read_partitions

# Bases of servers that resources of a source came from. Under None, all that were not landed under
# a name.
KnownServers = Mapping[str | None, frozenset[str]]

_DELETE = "DELETE"
_ASKED = ["source", "request_method", "request_url"]
_UNKNOWN = issue_of(
    "Bundle.entry is a DELETE whose request.url names a server or a path that no resource of this"
    " source came from"
)


def known_servers(layout: Layout, raw: LakeTable) -> KnownServers:
    """Find which servers the deletions of a batch may name.

    Args:
        layout: where the lake is, all of whose raw rows count.
        raw: raw rows of the batch.

    Returns:
        Nothing where no deletion names one, so that nothing else need be read.
    """
    sources = {source for rows in raw.batches(_ASKED) for _, source, _ in _addressed(rows)}
    if not sources:
        return {}
    names = {source for source in sources if source is not None and not is_base(source)}
    known: dict[str | None, set[str]] = {None: set(), **{name: set() for name in names}}
    lake = read_partitions(layout, "fhir/raw_bundles")
    for rows in lake.batches(["source", "request_method"]):
        for source in pc.unique(_stored(rows)["source"]).to_pylist():
            if source is not None and is_base(source):
                known[None].add(source)
    if names:
        for rows in lake.batches(["source", "request_method", "full_url"]):
            stored = _stored(rows)
            named = stored.filter(pc.is_in(stored["source"], pa.array(sorted(names))))
            for source, url in zip(*(named[n].to_pylist() for n in _NAMED), strict=True):
                found = address(url)
                if found is not None and found.base is not None:
                    known[source].add(found.base)
    return {source: frozenset(bases) for source, bases in known.items()}


_NAMED = ("source", "full_url")


def refused_deletions(rows: pa.RecordBatch, servers: KnownServers) -> dict[int, Issue]:
    """Find the deletions that name a server or a path that is not known.

    Args:
        rows: of the raw table.
        servers: that are known.

    Returns:
        The reason, by the number of the row. A path is known that is that of a known server, and so
        is none but the slash.
    """
    return {
        number: _UNKNOWN
        for number, source, named in _addressed(rows)
        if not _is_known(named, _bases_of(source, servers))
    }


def _bases_of(source: str | None, servers: KnownServers) -> frozenset[str]:
    if source is None or not is_base(source):
        return servers.get(source, frozenset())
    return servers.get(None, frozenset()) & {source}


def _is_known(named: Address, bases: frozenset[str]) -> bool:
    if named.base is not None:
        return named.base in bases
    return named.path in {urlsplit(base).path for base in bases}


def _addressed(rows: pa.RecordBatch) -> Iterator[tuple[int, str | None, Address]]:
    """Number, source and address of deletions whose address has more than type and id."""
    methods = rows["request_method"]
    if methods.null_count == len(methods):
        return
    numbers = pc.indices_nonzero(pc.fill_null(pc.equal(methods, _DELETE), False))
    for number in numbers.to_pylist():
        found = address(rows["request_url"][number].as_py())
        if found is not None and (found.base is not None or found.path not in ("", "/")):
            yield number, rows["source"][number].as_py(), found


def _stored(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows that bring a resource, of which a deletion could be."""
    return rows.filter(pc.fill_null(pc.not_equal(rows["request_method"], _DELETE), True))
