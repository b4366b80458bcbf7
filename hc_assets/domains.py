"""Which domains there are: a new one is its folder and a line here.

Belongs here: the list, and what all of them have together. What a domain declares is in its
`domain.py`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hc_assets.core.domain import Catalog, Domain, Landing, resolve

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


def finished_batches(layout: "Layout", landing: Landing) -> set[str]:
    """Keys of the landed batches of which every table is committed, but for those retracted."""
    from hc_assets.lake.backlog import unfinished  # noqa: PLC0415 - brings pyarrow
    from hc_assets.lake.exclusions import standing_keys  # noqa: PLC0415 - brings fsspec

    keys = set(standing_keys(layout, landing.kind.name))
    return keys.difference(unfinished(layout, landing.batch_tables, keys))


def is_of(domain: Domain, table: str) -> bool:
    """Whether a table is one of a domain's."""
    return table.partition("/")[0] == domain.name


def sources_of(landing: Landing) -> list[str]:
    """Tables that those over all batches of a kind may be made from."""
    made = [table for table in landing.publish_tables if table in CATALOG.parquet]
    return [*landing.batch_tables, *made]


def taken_in(warehouse: "Warehouse", table: str) -> Mapping[str, str] | None:
    """What a table over all batches was made from, as the lake or the warehouse itself says.

    Args:
        warehouse: of the data folder.
        table: `<domain>/<plural noun>`.

    Returns:
        Hash of each partition by `<table>` or `<table>/<batch>`; None where it was never made.
    """
    from hc_assets.lake.parts import read_commit  # noqa: PLC0415 - brings pyarrow

    if table in CATALOG.parquet:
        made = read_commit(warehouse.layout.partition(table, None))
        return None if made is None else made.inputs
    if not warehouse.layout.warehouse.exists():
        return None
    domain = next(each for each in DOMAINS if is_of(each, table))
    with warehouse.read_state() as connection:
        inputs: Mapping[str, str] = resolve(domain.taken_in)(connection)
    return inputs


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
