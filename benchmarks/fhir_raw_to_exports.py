"""Raw to exports in one process, against a loop that upserts resource by resource into SQLite.

    python benchmarks/fhir_raw_to_exports.py ../shared/data/fhir/synthea_bundles
    python benchmarks/fhir_raw_to_exports.py FOLDER --times 1 4 16   # is time linear in the input?
    python benchmarks/fhir_raw_to_exports.py FOLDER --ndjson-gb 5    # memory of one process

Ours lands the files, splits, validates, enriches, applies versions and writes the export, with
every commit on disk. The peer does what a first script does: `json.loads` of a bundle, an upsert of
each resource by type and id, a commit after each; it does not validate. Larger inputs are the same
resources again under other ids.
"""

import argparse
import json
import re
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hc_assets.domains import warehouse_of
from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.enrichment.enricher import EnrichmentOptions
from hc_assets.fhir.enrichment.workers import enrich_rows, gather_facts, kept_index
from hc_assets.fhir.export import exports
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.wholes import issues_of_whole
from hc_assets.fhir.validation.workers import validate_rows
from hc_assets.fhir.versions.apply import apply_batches
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.parts import Part, commit
from hc_assets.lake.tables import LakeTable, read_partition, read_partitions
from hc_assets.settings import Settings

SETTINGS = Settings()
OPTIONS = EnrichmentOptions(SETTINGS.fhir_source, SETTINGS.fhir_extension_base)
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SECONDS: dict[str, float] = {}
CPU: dict[str, float] = {}
Times = tuple[float, float]


def now() -> Times:
    return time.perf_counter(), time.process_time()


def timed(step: str, since: Times) -> Times:
    """Add to a step what has gone by on the clock and on the processor."""
    until = now()
    SECONDS[step] = SECONDS.get(step, 0.0) + until[0] - since[0]
    CPU[step] = CPU.get(step, 0.0) + until[1] - since[1]
    return until


def ours(folder: Path, data_dir: Path) -> int:
    """From landed files to the export; how many resources it holds."""
    layout = Layout.of(data_dir)
    warehouse = warehouse_of(layout)
    warehouse.ensure()  # once for a deployment
    SECONDS.clear()
    CPU.clear()
    start = now()
    limits = BatchLimits(SETTINGS.batch_files, SETTINGS.batch_bytes)
    batches = land(
        discover([folder], folder), layout, FHIR_FILES, limits=limits, now=datetime.now(UTC)
    )
    start = timed("land", start)
    for batch in batches.batches:
        manifest = read_manifest(layout, "fhir", batch)
        parts = split(layout, batch)
        raw = put(layout, "fhir/raw_bundles", batch, parts)
        start = timed("split", start)
        landed_at = datetime.fromisoformat(manifest.landed_at)
        raw_parts = tuple(str(path) for path in raw.parts())

        batch_facts = (str(data_dir), batch, landed_at, raw_parts)
        judged = [validate_rows(unit, BusinessRules()) for unit in units(raw, *batch_facts)]
        good = [part for each in judged for part in each.validated]
        bad = [part for each in judged for part in each.quarantined]
        validated = put(layout, "fhir/validated_resources", batch, good)
        put(layout, "fhir/quarantined_resources", batch, bad)
        start = timed("validate", start)
        valid = list(units(validated, *batch_facts))
        with kept_index(layout, batch, [gather_facts(unit) for unit in valid]) as index:
            enriched = [part for unit in valid for part in enrich_rows(unit, OPTIONS, index)]

        put(layout, "fhir/enriched_resources", batch, enriched)
        start = timed("enrich", start)
    with warehouse.write() as connection:
        apply_batches(connection, read_partitions(layout, "fhir/enriched_resources"))
    start = timed("apply", start)
    with warehouse.read() as connection:
        files = exports.export(
            connection, layout, layout.exports("fhir"), exports.options_of(SETTINGS)
        )
    timed("export", start)
    return sum(file.resources for file in files if file.list == "output")


def units(
    table: LakeTable, data_dir: str, batch: str, landed_at: datetime, raw_parts: tuple[str, ...]
) -> Iterator[ResourceWork]:
    listed = tuple(str(path) for path in table.parts())
    for unit in table.work(SETTINGS.chunk_bytes):
        yield ResourceWork(data_dir, batch, unit, landed_at, listed, raw_parts)


def split(layout: Layout, batch: str) -> list[Part]:
    """As the asset does it: files in groups of a chunk."""
    parts: list[Part] = []
    group, size, number = [], 0, 0
    files = read_manifest(layout, "fhir", batch).files
    for last, file in enumerate(files, start=1):
        group.append(file)
        size += file.size
        if size >= SETTINGS.chunk_bytes or last == len(files):
            work = SplitWork(str(layout.data_dir), batch, tuple(group), number)
            parts += split_files(work, judge=issues_of_whole)
            group, size, number = [], 0, number + 1
    return parts


def put(layout: Layout, table: str, batch: str, parts: list[Part]) -> LakeTable:
    commit(layout, table, batch, parts)
    return read_partition(layout, table, batch)


def sqlite_loop(folder: Path, path: Path, seconds: float) -> float:
    """Resources a second that the peer upserts, over some seconds."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE resources (type TEXT, id TEXT, body TEXT, PRIMARY KEY (type, id))"
    )
    start = time.perf_counter()
    done = 0
    for file in sorted(folder.glob("*.json")):
        for entry in json.loads(file.read_bytes())["entry"]:
            each = entry["resource"]
            connection.execute(
                "INSERT INTO resources VALUES (?, ?, ?) "
                "ON CONFLICT (type, id) DO UPDATE SET body = excluded.body",
                (each["resourceType"], each["id"], json.dumps(each)),
            )
            connection.commit()
            done += 1
        if time.perf_counter() - start > seconds:
            break
    elapsed = time.perf_counter() - start
    connection.close()
    return done / elapsed


def repeated(folder: Path, into: Path, times: int) -> Path:
    """The same bundles several times, each time with other ids."""
    into.mkdir()
    for number in range(times):
        for path in sorted(folder.glob("*.json")):
            (into / f"{number:03d}-{path.stem[-12:]}.json").write_bytes(
                renamed(path.read_bytes(), number)
            )
    return into


def renamed(data: bytes, number: int) -> bytes:
    """The same text with other UUIDs; references go on leading where they led."""
    return UUID.sub(lambda found: b"%08x" % number + found[0][8:], data) if number else data


def as_ndjson(folder: Path, into: Path, size: int) -> int:
    """NDJSON of the resources by type, again and again under other ids, of some size in all."""
    into.mkdir()
    by_type: dict[str, bytearray] = {}
    full_urls: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        entries = json.loads(path.read_bytes())["entry"]
        for entry in entries:
            kind, id_ = entry["resource"]["resourceType"], entry["resource"]["id"]
            full_urls[entry["fullUrl"]] = f"{kind}/{id_}"
        for entry in entries:
            line = json.dumps(entry["resource"], separators=(",", ":"))
            line = re.sub(r'"(urn:uuid:[^"]+)"', lambda m: f'"{full_urls.get(m[1], m[1])}"', line)
            text = by_type.setdefault(entry["resource"]["resourceType"], bytearray())
            text += line.encode() + b"\n"
    written = number = 0
    while written < size:
        for kind, text in by_type.items():
            with (into / f"{kind}.ndjson").open("ab") as file:
                written += file.write(renamed(bytes(text), number))
        number += 1
    return written


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(what: str, resources: int) -> float:
    """Print rates by the clock and by the processor, and give that of the clock."""
    total, busy = sum(SECONDS.values()), sum(CPU.values())
    steps = ", ".join(f"{step} {SECONDS[step]:.2f}/{CPU[step]:.2f}" for step in SECONDS)
    print(
        f"{what}: {resources} resources in {total:.2f} s = {resources / total:,.0f}/s,"
        f" on the processor {busy:.2f} s = {resources / busy:,.0f}/s;"
        f" peak {peak_mb():.0f} MB (clock/processor: {steps})",
        flush=True,
    )
    return resources / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of transaction bundles")
    parser.add_argument("--times", type=int, nargs="*", default=[1])
    parser.add_argument("--ndjson-gb", type=float, default=0.0)
    parser.add_argument("--scratch", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        if arguments.ndjson_gb:
            size = as_ndjson(arguments.folder, scratch / "in", int(arguments.ndjson_gb * 1024**3))
            before = peak_mb()
            count = ours(scratch / "in", scratch / "data")
            report(f"{size / 1024**3:.2f} GB of NDJSON (peak before {before:.0f} MB)", count)
            return
        ours(arguments.folder, scratch / "warm")  # compiles the definitions
        for times in arguments.times:
            inside = repeated(arguments.folder, scratch / f"in{times}", times)
            rate = report(f"ours, {times}x", ours(inside, scratch / f"data{times}"))
            shutil.rmtree(inside)
            shutil.rmtree(scratch / f"data{times}")
        peer = sqlite_loop(arguments.folder, scratch / "peer.db", seconds=5.0)
        print(f"SQLite, a commit each: {peer:,.0f}/s; ours is {rate / peer:.1f} times as fast")


if __name__ == "__main__":
    main()
