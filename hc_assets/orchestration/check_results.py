"""Reads what Dagster recorded of asset checks.

Belongs here: the one place that asks the event log for check results. How they are shown is in
`reports/check_report.py` and the formats beside it.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

import dagster as dg
from dagster import AssetCheckKey

from hc_assets.orchestration.internals import check_history, check_keys, evaluation_of
from hc_assets.reports.check_report import CheckOutcome, Report, utc

_PAGE = 1_000


def read_report(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *,
    ui_url: str = "",
    page: int = _PAGE,
    without: Collection[str] = (),
) -> Report:
    """Return the result of every check for every batch.

    The event log is asked once for each check, whatever the number of batches.

    Args:
        definitions: whose checks are asked for.
        instance: that keeps the record, in whatever storage.
        ui_url: address of Dagster's UI, for links.
        page: how many results are read of the log at a time.
        without: keys of batches that are left out.
    """
    keys = check_keys(definitions)
    return report_of(keys, instance, ui_url=ui_url, page=page, without=without)


def report_of(
    keys: Iterable[AssetCheckKey],
    instance: dg.DagsterInstance,
    *,
    ui_url: str = "",
    page: int = _PAGE,
    without: Collection[str] = (),
) -> Report:
    """Return the results of some checks for every batch but those that are left out."""
    history: list[CheckOutcome] = []
    never_run = []
    for key in sorted(keys, key=_place):
        found = _history(instance, key, page)
        of_check = [each for each in found if each.batch not in without][::-1]
        history += of_check
        if not of_check:
            never_run.append(f"{key.asset_key.to_user_string()}: {key.name}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Report.of(history, never_run, written_at=now, ui_url=ui_url)


def _place(key: AssetCheckKey) -> tuple[str, str]:
    return key.asset_key.to_user_string(), key.name


def _history(instance: dg.DagsterInstance, key: AssetCheckKey, page: int) -> Iterator[CheckOutcome]:
    """Return what a check ever found, newest first."""
    for record in check_history(instance, key, page):
        found = evaluation_of(record.event.dagster_event if record.event else None)
        if record.event is None or found is None:
            continue  # planned only: the run that would have evaluated it was stopped
        metadata = found.metadata
        yield CheckOutcome(
            asset=key.asset_key.to_user_string(),
            check=key.name,
            batch=record.partition,
            passed=found.passed,
            severity=found.severity.value,
            is_blocking=bool(found.blocking),
            value=_float(metadata.get("value")),
            threshold=_float(metadata.get("threshold")),
            explanation=found.description or "",
            checked_at=utc(record.event.timestamp),
            run_id=record.run_id,
        )


def _float(value: object) -> float | None:
    number = value.value if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue) else None
    return None if number is None else float(number)
