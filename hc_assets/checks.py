"""What all domains' checks have in common: a verdict becomes a check result.

Belongs here: the part of the wiring that would otherwise be written in each domain's `checks.py`.
"""

import dagster as dg

from hc_assets.verdicts import Verdict

ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN


def result(verdict: Verdict, severity: dg.AssetCheckSeverity = ERROR) -> dg.AssetCheckResult:
    """Turn a verdict into a check result whose value and threshold the UI plots over time."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=severity,
        description=verdict.explanation,
        metadata={
            "value": dg.MetadataValue.float(verdict.value),
            "threshold": dg.MetadataValue.float(verdict.threshold),
            **{name: dg.MetadataValue.int(count) for name, count in verdict.counts.items()},
        },
    )


def batches_of(context: dg.AssetCheckExecutionContext) -> list[str]:
    """Batches that a check on a partitioned asset is asked about."""
    return list(context.op_execution_context.partition_keys)
