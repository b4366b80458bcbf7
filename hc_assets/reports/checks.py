"""Reads what Dagster recorded of asset checks.

Belongs here: the one place that asks the event log for check results. How they are shown is in
`check_report.py`.
"""

import dagster as dg

from hc_assets.reports.check_report import CheckOutcome, utc

_PAGE = 1_000


def read_outcomes(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> tuple[list[CheckOutcome], list[str]]:
    """Give the last outcome of every check for every batch, and the checks that never ran.

    Args:
        definitions: whose checks are asked for.
        instance: that keeps the record.

    Returns:
        Outcomes by asset, check and batch; names `<asset>: <check>` of those without any.
    """
    outcomes: list[CheckOutcome] = []
    never_run = []
    graph = definitions.resolve_asset_graph()
    for key in sorted(graph.asset_check_keys, key=lambda k: (k.asset_key.path, k.name)):
        of_check = _latest_by_batch(instance, key)
        outcomes += sorted(of_check, key=lambda outcome: outcome.batch or "")
        if not of_check:
            never_run.append(f"{key.asset_key.to_user_string()}: {key.name}")
    return outcomes, never_run


def _latest_by_batch(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> list[CheckOutcome]:
    latest: dict[str | None, CheckOutcome] = {}
    cursor = None
    while True:
        # Newest first, so the first record of a batch is its last word.
        records = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=_PAGE, cursor=cursor
        )
        for record in records:
            event = record.event.dagster_event if record.event else None
            if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                continue  # planned only: the run that would have evaluated it was stopped
            found = event.asset_check_evaluation_data
            metadata = found.metadata
            latest.setdefault(
                record.partition,
                CheckOutcome(
                    asset=key.asset_key.to_user_string(),
                    check=key.name,
                    batch=record.partition,
                    passed=found.passed,
                    severity=found.severity.value,
                    is_blocking=bool(found.blocking),
                    value=_float(metadata.get("value")),
                    threshold=_float(metadata.get("threshold")),
                    explanation=found.description or "",
                    checked_at=utc(record.create_timestamp),
                ),
            )
        if len(records) < _PAGE:
            return list(latest.values())
        cursor = records[-1].id


def _float(value: object) -> float | None:
    number = value.value if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue) else None
    return None if number is None else float(number)
