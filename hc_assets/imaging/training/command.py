"""`hc-assets training-set`: a training set by hand, with choices of its own.

Belongs here: arguments, and what they call. Exit codes are those of `cli/exit_codes.py`.
"""

from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.imaging.settings import ImagingSettings
from hc_assets.lake.layout import Layout

training_app = typer.Typer()


@training_app.command("training-set")
def training_set(  # noqa: PLR0917 - a command's options
    folder: Annotated[Path, typer.Argument(help="Where to write it.", show_default=False)],
    modality: Annotated[
        list[str] | None, typer.Option(help="Modality that is wanted; once for each.")
    ] = None,
    body_part: Annotated[
        list[str] | None, typer.Option(help="BodyPartExamined that is wanted; once for each.")
    ] = None,
    quality: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least overall_quality.")
    ] = None,
    maximum: Annotated[int | None, typer.Option(min=1, help="Samples, at most.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV file of labels.", exists=True, dir_okay=False)
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Draws other patients for each split.")] = None,
) -> None:
    """Export preprocessed arrays, split by patient; print samples and patients of each split.

    What is left out comes from the HC_TRAINING_ settings.
    """
    from hc_assets.cli.exit_codes import UNREADABLE, USAGE, errors_become_exit_codes, stop
    from hc_assets.domains import warehouse_of
    from hc_assets.imaging.training.export import export_training_set, selection_of
    from hc_assets.imaging.training.labels import LabelsError
    from hc_assets.imaging.training.shards import DamagedArrayError
    from hc_assets.imaging.training.splits import SelectionError

    options: dict[str, object] = {
        "training_modalities": tuple(modality) if modality else None,
        "training_body_parts": tuple(body_part) if body_part else None,
        "quality_training_gate": quality,
        "training_maximum": maximum,
        "training_labels": labels,
        "training_label_codes": {} if labels else None,
        "training_split_seed": seed,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = ImagingSettings().model_copy(update=chosen)
    layout = Layout.configured(settings)
    with errors_become_exit_codes():
        warehouse = warehouse_of(layout)
        warehouse.ensure()
        try:
            made = export_training_set(
                warehouse,
                UPath(folder.absolute()),
                selection_of(settings, layout),
                workers=settings.workers,
                row_seconds=settings.row_seconds,
                with_table=False,
            ).manifest
        except SelectionError as error:
            raise stop(USAGE, str(error)) from error
        except (LabelsError, DamagedArrayError) as error:
            raise stop(UNREADABLE, str(error)) from error
    for name, split in made.splits.items():
        typer.echo(f"{name}\t{split.samples}\t{split.patients}")
    for reason, count in made.left_out.items():
        typer.echo(f"left out: {reason}\t{count}", err=True)
