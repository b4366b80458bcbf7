"""The checks of the training set: whether its splits leak, whether its classes are balanced.

Belongs here: wiring only; the evaluators are in `imaging/verdicts/training.py`.
"""

import dagster as dg

from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.training.manifest import read_manifest
from hc_assets.imaging.training.plan import ARRAY_COLUMNS
from hc_assets.imaging.training.shards import ARRAYS
from hc_assets.imaging.verdicts.internal_errors import (
    NO_INTERNAL,
    NO_INTERNAL_DESCRIPTION,
    none_among,
)
from hc_assets.imaging.verdicts.training import class_balance, splits_disjoint
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import WARN, result, table_check

_TRAINING_SET = "imaging/training_set"


@table_check(
    _TRAINING_SET,
    blocking=True,
    description="No PatientID is in two splits, and no array with the same pixels as another.",
)
def splits_disjoint_by_patient(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Compare the splits with the PatientIDs of the index; a leak spoils every evaluation."""
    read_partitions(warehouse.layout, ARRAYS).check_pages(ARRAY_COLUMNS)
    with warehouse.read(_TRAINING_SET, "imaging/dicom_index") as connection:
        return result(splits_disjoint(connection))


@table_check(
    _TRAINING_SET,
    description="In each split the rarest class has at least HC_TRAINING_BALANCE_THRESHOLD of the"
    " samples of the commonest; holds where there are no labels.",
)
def classes_balanced(
    layout: dg.ResourceParam[Layout], settings: dg.ResourceParam[ImagingSettings]
) -> dg.AssetCheckResult:
    """Hold the ratio against the threshold; the samples are right all the same, so this warns."""
    made = read_manifest(layout.exports("training_set"))
    threshold = settings.training_balance_threshold
    return result(
        class_balance(made.splits, is_labelled=made.is_labelled, threshold=threshold), WARN
    )


@table_check(_TRAINING_SET, name=NO_INTERNAL, description=NO_INTERNAL_DESCRIPTION)
def no_internal_errors(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count the samples of batches that could not be exported; the others are."""
    return result(none_among(read_manifest(layout.exports("training_set")).left_out))


CHECKS = [no_internal_errors, splits_disjoint_by_patient, classes_balanced]
