"""The code location: every domain's assets, checks and jobs, merged.

Belongs here: nothing but the merging.
"""

import warnings

import dagster as dg

# Dynamic partitions of checks and single-run backfills are marked so; Dagster would say it on every
# load of the code location.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from hc_assets import jobs  # noqa: E402 - the filters above must come first
from hc_assets.fhir import assets as fhir_assets  # noqa: E402
from hc_assets.fhir import checks as fhir_checks  # noqa: E402
from hc_assets.lake.layout import Layout  # noqa: E402
from hc_assets.lake.parquet import ParquetIOManager  # noqa: E402
from hc_assets.lake.warehouse import Warehouse  # noqa: E402
from hc_assets.settings import Settings  # noqa: E402
from hc_assets.tables import PARQUET_TABLES  # noqa: E402


def build_defs(settings: Settings | None = None, **resources: object) -> dg.Definitions:
    """Merge the domains.

    Args:
        settings: of the deployment; from the environment where None.
        resources: in place of those of the same name.
    """
    settings = settings or Settings()
    layout = Layout.of(settings.data_dir)
    return dg.Definitions(
        assets=[*fhir_assets.ASSETS],
        asset_checks=[*fhir_checks.CHECKS],
        jobs=jobs.JOBS,
        executor=dg.in_process_executor,
        resources={
            "settings": settings,
            "layout": layout,
            "warehouse": Warehouse(layout, PARQUET_TABLES),
            "io_manager": ParquetIOManager(layout, PARQUET_TABLES),
            **resources,
        },
    )


defs = build_defs()
