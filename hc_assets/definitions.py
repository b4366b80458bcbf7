"""The code location: every domain's assets, checks and jobs, merged.

Belongs here: nothing but the merging.
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import dagster as dg

from hc_assets.core.domain import Domain, resolve
from hc_assets.core.setting_errors import SettingError
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, DOMAINS, warehouse_of
from hc_assets.lake.atomic import keep_private
from hc_assets.lake.layout import Layout
from hc_assets.orchestration import internals, jobs
from hc_assets.orchestration.blocking import ending
from hc_assets.orchestration.checks import FRESHNESS
from hc_assets.orchestration.errors import own_errors
from hc_assets.orchestration.io_manager import ParquetIOManager
from hc_assets.orchestration.resources import warehouse_resource
from hc_assets.orchestration.sensors import refuse_wrong_crons, schedules, sensors
from hc_assets.orchestration.specs import (
    automated,
    once_per_quiet_period,
    with_redacted_texts,
    with_report,
    with_retries,
)
from hc_assets.settings import Settings


@own_errors()
def build_defs(settings: CoreSettings | None = None, **resources: object) -> dg.Definitions:
    """Merge the domains.

    Args:
        settings: of the deployment; from the environment where None.
        resources: in place of those of the same name.

    Raises:
        SettingError: a setting is not what it has to be.
        OrchestratorError: Dagster refuses a definition.
    """
    keep_private()
    settings = settings or Settings()
    refuse_wrong_crons(settings)
    layout = Layout.configured(settings)
    report = str(layout.reports() / "checks.html")
    quiet = once_per_quiet_period(settings.quiet_cron, settings.latest_cron)
    assets = [each for domain in DOMAINS for each in _defined(domain, "assets", settings)]
    checks = [each for domain in DOMAINS for each in _defined(domain, "checks", settings)]
    checks += FRESHNESS
    if not settings.error_texts:
        assets = [with_redacted_texts(each) for each in assets]
        checks = [with_redacted_texts(each) for each in checks]
    return dg.Definitions(
        assets=[
            with_report(automated(with_retries(each), quiet), settings.report_url, report)
            for each in assets
        ],
        asset_checks=[with_retries(each) for each in checks],
        jobs=[
            *jobs.JOBS,
            *(job for domain in DOMAINS if domain.jobs for job in resolve(domain.jobs)),
        ],
        sensors=sensors(settings),
        schedules=schedules(settings),
        executor=internals.in_process_executor(ending(layout, settings.ui_url)),
        resources={
            "settings": settings,
            "layout": layout,
            "warehouse": warehouse_of(layout),
            "duckdb": warehouse_resource(layout),  # for assets of users
            "io_manager": ParquetIOManager(
                layout, CATALOG.parquet, error_texts=settings.error_texts
            ),
            **resources,
        },
    )


def _defined(domain: Domain, what: str, settings: CoreSettings) -> Iterator[Any]:
    """Return a domain's assets or checks: lists, or functions that make them from the settings."""
    for module in map(import_module, domain.wiring):
        yield from getattr(module, what.upper(), [])
        if make := getattr(module, what, None):
            yield from make(settings)


try:
    defs = build_defs()
except SettingError as error:
    # A traceback through Dagster would hide the line, and its servers would try again
    sys.stderr.write(f"hc-assets: {error}\n")
    raise SystemExit(2) from None


def defs_of(settings: CoreSettings) -> dg.Definitions:
    """Return the definitions of a deployment: those of the environment's settings are made."""
    is_made = bool((defs.resources or {}).get("settings") == settings)
    return defs if is_made else build_defs(settings)
