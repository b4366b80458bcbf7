"""What is damaged, in the whole house: the lake's files, the domains' exports, DuckDB's tables.

Belongs here: asking all of them. What can be told of a file is in `lake/integrity.py`, of DuckDB's
tables in `lake/state.py`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

from upath import UPath

from hc_assets.core.domain import Domain, resolve
from hc_assets.core.errors import DamagedLakeError
from hc_assets.domains import CATALOG, DOMAINS, is_of, taken_in, warehouse_of
from hc_assets.lake.integrity import Damage, damaged_exports, damaged_landed, damaged_tables
from hc_assets.lake.layout import Layout
from hc_assets.lake.state import differing_tables
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse, WarehouseDamagedError, WarehouseFailedError


def find_damage(layout: Layout) -> list[Damage]:
    """Hash again all that is kept, and compare DuckDB's tables with what a rebuild makes.

    Raises:
        WarehouseBusyError: another program kept the warehouse open.
    """
    tables = {kind: landing.batch_tables for kind, landing in CATALOG.landings.items()}
    found = [*damaged_landed(layout, tables)]
    found += damaged_tables(layout, CATALOG.parquet)
    for domain in DOMAINS:
        with suppress(DamagedLakeError):  # which is among what was found already
            if domain.exports:
                found += damaged_exports(layout, resolve(domain.exports)(layout))
        with suppress(DamagedLakeError):
            found += _damaged_state(warehouse_of(layout), domain)
    return found


def _damaged_state(warehouse: Warehouse, domain: Domain) -> Iterator[Damage]:
    file, tables = warehouse.layout.warehouse, [t for t in CATALOG.state if is_of(domain, t)]
    if not tables or not file.exists():
        return
    try:
        known = taken_in(warehouse, tables[0]) or {}
        batches = _as_committed(warehouse.layout, known)
        if not known or batches is None:
            return  # behind, which is for the next job to make up for
        made = partial(resolve(domain.rebuild), layout=warehouse.layout, batches=batches)
        damaged = differing_tables(warehouse, tables, made)
    except (WarehouseDamagedError, WarehouseFailedError):
        damaged = tables
    for table in damaged:
        problem = f"holds other rows of {table} than the lake makes, or can't be read"
        yield Damage(file.name, problem, UPath(file), table=table)


def _as_committed(layout: Layout, known: Mapping[str, str]) -> list[str] | None:
    """Keys of the batches that were taken in; None where one has changed since, or is gone."""
    sources = {name.rpartition("/")[0] for name in known}
    present = {n: d for s in sources for n, d in read_partitions(layout, s).digests().items()}
    if any(present.get(name) != digest for name, digest in known.items()):
        return None
    return sorted({name.rpartition("/")[2] for name in known})
