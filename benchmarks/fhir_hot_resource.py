"""Versions cost what is new: new resources beside one that has very many versions already.

    python benchmarks/fhir_hot_resource.py [--versions 30000] [--new 20000] [--runs 3]

The peer is the same work on a fresh lake: the new resources alone. Both are put in order in the
same run, one after the other in turn; the ratio of the medians is the claim.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from hc_assets.domains import warehouse_of
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.versions.apply import Applied, apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partitions

TABLE = "fhir/enriched_resources"
START = datetime(2024, 1, 1, tzinfo=UTC)


def write(layout: Layout, batch: str, ids: list[str]) -> None:
    """A batch of Patients, each with a content of its own, a second after another."""
    count = len(ids)
    columns = {
        "batch": pa.repeat(batch, count),
        "source_file": pa.repeat("f.ndjson", count),
        "position": pa.array(range(count)),
        "resource_type": pa.repeat("Patient", count),
        "resource_id": pa.array(ids),
        "last_updated": pa.array(
            [START + timedelta(seconds=n) for n in range(count)], pa.timestamp("us", "UTC")
        ),
        "last_updated_digits": pa.repeat("", count),
        "content_sha256": pa.array([f"{batch}-{n}" for n in range(count)]),
        "resource": pa.array(
            [
                b'{"resourceType":"Patient","id":"%b","x":%d}' % (i.encode(), n)
                for n, i in enumerate(ids)
            ]
        ),
    }
    arrays = [columns.get(f.name, pa.nulls(count, f.type)) for f in ENRICHED_RESOURCES]
    with PartWriter(layout.partition(TABLE, batch), ENRICHED_RESOURCES) as writer:
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES))
    commit(layout, TABLE, batch, writer.parts)


def applied(layout: Layout, *batches: str) -> tuple[float, Applied]:
    """Seconds that it takes to take batches in, in a file of its own, and what was done."""
    with warehouse_of(layout).write() as connection:
        table = read_partitions(layout, TABLE).only(batches)
        start = time.perf_counter()
        made = apply_batches(connection, table)
        return time.perf_counter() - start, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=30_000)
    parser.add_argument("--new", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    fresh, after, hot = [], [], []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            alone, both = Layout.of(Path(folder) / "alone"), Layout.of(Path(folder) / "both")
            for layout in (alone, both):
                write(layout, "b2", [f"p{n}" for n in range(options.new)])
            write(both, "b1", ["one"] * options.versions)
            seconds, made = applied(alone, "b2")
            fresh.append(seconds)
            hot.append(applied(both, "b1")[0])
            seconds, beside = applied(both, "b1", "b2")
            after.append(seconds)
    print(f"{options.versions} versions of one resource: {statistics.median(hot):.2f} s")
    print(
        f"{options.new} new resources alone: {statistics.median(fresh):.2f} s,"
        f" {made.compared} deliveries put in order"
    )
    print(
        f"the same behind them: {statistics.median(after):.2f} s,"
        f" {beside.compared} deliveries put in order"
    )
    print(f"ratio: {statistics.median(after) / statistics.median(fresh):.2f}")


if __name__ == "__main__":
    main()
