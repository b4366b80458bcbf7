"""The training set as an asset: over all batches, exported to a folder that outlives the pipeline.

Belongs here: wiring only. Choosing and writing are in `plan.py` and `export.py`.
"""

import dagster as dg

from hc_assets.imaging.exported_files import MANIFEST_INPUT
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.training.export import export_training_set, selection_of
from hc_assets.imaging.training.manifest import MANIFEST_NAME
from hc_assets.lake.hashes import sha256_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.io_manager import COLUMN_LINEAGE, Content
from hc_assets.orchestration.progress import to_log
from hc_assets.orchestration.specs import table_asset


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["imaging", name])


@table_asset(
    "imaging/training_set",
    deps=[_key("dicom_index"), _key("quality_metrics"), _key("preprocessed_arrays")],
)
def training_set(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
    warehouse: dg.ResourceParam[Warehouse],
) -> Content:
    """Choose frames, split them by patient, and export them; shards of unchanged batches stay."""
    # Before the rows are read: a batch that comes meanwhile counts as left out, and is made up for
    taken_in = read_partitions(layout, "imaging/preprocessed_arrays").digests()
    made = export_training_set(
        warehouse,
        layout.exports("training_set"),
        selection_of(settings, layout),
        workers=settings.workers,
        row_seconds=settings.row_seconds,
        listener=to_log(context),
    )
    context.add_output_metadata(
        {
            "rebuilt": made.rebuilt,
            "linked_patients": made.manifest.linked_patients,
            **{f"left out: {reason}": count for reason, count in made.manifest.left_out.items()},
            **{f"samples: {name}": split.samples for name, split in made.manifest.splits.items()},
        }
    )
    noted = {MANIFEST_INPUT: sha256_of(layout.exports("training_set") / MANIFEST_NAME)}
    return Content(made.parts, {"plan": made.manifest.content_sha256} | noted | taken_in)


def assets(settings: ImagingSettings) -> list[dg.AssetsDefinition]:
    """Return the assets of a deployment: where labels come from FHIR, they depend on its resources.

    Without such labels they don't: DICOM alone needs no FHIR, and new FHIR makes no new set.
    """
    return [_from_fhir(training_set) if settings.training_label_codes else training_set]


def _from_fhir(definition: dg.AssetsDefinition) -> dg.AssetsDefinition:
    resources = dg.AssetKey(["fhir", "current_resources"])
    resource = dg.TableColumnDep(resources, "resource")

    def labelled(spec: dg.AssetSpec) -> dg.AssetSpec:
        by_column = dict(spec.metadata[COLUMN_LINEAGE].deps_by_column)
        by_column["labels"] = [*by_column["labels"], resource]
        return spec.replace_attributes(deps=[*spec.deps, resources]).merge_attributes(
            metadata={COLUMN_LINEAGE: dg.TableColumnLineage(by_column)}
        )

    return definition.map_asset_specs(labelled)
