"""`hc-assets views`: ViewDefinitions checked, and run over the lake or over files.

Belongs here: the commands' arguments, and what is printed. Reading views is in `reading.py`,
running them in `table.py`.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from upath import UPath

from hc_assets.cli.exit_codes import (
    FINDINGS,
    UNREADABLE,
    USAGE,
    errors_become_exit_codes,
    print_message,
    stop,
)
from hc_assets.fhir.views.definition import View, ViewFaultsError

if TYPE_CHECKING:
    import pyarrow as pa

views_app = typer.Typer(
    help="SQL on FHIR: check ViewDefinitions, and run them.", no_args_is_help=True
)
_FORMATS = ("csv", "ndjson", "parquet")


@views_app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(help="ViewDefinitions, as JSON.", show_default=False)
    ],
) -> None:
    """Say what is wrong with ViewDefinitions, each fault with its path in the file.

    Prints nothing on stdout where nothing is wrong. Exit 1 when a view has a fault.
    """
    faulty = 0
    for file in files:
        try:
            view = _read(file)
        except ViewFaultsError as error:
            faulty += 1
            for fault in error.faults:
                typer.echo(f"{file}: {fault}")
        else:
            print_message(f"{file}: {view.resource}, {len(view.columns())} columns")
    if faulty:
        raise typer.Exit(FINDINGS)


@views_app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A ViewDefinition, as JSON.", show_default=False)],
    resources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Bundles, NDJSON files, single resources, or folders of them; the lake's current"
            " resources where none is named.",
            show_default=False,
        ),
    ] = None,
    *,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(
            metavar="|".join(_FORMATS),
            help="Of the rows; csv, or what --out ends with, if not said.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Run a view, and print its rows.

    A resource that the view can't be evaluated on is left out and counted on stderr, with the path
    in the view; exit 1 then.
    """
    from hc_assets.fhir.views.output import OutputFormat, write_rows
    from hc_assets.lake.atomic import atomic_file

    suffix = out.suffix.removeprefix(".") if out is not None else ""
    named = format or (suffix if suffix in _FORMATS else "csv")
    if named not in _FORMATS:
        raise stop(USAGE, f"--format: found {named!r}, expected one of {', '.join(_FORMATS)}")
    if named == "parquet" and out is None:
        raise stop(USAGE, "--format parquet: expected --out, a file for it")
    refused: Counter[str] = Counter()
    with errors_become_exit_codes():
        view = _read(file)
        batches = _rows(view, resources or [], refused)
        if out is None:
            write_rows(view, batches, OutputFormat(named), sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            path = UPath(out.absolute())
            with atomic_file(path.parent, lambda _: path) as sink:
                write_rows(view, batches, OutputFormat(named), sink)  # type: ignore[arg-type]
    for why, count in sorted(refused.items()):
        print_message(f"hc-assets: {count} resources refused: {why}")
    if refused:
        raise typer.Exit(FINDINGS)


def _read(file: Path) -> View:
    from hc_assets.fhir.views.reading import read_view

    try:
        text = file.read_bytes()
    except OSError as error:
        raise stop(UNREADABLE, f"{file}: {error.strerror}") from error
    return read_view(text, str(file))


def _rows(view: View, paths: Iterable[Path], refused: Counter[str]) -> "Iterator[pa.RecordBatch]":
    from hc_assets.domains import warehouse_of
    from hc_assets.fhir.bundles.text_streams import TextLimits
    from hc_assets.fhir.views.resources import current_resources, resources_in_files
    from hc_assets.fhir.views.table import ViewTable
    from hc_assets.lake.layout import Layout
    from hc_assets.settings import Settings

    settings, table = Settings(), ViewTable(view)
    if paths:
        found = resources_in_files(paths, TextLimits.configured(settings))
    else:
        found = current_resources(warehouse_of(Layout.configured(settings)), view.resource)
    for some in found:
        made = table.rows(some)
        refused.update(made.refused)
        yield made.rows
