"""`hc-assets count-lines`: how many lines there are."""

import typer
from hc_assets.example.settings import ExampleSettings

from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions

app = typer.Typer()


@app.command("count-lines")
def count_lines() -> None:
    """Print how many lines are kept."""
    layout = Layout.configured(ExampleSettings())
    typer.echo(read_partitions(layout, "example/lines").count_rows())
