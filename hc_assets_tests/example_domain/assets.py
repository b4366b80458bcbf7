"""The asset of the lines."""

import dagster as dg
import pyarrow as pa
from hc_assets.example.schemas import LINES

from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest, verified_file
from hc_assets.orchestration.io_manager import Content
from hc_assets.orchestration.specs import table_asset


@table_asset("example/lines")
def lines(
    context: dg.AssetExecutionContext, layout: dg.ResourceParam[Layout]
) -> dict[str, Content]:
    """Measure the lines of each batch's notes."""
    contents = {}
    for batch in context.partition_keys:
        manifest = read_manifest(layout, "notes", batch)
        rows = [
            {"batch": batch, "source_file": file.source_file, "length": len(line)}
            for file in manifest.files
            for line in verified_file(layout, "notes", batch, file).read_text().splitlines()
        ]
        inputs = {"manifest": manifest.content_sha256}
        contents[batch] = Content(pa.Table.from_pylist(rows, LINES), inputs)
    return contents


ASSETS = [lines]
