"""What became of a failed run, as a summary in the folder of reports.

Belongs here: gathering it from Dagster's record, and writing it. Runs of the daemon, of commands
and of `dagster asset materialize` all end here; how it is put is in `alerts.py`, whom it is sent to
is for the sensor in `sensors.py` to know.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import dagster as dg

from hc_assets.core.domain import resolve
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.orchestration import internals
from hc_assets.orchestration.alerts import FailedRun, summary

PARTITION_TAG = "dagster/partition"


def failed_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, failures: Iterable[dg.DagsterEvent]
) -> FailedRun:
    """Gather what is known of a run.

    Args:
        instance: that keeps the record of it.
        run: that failed.
        failures: of its steps.
    """
    evaluations = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    checks = [
        found for entry in evaluations if (found := internals.evaluation_of(entry.dagster_event))
    ]
    tags = run.tags
    first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    return FailedRun(
        job=_named(run),
        run_id=run.run_id,
        batch=f"{first}...{last}" if first else tags.get(PARTITION_TAG, ""),
        steps=[(event.step_key or "", described_error(event)) for event in failures],
        blocking=[
            (check.asset_key.to_user_string(), check.check_name, check.description or "")
            for check in checks
            if check.blocking and not check.passed
        ],
    )


def _named(run: dg.DagsterRun) -> str:
    if run.asset_selection and run.job_name.startswith("__"):
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return run.job_name


def write_summary(layout: Layout, run: FailedRun, ui_url: str) -> str:
    """Write the summary of a failed run into the folder of reports, and give it."""
    text = summary(run, ui_url)
    write_bytes(layout.reports() / "failures" / f"{run.run_id}.md", text.encode())
    return text


def summarizing(layout: Layout, ui_url: str) -> internals.OnEnd:
    """Give what writes the summary of a run in this process, where it fails.

    It never stands in the place of the run's own error: what keeps a summary from being written,
    such as a full disk, is what failed the run.
    """

    def on_end(
        instance: dg.DagsterInstance, run: dg.DagsterRun, failures: Sequence[dg.DagsterEvent]
    ) -> None:
        if failures:
            with suppress(OSError):
                write_summary(layout, failed_run(instance, run, failures), ui_url)

    return on_end


def described_error(event: dg.DagsterEvent) -> str:
    """Class of the error that a step failed with, and where; of the lake's, what to do as well."""
    places = "".join(f", {place}" for place in internals.error_places(event))
    found = internals.lake_error(event)
    if found is None:
        return f"{internals.error_class(event)}{places}"
    kind, text = found
    advice = getattr(resolve(kind), "advice", "")
    described = f"{kind.rpartition(':')[2]}: {text}{places}"
    return f"{described}; {advice}" if advice else described
