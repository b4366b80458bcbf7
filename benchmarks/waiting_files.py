"""Very many files that wait in a landing folder, taken in by the sensor tick by tick.

    python benchmarks/waiting_files.py [--files 2000] [--folder EMPTY]

Does with each tick of `new_fhir_files` what Dagster's daemon does: partitions are added, runs are
counted by their key, the cursor is kept. When ticks find nothing any more, a file is replaced, one
added and one deleted. Counts what was landed against what was there, and says how long the ticks
took: the longest, and those that find nothing new among so many known files. Exits with 1 where a
file was lost or landed twice, or a tick took 10 s or more (Dagster ends one after 60).
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import dagster as dg

from hc_assets.definitions import build_defs
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets.orchestration.runs import open_instance
from hc_assets.settings import Settings

KIND = "fhir"
LONGEST_SECONDS = 10.0


class Daemon:
    """Ticks a sensor, and does with what it says what Dagster's daemon does."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.definitions = instance, build_defs(settings)
        self.cursor: str | None = None
        self.runs: Counter[str] = Counter()
        self.seconds: list[float] = []

    def tick(self) -> int:
        """Tick once; gives how many runs were asked for."""
        (sensor,) = [s for s in self.definitions.sensors or [] if s.name == f"new_{KIND}_files"]
        resources = {
            key: (self.definitions.resources or {})[key]
            for key in ("settings", "layout", "warehouse")
        }
        begun = time.perf_counter()
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources
        ) as context:
            result = sensor(context)
        self.seconds.append(time.perf_counter() - begun)
        assert isinstance(result, dg.SensorResult)
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, list(request.partition_keys)
            )
        for run in result.run_requests or []:
            self.runs[run.partition_key or ""] += 1
        self.cursor = result.cursor
        return len(result.run_requests or [])


def landed(layout: Layout) -> Counter[str]:
    """How often each name was landed."""
    return Counter(
        file.source_file
        for key in batch_keys(layout, KIND)
        for file in read_manifest(layout, KIND, key).files
    )


def take_in(daemon: Daemon, layout: Layout, *, rest: int) -> None:
    """Tick until that many ticks in a row found nothing."""
    idle = 0
    while idle < rest:
        batches, processor = len(batch_keys(layout, KIND)), time.process_time()
        runs = daemon.tick()
        new = len(batch_keys(layout, KIND)) - batches
        idle = 0 if runs or new or not daemon.cursor else idle + 1
        print(
            f"tick {len(daemon.seconds):3}: {daemon.seconds[-1]:5.2f} s"
            f" ({time.process_time() - processor:5.2f} s of processor), {new} batches, {runs} runs",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Let very many files wait for the sensor.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="empty; kept. A temporary one where left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = (arguments.folder or Path(temporary)).resolve() / "data"
        os.environ |= {"HC_DATA_DIR": str(data), "DAGSTER_HOME": ""}
        layout = Layout.of(data)
        landing = Path(layout.landing(KIND).path)
        landing.mkdir(parents=True)
        for number in range(arguments.files):
            text = f'{{"resourceType":"Patient","id":"p{number}"}}'
            (landing / f"{number:06}.json").write_text(text)
        with open_instance(layout) as instance:
            daemon = Daemon(instance, Settings(landing_settle_seconds=0))
            take_in(daemon, layout, rest=2)
            idle = daemon.seconds[-1]
            once = landed(layout)
            (landing / "000000.json").write_text('{"resourceType":"Patient","id":"replaced"}')
            (landing / "added.json").write_text('{"resourceType":"Patient","id":"added"}')
            (landing / "000001.json").unlink()
            # A look asks after some known files: it may take a few to come to the replaced one.
            take_in(daemon, layout, rest=6)
        twice, batches = landed(layout), batch_keys(layout, KIND)
    longest = max(daemon.seconds)
    print(
        f"{arguments.files} files: {len(daemon.seconds)} ticks, the longest {longest:.1f} s;"
        f" one that finds nothing new {idle:.2f} s"
    )
    claims = {
        "each file landed once": once
        == dict.fromkeys((f"{number:06}.json" for number in range(arguments.files)), 1),
        "then what was replaced and added, and no other": twice - once
        == {"000000.json": 1, "added.json": 1},
        "one run for each batch": daemon.runs == dict.fromkeys(batches, 1),
        f"no tick of {LONGEST_SECONDS:.0f} s or more": longest < LONGEST_SECONDS,
    }
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    raise SystemExit(0 if all(claims.values()) else 1)


if __name__ == "__main__":
    main()
