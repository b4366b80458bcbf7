"""How each batch stands: landed, finished, published, or what it failed of.

Belongs here: putting together what the lake says of a batch (its commits, and whether it is left
out) and, of one that is not finished, what became of its last run in Dagster's record. Names of
tables, checks and errors' classes, keys and counts only.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import msgspec

from hc_assets.core.domain import Landing
from hc_assets.domains import sources_of, taken_in, warehouse_of
from hc_assets.lake.backlog import missed_batches, unfinished
from hc_assets.lake.exclusions import Exclusion, excluded, exclusions
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import DamagedManifestError, batch_keys, read_manifest
from hc_assets.lake.parts import DamagedCommitError, read_commit
from hc_assets.orchestration.failures import PARTITION_TAG, failed_run

_LANDED, _RUNNING, _FINISHED, _PUBLISHED = "landed", "running", "finished", "published"
_FAILED, _BLOCKED, _RETRACTED, _DAMAGED = "failed", "blocked", "retracted", "damaged"


class BatchState(msgspec.Struct, frozen=True):
    """How a batch stands.

    Attributes:
        kind: of its files.
        key: of the batch.
        state: landed (not every table is made), running, failed (its last run did), blocked (by a
            check), finished (every table is made, not all that is made of all batches has it),
            published, retracted, or damaged (its manifest or a commit is not what was written).
        detail: the steps that failed, or the checks that did not hold; for a retracted one when it
            was retracted and by whom; else "".
        landed_at: UTC time, ISO 8601; "" where its manifest is damaged.
        files: how many it holds.
        rows: of each of its tables that is made, by name.
    """

    kind: str
    key: str
    state: str
    detail: str
    landed_at: str
    files: int
    rows: dict[str, int]

    @property
    def entries(self) -> int:
        """Rows of its first table: what its files were split into."""
        return next(iter(self.rows.values()), 0)


def batch_states(
    layout: Layout, instance: dg.DagsterInstance, landing: Landing
) -> Iterator[BatchState]:
    """Say of each batch of a kind how it stands, oldest first.

    Args:
        layout: where the lake is.
        instance: that keeps the record of runs.
        landing: the kind.

    Raises:
        DamagedCommitError: a commit over all batches is not what was written.
    """
    kind, left_out = landing.kind.name, exclusions(layout, landing.kind.name)
    unpublished = _unpublished(layout, landing)
    for key in batch_keys(layout, kind):
        try:
            manifest = read_manifest(layout, kind, key)
            commits = {t: read_commit(layout.partition(t, key)) for t in landing.batch_tables}
        except (DamagedManifestError, DamagedCommitError) as error:
            yield BatchState(kind, key, _DAMAGED, str(error), "", 0, {})
            continue
        rows = {table: made.rows for table, made in commits.items() if made is not None}
        if key in left_out:
            state, detail = _of_exclusion(left_out[key])
        elif len(rows) < len(commits):
            state, detail = _of_last_run(instance, landing, key)
        else:
            state, detail = _FINISHED if key in unpublished else _PUBLISHED, ""
        yield BatchState(kind, key, state, detail, manifest.landed_at, len(manifest.files), rows)


def _of_exclusion(found: Exclusion | None) -> tuple[str, str]:
    if found is None:
        return _RETRACTED, "its record is damaged"
    if found.blocked_by:
        return _BLOCKED, ", ".join(found.blocked_by)
    return _RETRACTED, f"{found.at} by {found.by}"


def _of_last_run(instance: dg.DagsterInstance, landing: Landing, key: str) -> tuple[str, str]:
    tables = {dg.AssetKey(table.split("/")) for table in landing.batch_tables}
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: key}))  # newest first
    for run in runs:
        is_of_kind = run.job_name == landing.kind.ingest_job
        if not is_of_kind and (run.asset_selection or frozenset()).isdisjoint(tables):
            continue
        if not run.is_finished:
            return _RUNNING, ""
        if run.status != dg.DagsterRunStatus.FAILURE:
            return _LANDED, ""
        of_run = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        events = [e.dagster_event for e in of_run if e.dagster_event is not None]
        steps = failed_run(instance, run, events).steps
        ended = "its process was stopped or lost"
        text = "; ".join(f"{step}: {error}" for step, error in steps) or ended
        return _FAILED, " ".join(text.split())  # one line of whatever notes there are
    return _LANDED, ""


def _unpublished(layout: Layout, landing: Landing) -> set[str]:
    """Keys of the finished batches that a table over all batches lacks."""
    warehouse, sources = warehouse_of(layout), sources_of(landing)
    keys = set(batch_keys(layout, landing.kind.name)) - excluded(layout)
    finished = keys.difference(unfinished(layout, landing.batch_tables, keys))
    made_from: list[Mapping[str, str] | None] = [
        taken_in(warehouse, table) for table in landing.publish_tables
    ]
    return {key for each in made_from for key in missed_batches(layout, each, sources, finished)}
