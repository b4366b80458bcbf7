"""The code location: every domain's assets, checks and jobs, merged.

Belongs here: nothing but the merging.
"""

import dagster as dg

from hc_assets.fhir import assets as fhir_assets
from hc_assets.fhir import checks as fhir_checks
from hc_assets.fhir.operations import assets as fhir_operations
from hc_assets.fhir.operations import checks as fhir_operations_checks
from hc_assets.imaging import assets as imaging_assets
from hc_assets.imaging import checks as imaging_checks
from hc_assets.imaging.training import assets as training_assets
from hc_assets.imaging.training import checks as training_checks
from hc_assets.imaging.volumes import assets as volume_assets
from hc_assets.imaging.volumes import checks as volume_checks
from hc_assets.lake.atomic import keep_private
from hc_assets.lake.layout import Layout
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration import jobs
from hc_assets.orchestration.checks import FRESHNESS
from hc_assets.orchestration.io_manager import ParquetIOManager
from hc_assets.orchestration.sensors import schedules, sensors
from hc_assets.orchestration.specs import (
    automated,
    once_per_quiet_period,
    with_quiet_errors,
    with_report,
    with_retries,
)
from hc_assets.settings import Settings
from hc_assets.tables import PARQUET_TABLES


def build_defs(settings: Settings | None = None, **resources: object) -> dg.Definitions:
    """Merge the domains.

    Args:
        settings: of the deployment; from the environment where None.
        resources: in place of those of the same name.
    """
    keep_private()
    settings = settings or Settings()
    layout = Layout.of(settings.data_dir)
    report = str(layout.reports() / "checks.html")
    quiet = once_per_quiet_period(settings.quiet_cron, settings.latest_cron)
    assets = [*fhir_assets.ASSETS, *fhir_operations.ASSETS]
    assets += [*imaging_assets.ASSETS, *volume_assets.ASSETS, *training_assets.assets(settings)]
    checks = [*fhir_checks.CHECKS, *fhir_operations_checks.CHECKS]
    checks += [*imaging_checks.CHECKS, *volume_checks.CHECKS, *training_checks.CHECKS]
    checks += FRESHNESS
    if not settings.error_texts:
        assets = [with_quiet_errors(each) for each in assets]
        checks = [with_quiet_errors(each) for each in checks]
    return dg.Definitions(
        assets=[
            with_report(automated(with_retries(each), quiet), settings.report_url, report)
            for each in assets
        ],
        asset_checks=[with_retries(each) for each in checks],
        jobs=jobs.JOBS,
        sensors=sensors(settings),
        schedules=schedules(settings),
        executor=dg.in_process_executor,
        resources={
            "settings": settings,
            "layout": layout,
            "warehouse": Warehouse(layout, PARQUET_TABLES),
            "io_manager": ParquetIOManager(
                layout, PARQUET_TABLES, error_texts=settings.error_texts
            ),
            **resources,
        },
    )


defs = build_defs()
