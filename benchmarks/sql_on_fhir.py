"""How fast a view becomes a table: Parquet to committed Parquet in one process, beside peers.

Belongs here: rates and their ratios on Observations shaped as Synthea's. That the rows are right is
the tests' business. Peers read the same resources as JSON, and stop at rows in memory; they run on
fewer, since they are slow. sqlonfhir (PyPI) wants a Python of its own: `--peer-python` names one
that has it. @medplum/core (npm) runs in node: `--node-modules` names the folder that has it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "fhir" / "synthea_bundles"
ENRICHED = "fhir/enriched_resources"
BATCH = "20260101T000000Z-00000000"
_LOINC = "code.coding.where(system = 'http://loinc.org')"


def _column(name: str, path: str, type_: str) -> dict[str, str]:
    return {"name": name, "path": path, "type": type_}


VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "measured",
    "status": "active",
    "resource": "Observation",
    "select": [
        {
            "column": [
                _column("id", "id", "id"),
                _column("patient", "subject.reference", "string"),
                _column("encounter", "encounter.reference", "string"),
                _column("status", "status", "code"),
                _column("category", "category.coding.code.first()", "code"),
                _column("code", f"{_LOINC}.code.first()", "code"),
                _column("display", f"{_LOINC}.display.first()", "string"),
                _column("text", "code.text", "string"),
                _column("effective", "effective.ofType(dateTime)", "dateTime"),
                _column("value", "value.ofType(Quantity).value", "decimal"),
                _column("unit", "value.ofType(Quantity).code", "code"),
            ]
        },
        {
            "forEachOrNull": "component",
            "column": [
                _column("component_code", f"{_LOINC}.code.first()", "code"),
                _column("component_value", "value.ofType(Quantity).value", "decimal"),
            ],
        },
    ],
}

PYTHON_PEER = """
import json, sys, time
from sqlonfhir import evaluate
view = json.load(open(sys.argv[1]))
lines = open(sys.argv[2], "rb").read().splitlines()
evaluate([json.loads(line) for line in lines[:20]], view)
start = time.process_time()
rows = evaluate([json.loads(line) for line in lines], view)
print(len(rows), len(lines) / (time.process_time() - start))
"""
NODE_PEER = """
const fs = require("fs");
const { evalSqlOnFhir } = require("@medplum/core");
const view = JSON.parse(fs.readFileSync(process.argv[2]));
const lines = fs.readFileSync(process.argv[3], "utf8").trim().split("\\n");
evalSqlOnFhir(view, lines.slice(0, 200).map((line) => JSON.parse(line)));
const start = process.cpuUsage();
const rows = evalSqlOnFhir(view, lines.map((line) => JSON.parse(line)));
const used = process.cpuUsage(start);
console.log(rows.length, lines.length / ((used.user + used.system) / 1e6));
"""


def observations(folder: Path, count: int) -> Iterator[list[bytes]]:
    """Observations of bundles, again and again under other ids, some at a time."""
    # Numbers keep their digits: what json reads as a float it prints with as many as it needs
    texts = [
        json.dumps({**entry["resource"], "id": "@"}, separators=(",", ":"))
        for path in sorted(folder.glob("*.json"))
        for entry in json.loads(path.read_bytes())["entry"]
        if entry["resource"]["resourceType"] == "Observation"
    ]
    for start in range(0, count, 10_000):
        yield [
            texts[number % len(texts)].replace('"@"', f'"o{number}"', 1).encode()
            for number in range(start, min(count, start + 10_000))
        ]


def write_batch(folder: Path, count: int) -> int:
    """Write the batch that the table is made of; its bytes."""
    from hc_assets.fhir.schemas import ENRICHED_RESOURCES  # noqa: PLC0415 - HC_VIEWS is read then
    from hc_assets.lake.layout import Layout  # noqa: PLC0415
    from hc_assets.lake.parts import PartWriter, commit  # noqa: PLC0415

    layout, size = Layout.of(folder), 0
    schema = pa.schema([ENRICHED_RESOURCES.field("resource")])
    with PartWriter(layout.partition(ENRICHED, BATCH), schema) as writer:
        for some in observations(DATA, count):
            size += sum(map(len, some))
            writer.write(pa.RecordBatch.from_arrays([pa.array(some, pa.binary())], schema=schema))
    commit(layout, ENRICHED, BATCH, writer.parts)
    return size


def table_of(folder: Path, count: int) -> tuple[int, float, float]:
    """Make the view's table; rows, processor and wall seconds."""
    from hc_assets.fhir.views.places import Places  # noqa: PLC0415 - HC_VIEWS is read then
    from hc_assets.fhir.views.workers import ViewWork, make_shares  # noqa: PLC0415
    from hc_assets.lake.layout import Layout  # noqa: PLC0415
    from hc_assets.lake.parts import commit  # noqa: PLC0415

    places = Places(np.arange(count), pa.nulls(count, pa.string()), {})
    wall, cpu = time.perf_counter(), time.process_time()
    (made,) = make_shares(ViewWork(str(folder), BATCH, ("measured",), {"Observation": places}))
    done = commit(Layout.of(folder), "fhir/views/measured", None, made.parts)
    if made.refused:
        raise SystemExit(f"refused: {made.refused}")
    return done.rows, time.process_time() - cpu, time.perf_counter() - wall


def in_memory(view: Path) -> float:
    """Rate of ours as the peers are measured: JSON to rows in memory."""
    from hc_assets.fhir.views.reading import read_view  # noqa: PLC0415
    from hc_assets.fhir.views.table import ViewTable  # noqa: PLC0415

    table = ViewTable(read_view(view.read_bytes(), "measured"))
    resources = next(observations(DATA, 10_000))
    table.rows(resources[:200])
    start = time.process_time()
    table.rows(resources)
    return len(resources) / (time.process_time() - start)


def peer(command: list[str], view: Path, lines: Path) -> tuple[int, float]:
    """Rows and rate of a peer."""
    made = subprocess.run(
        [*command, str(view), str(lines)], capture_output=True, text=True, check=True
    )
    rows, rate = made.stdout.split()
    return int(rows), float(rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--peer-count", type=int, default=2_000)
    parser.add_argument("--peer-python", default="", help="a Python that has sqlonfhir")
    parser.add_argument("--node-modules", default="", help="a folder that has @medplum/core")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    try:
        views, lines = work / "views", work / "sample.ndjson"
        views.mkdir()
        view = views / "measured.json"
        view.write_text(json.dumps(VIEW))
        os.environ |= {"HC_VIEWS": str(views), "HC_SHIPPED_VIEWS": "false"}
        sample = next(observations(DATA, options.peer_count))
        lines.write_bytes(b"\n".join(sample))
        size = write_batch(work / "data", options.count)
        rows, cpu, wall = table_of(work / "data", options.count)
        rate = options.count / cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{options.count} Observations, {size / 1e6:.0f} MB, {rows} rows, 13 columns")
        print(f"ours: {rate:,.0f}/s of processor time, {options.count / wall:,.0f}/s of wall time")
        print(f"      {wall:.1f} s in all, peak {peak:,.0f} MB with what made the batch")
        alike = in_memory(view)
        print(f"      {alike:,.0f}/s to rows in memory")
        peers = {}
        if options.peer_python:
            peers["sqlonfhir"] = [options.peer_python, "-c", PYTHON_PEER]
        if options.node_modules:
            script = Path(options.node_modules).parent / "view_peer.js"
            script.write_text(NODE_PEER)
            peers["@medplum/core"] = ["node", str(script)]
        for name, command in peers.items():
            made, of_peer = peer(command, view, lines)
            print(
                f"{name}: {of_peer:,.0f}/s to {made} rows in memory; ours to committed Parquet"
                f" {rate / of_peer:.0f} times, to rows in memory {alike / of_peer:.0f} times"
            )
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
