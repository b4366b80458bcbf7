"""What is left behind: batches that should be finished by now, tables older than their sources.

Belongs here: measuring it, in hours. What counts as too long is a setting, and who asks is in
`orchestration/checks.py`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from hc_assets.lake.incremental import compare, inputs_of_tables
from hc_assets.lake.landing import batch_keys, read_manifest
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import read_partitions


def unfinished(layout: Layout, tables: Iterable[str], keys: Iterable[str]) -> list[str]:
    """Those batches of which one of the tables is not committed."""
    listed = list(tables)
    return [
        key
        for key in keys
        if any(read_commit(layout.partition(table, key)) is None for table in listed)
    ]


def left_out(
    layout: Layout, batch_tables: Iterable[str], publish_tables: Iterable[str]
) -> list[tuple[str, str]]:
    """Which content of finished batches is not in what is made of all of them.

    A commit says what its rows were made from, whatever any record of runs says; a run that was
    killed left that of before. A batch counts that has all of its tables.

    Args:
        layout: where the lake is.
        batch_tables: with a partition per batch, that a batch is finished with.
        publish_tables: over all batches, kept in Parquet; tables that the commit of one does not
            speak of, it isn't made from.

    Returns:
        Pairs of a table over all batches and the partition that it lacks, `<table>` or
        `<table>/<batch>`, those of the earliest batch first.

    Raises:
        DamagedCommitError: a commit is not what was written.
    """
    per_batch, over_all = list(batch_tables), list(publish_tables)
    partitions = {table: read_partitions(layout, table) for table in (*per_batch, *over_all)}
    keys = [{made.batch for _, made in partitions[table].partitions} for table in per_batch]
    finished = [key for key in set.intersection(*keys) if key] if keys else []
    if not finished:
        return []
    held = {table: rows.digests() for table, rows in partitions.items()}
    lacking = [(t, name) for t in over_all for name in _lacking(layout, t, held, finished)]
    return sorted(lacking, key=lambda pair: (pair[1].split("/")[2:], pair))


def _lacking(
    layout: Layout,
    table: str,
    held: Mapping[str, Mapping[str, str]],
    batches: Iterable[str],
) -> frozenset[str]:
    """Partitions of its sources that a table was made without; all of them where it never was.

    Args:
        layout: where the lake is.
        table: over all batches.
        held: digest by name of the partitions of each source.
        batches: keys of the finished ones.
    """
    made = read_commit(layout.partition(table, None))
    finished = set(batches)
    lacking: set[str] = set()
    due_at_all: set[str] = set()
    is_taken = False
    for source, digests in held.items():
        due = {
            name: digest
            for name, digest in digests.items()
            if name == source or name.removeprefix(f"{source}/") in finished
        }
        due_at_all |= due.keys()
        known = inputs_of_tables(made, [source]) if made else {}
        if known:
            is_taken = True
            lacking |= compare(known, due).to_take_in()
    return frozenset(lacking if is_taken else due_at_all - {table})


def hours_unfinished(
    layout: Layout, kind: str, tables: Iterable[str], now: datetime
) -> dict[str, float]:
    """Hours since landing of each batch that is not finished."""
    waiting = unfinished(layout, tables, batch_keys(layout, kind))
    return {
        key: hours_between(
            datetime.fromisoformat(read_manifest(layout, kind, key).landed_at).timestamp(),
            now.timestamp(),
        )
        for key in waiting
    }


def hours_behind(made_at: float | None, source_at: float | None, now: float) -> float:
    """Hours for which a table has lacked what its source holds; 0 where it has it all.

    Args:
        made_at: POSIX time at which the table was made; None where it never was.
        source_at: POSIX time at which its newest source was made; None where there is none.
        now: POSIX time.
    """
    if source_at is None or (made_at is not None and made_at >= source_at):
        return 0.0
    return hours_between(source_at, now)


def hours_between(earlier: float, later: float) -> float:
    """Hours from one POSIX time to another, not below 0."""
    return max(0.0, later - earlier) / 3600
