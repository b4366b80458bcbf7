"""How far a step is, in Dagster's log.

Belongs here: the listener alone. What is reported, and how often, is in `core/progress.py`.
"""

import dagster as dg

from hc_assets.core.progress import Listener, Report


def to_log(context: dg.AssetExecutionContext) -> Listener:
    """Let Dagster's log of a step hear of its progress: counts and hashes, nothing of a patient."""

    def hear(report: Report) -> None:
        context.log.info(str(report))

    return hear
