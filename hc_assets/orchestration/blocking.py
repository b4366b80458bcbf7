"""Batches that a blocking check stopped are left out of all that is made of all batches.

Belongs here: bringing what Dagster records of checks into the lake, and out of it again. The
records are in `lake/exclusions.py`. Runs of the daemon, of commands and of `dagster asset
materialize` all end here, so that none of them publishes what a check holds back.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import dagster as dg

from hc_assets.domains import CATALOG
from hc_assets.lake.exclusions import block, exclusions, unblock
from hc_assets.lake.layout import Layout
from hc_assets.orchestration import internals
from hc_assets.orchestration.failures import PARTITION_TAG, summarizing


def ending(layout: Layout, ui_url: str) -> internals.OnEnd:
    """Give what is done at the end of each run in this process: a summary, and what checks found.

    Args:
        layout: where the lake and the reports are.
        ui_url: address of Dagster's UI, for links.
    """
    summarize = summarizing(layout, ui_url)

    def on_end(
        instance: dg.DagsterInstance, run: dg.DagsterRun, failures: Sequence[dg.DagsterEvent]
    ) -> None:
        summarize(instance, run, failures)
        note_checks(layout, instance, run)

    return on_end


def note_checks(layout: Layout, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Record what the blocking checks of a run over one batch found.

    A batch is left out from when one does not hold until all that did not hold do.

    Args:
        layout: where the lake is.
        instance: that keeps the record of the run.
        run: that has ended.
    """
    batch = run.tags.get(PARTITION_TAG)
    if not batch:
        return
    passed: dict[str, set[str]] = {}
    failed: dict[str, set[str]] = {}
    of_run = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for entry in of_run:
        found = internals.evaluation_of(entry.dagster_event)
        if found is None or not found.blocking:
            continue
        table = found.asset_key.to_user_string()
        landing = CATALOG.landing_of(table)
        if landing is not None and table in landing.batch_tables:
            named = passed if found.passed else failed
            named.setdefault(landing.kind.name, set()).add(f"{table}: {found.check_name}")
    for kind, names in failed.items():
        note_blocked(layout, kind, batch, names)
    for kind, names in passed.items():
        known = exclusions(layout, kind).get(batch)
        if kind not in failed and known is not None and names.issuperset(known.blocked_by):
            unblock(layout, kind, batch, now=datetime.now(UTC))


def note_blocked(layout: Layout, kind: str, batch: str, checks: Iterable[str]) -> None:
    """Record that blocking checks of a batch did not hold, named `<table>: <check>`."""
    block(layout, kind, batch, now=datetime.now(UTC), blocked_by=sorted(checks))
