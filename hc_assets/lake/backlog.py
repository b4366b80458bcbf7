"""What is left behind: batches that should be finished by now, tables older than their sources.

Belongs here: measuring it, in hours. What counts as too long is a setting, and who asks is in
`orchestration/checks.py`.
"""

from collections.abc import Iterable
from datetime import datetime

from hc_assets.lake.incremental import compare, inputs_of_tables
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import LakeTable, read_partitions


def unfinished(layout: Layout, tables: Iterable[str], keys: Iterable[str]) -> list[str]:
    """Those batches of which one of the tables is not committed."""
    listed = list(tables)
    return [
        key
        for key in keys
        if any(read_commit(layout.partition(table, key)) is None for table in listed)
    ]


def is_behind(layout: Layout, table: str, sources: Iterable[str], batches: Iterable[str]) -> bool:
    """Whether a table over all batches was made without what its sources hold now.

    A commit says what its rows were made from; a run that was killed left that of before.

    Args:
        layout: where the lake is.
        table: over all batches, `<group>/<asset>`.
        sources: tables that it may be made from; those that its commit does not speak of, it isn't.
        batches: keys of the finished ones; what others hold is not missed yet.
    """
    made = read_commit(layout.partition(table, None))
    if made is None:
        return True
    keys = {None, *batches}
    taken, held = False, False
    for source in sources:
        partitions = read_partitions(layout, source)
        due = LakeTable(
            source, partitions.folder, [p for p in partitions.partitions if p[1].batch in keys]
        ).digests()
        held |= bool(due)
        known = inputs_of_tables(made, [source])
        if known:
            taken = True
            if compare(known, due).to_take_in():
                return True
    return held and not taken


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
