"""Notes as the rest of the house knows them: a domain as small as one can be, for a test."""

from hc_assets.example.settings import ExampleSettings

from hc_assets.core.domain import Domain, Kind, Table

NOTES = Kind("notes", {".note": "text/x-note"}, lambda head: head.startswith(b"NOTE "))

DOMAIN = Domain(
    name="example",
    kinds=(NOTES,),
    tables=(
        Table(
            "example/lines",
            "hc_assets.example.schemas:TABLES",
            row="One row per line of a note.",
            layer="raw",
            per="batch",
            kinds=frozenset({"parquet"}),
        ),
    ),
    settings=ExampleSettings,
    wiring=("hc_assets.example.assets", "hc_assets.example.checks"),
    commands="hc_assets.example.commands",
)
