"""Which domains there are: a new one is its folder and a line here.

Belongs here: the list, and what all of them have together. What a domain declares is in its
`domain.py`.
"""

from typing import TYPE_CHECKING

from hc_assets.core.domain import Catalog, resolve

if TYPE_CHECKING:
    from hc_assets.lake.layout import Layout
    from hc_assets.lake.warehouse import Warehouse

# In the order of the data: what reads another domain's tables comes after it.
NAMES = (
    "fhir",
    "imaging",
)

DOMAINS = tuple(resolve(f"hc_assets.{name}.domain:DOMAIN") for name in NAMES)
CATALOG = Catalog(DOMAINS)


def warehouse_of(layout: "Layout") -> "Warehouse":
    """Return the warehouse of a data folder, with all that the domains declare."""
    from hc_assets.lake.warehouse import State, Warehouse  # noqa: PLC0415 - brings DuckDB

    state = (
        State(frozenset(t.name for t in domain.tables if t.kept == "duckdb"), resolve(domain.state))
        for domain in DOMAINS
        if domain.state
    )
    return Warehouse(layout, CATALOG.parquet, tuple(state))


def rebuild(layout: "Layout", warehouse: "Warehouse") -> int:
    """Rebuild the warehouse from the Parquet: its views, and every domain's state.

    Readers have the old one until it is whole.

    Returns:
        How many rows the domains' state has.

    Raises:
        DamagedCommitError: a commit of a table is not what was written.
        WarehouseBusyError: another program kept it open.
    """
    from hc_assets.lake.tables import read_partitions  # noqa: PLC0415 - brings pyarrow

    for table in CATALOG.parquet:
        read_partitions(layout, table)  # DuckDB would meet a damaged commit without naming it
    with warehouse.rewrite() as connection:
        return sum(
            resolve(domain.rebuild)(connection, layout) for domain in DOMAINS if domain.rebuild
        )
