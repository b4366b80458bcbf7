"""`hc-assets search`: a FHIR search on the current resources.

Belongs here: the command's arguments, and what is printed. Answers come from
`fhir/search/execute.py`.
"""

import sys
from typing import Annotated

import typer

search_app = typer.Typer()


@search_app.command()
def search(
    query: Annotated[
        str,
        typer.Argument(
            help="Such as 'Observation?code=8480-6&date=ge2024&_count=20', 'Patient/1' or"
            " 'Patient/1/Observation'; percent-encoded where it has to be.",
            show_default=False,
        ),
    ],
    *,
    lenient: Annotated[
        bool,
        typer.Option("--lenient", help="Go on without unknown parameters; the answer says which."),
    ] = False,
) -> None:
    """Search the current resources, and print a Bundle with those that match.

    What is wrong with a search is printed as an OperationOutcome, with exit 2.
    """
    from hc_assets.cli.exit_codes import USAGE, errors_become_exit_codes, stop
    from hc_assets.fhir.search import SearchError
    from hc_assets.fhir.search.execute import search as answer
    from hc_assets.lake.layout import Layout
    from hc_assets.settings import Settings

    with errors_become_exit_codes():
        try:
            found = answer(query, Layout.configured(Settings()), lenient=lenient)
        except SearchError as error:
            typer.echo(error.json())
            raise stop(USAGE, str(error)) from error
    sys.stdout.buffer.write(found + b"\n")
    sys.stdout.buffer.flush()
