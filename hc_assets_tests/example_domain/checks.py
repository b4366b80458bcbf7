"""The check of the lines."""

import dagster as dg
from hc_assets.example.settings import ExampleSettings

from hc_assets.core.verdicts import Verdict
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.orchestration.checks import batches_of, result, table_check


@table_check("example/lines", description="A batch has HC_EXAMPLE_LINES lines.")
def batches_have_lines(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ExampleSettings],
) -> dg.AssetCheckResult:
    """Count the rows of the batches."""
    count = float(read_partitions(layout, "example/lines", batches_of(context)).count_rows())
    threshold = float(settings.example_lines)
    return result(Verdict(count >= threshold, count, threshold, f"{count:.0f} lines"))


CHECKS = [batches_have_lines]
