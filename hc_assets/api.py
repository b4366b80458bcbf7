"""What notebooks and scripts call, put together from the lake and the declarations.

Belongs here: functions of the public interface that need both; `__init__.py` lists all of it.
"""

from collections.abc import Sequence
from pathlib import Path

from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout
from hc_assets.lake.reading import Rows, read_rows
from hc_assets.settings import Settings


def read(
    table: str,
    batch: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    data_dir: Path | str | None = None,
) -> Rows:
    """Read a table's committed rows.

    Args:
        table: `<domain>/<plural noun>`, such as `imaging/quality_metrics`; one that is kept in
            Parquet.
        batch: key of the batch that is wanted, or several; all where None.
        columns: names of those wanted; all where None.
        data_dir: the data folder; that of `HC_DATA_DIR` where None.

    Returns:
        The rows, unread: `.batches()`, `.arrow()`, `.pandas()`, `.duckdb(connection)`.

    Raises:
        UnknownTableError: there is no such table.
        UnknownColumnError: it has no such column.
        MissingPartitionError: nothing of the batch, or of the table at all, is committed.
    """
    layout = Layout.of(Settings().data_dir if data_dir is None else data_dir)
    return read_rows(layout, table, CATALOG.parquet, batch=batch, columns=columns)
