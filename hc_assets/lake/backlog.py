"""What is left behind: batches that should be finished by now, tables older than their sources.

Belongs here: measuring it, in hours. What counts as too long is a setting, and who asks is in
`orchestration/checks.py`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from upath import UPath

from hc_assets.lake.exclusions import excluded, recorded_at, retracted, standing_keys
from hc_assets.lake.incremental import compare, inputs_of_tables
from hc_assets.lake.layout import COMMIT_NAME, Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.parts import Commit, read_commit
from hc_assets.lake.tables import LakeTable, read_partitions


def unfinished(layout: Layout, tables: Iterable[str], keys: Iterable[str]) -> list[str]:
    """Those batches of which one of the tables is not committed, or that a check blocks.

    None of those that are retracted.
    """
    listed, gone = list(tables), retracted(layout)
    blocked = excluded(layout) - gone
    return [
        key
        for key in keys
        if key not in gone
        and (
            key in blocked
            or any(read_commit(layout.partition(table, key)) is None for table in listed)
        )
    ]


def left_out(
    layout: Layout, batch_tables: Iterable[str], publish_tables: Iterable[str]
) -> list[tuple[str, str]]:
    """Which content of finished batches is not in what is made of all of them.

    A commit says what its rows were made from, whatever any record of runs says; a run that was
    killed left that of before. A batch counts that has all of its tables; one that is retracted or
    blocked counts where it is in there still.

    Args:
        layout: where the lake is.
        batch_tables: with a partition per batch, that a batch is finished with.
        publish_tables: over all batches, kept in Parquet; one is not made from tables that its
            commit does not name.

    Returns:
        Pairs of a table over all batches and the partition that it lacks, or holds although it is
        to be left out, `<table>` or `<table>/<batch>`, those of the earliest batch first.

    Raises:
        DamagedCommitError: a commit is not what was written.
    """
    per_batch, over_all = list(batch_tables), list(publish_tables)
    held = {table: read_partitions(layout, table) for table in (*per_batch, *over_all)}
    keys = [{made.batch for _, made in held[table].partitions} for table in per_batch]
    finished = [key for key in set.intersection(*keys) if key] if keys else []
    lacking = []
    for table in over_all:
        made = read_commit(layout.partition(table, None))
        lacking += [
            (table, each) for each in _held_still(layout, None if not made else made.inputs)
        ]
        if not finished:
            continue
        sources = [rows for name, rows in held.items() if name != table]
        missed = _missed(sources, None if made is None else made.inputs, finished)
        lacking += [(table, each.name) for _, each in missed]
    return sorted(lacking, key=lambda pair: (pair[1].split("/")[2:], pair))


def is_behind(
    layout: Layout, made_from: Mapping[str, str] | None, sources: Iterable[str], keys: Iterable[str]
) -> bool:
    """Whether a table over all batches was made of something else than what its sources hold now.

    Args:
        layout: where the lake is.
        made_from: as for `not_taken_in`; None where the table was never made.
        sources: as for `not_taken_in`.
        keys: as for `not_taken_in`.
    """
    return made_from is None or bool(not_taken_in(layout, made_from, sources, keys))


def not_taken_in(
    layout: Layout, made_from: Mapping[str, str] | None, sources: Iterable[str], keys: Iterable[str]
) -> list[float]:
    """When those partitions were committed that a table over all batches was made without.

    Or left out, of those that it was made with. A commit says what its rows were made from; a run
    that was killed left that of before.

    Args:
        layout: where the lake is.
        made_from: hash of each partition that the table was made from, by `<table>` or
            `<table>/<batch>`; None where it was never made.
        sources: tables that it may be made from; those that it names no partition of, it isn't.
        keys: of the finished batches; what others hold is not missed yet.

    Returns:
        POSIX times, of the files that say so; in no order.
    """
    sources_held = [read_partitions(layout, source) for source in sources]
    found = _missed(sources_held, made_from, keys)
    held_still = {name.rpartition("/")[2] for name in _held_still(layout, made_from)}
    return [
        *((folder / COMMIT_NAME).stat().st_mtime for folder, _ in found),
        *(recorded_at(layout, key) for key in sorted(held_still)),
    ]


def missed_batches(
    layout: Layout, made_from: Mapping[str, str] | None, sources: Iterable[str], keys: Iterable[str]
) -> set[str]:
    """Keys of those batches that a table over all batches was made without.

    Args:
        layout: where the lake is.
        made_from: as for `not_taken_in`.
        sources: as for `not_taken_in`.
        keys: as for `not_taken_in`.
    """
    held = [read_partitions(layout, source) for source in sources]
    return {each.batch for _, each in _missed(held, made_from, keys) if each.batch is not None}


def _held_still(layout: Layout, made_from: Mapping[str, str] | None) -> list[str]:
    """Partitions that a table was made with and that are to be left out."""
    gone = excluded(layout)
    return [name for name in made_from or {} if gone and name.rpartition("/")[2] in gone]


def _missed(
    sources: Iterable[LakeTable], made_from: Mapping[str, str] | None, keys: Iterable[str]
) -> list[tuple[UPath, Commit]]:
    """Partitions of its sources that a table was made without; all where it was made of none."""
    finished = {None, *keys}
    is_taken = False
    held: list[tuple[UPath, Commit]] = []
    missed: list[tuple[UPath, Commit]] = []
    for source in sources:
        due = [each for each in source.partitions if each[1].batch in finished]
        held += due
        known = inputs_of_tables(made_from or {}, [source.table])
        if known:
            is_taken = True
            lacking = compare(known, LakeTable(source.table, source.folder, due).digests())
            missed += [each for each in due if each[1].name in lacking.to_take_in()]
    return missed if is_taken else held


def hours_unfinished(
    layout: Layout, kind: str, tables: Iterable[str], now: datetime
) -> dict[str, float]:
    """Hours since landing of each batch that is not finished."""
    waiting = unfinished(layout, tables, standing_keys(layout, kind))
    return {
        key: hours_between(
            datetime.fromisoformat(read_manifest(layout, kind, key).landed_at).timestamp(),
            now.timestamp(),
        )
        for key in waiting
    }


def hours_behind(committed_at: Iterable[float], now: float) -> float:
    """Hours for which a table has lacked what its sources hold; 0 where it has it all.

    Args:
        committed_at: POSIX time of each partition that it was made without.
        now: POSIX time.
    """
    return max((hours_between(each, now) for each in committed_at), default=0.0)


def hours_between(earlier: float, later: float) -> float:
    """Hours from one POSIX time to another, not below 0."""
    return max(0.0, later - earlier) / 3600
