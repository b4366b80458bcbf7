"""How fast R4 resources are validated, beside peers, in one run.

Belongs here: rates and their ratios on Synthea bundles. That the verdicts are right is the tests'
business.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from hc_assets.fhir.validation import has_errors, validate

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "fhir"


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry]


def resources(folder: Path, limit: int) -> list[bytes]:
    """The entries' resources of all bundles of a folder, as they are in the files."""
    found: list[bytes] = []
    for path in sorted(folder.glob("*.json")):
        bundle = msgspec.json.decode(path.read_bytes(), type=_Bundle)
        found += [bytes(entry.resource) for entry in bundle.entry]
    return found[:limit] if limit else found


def seconds(work: Callable[[bytes], object], items: Iterable[bytes]) -> float:
    """CPU seconds of one pass."""
    start = time.process_time()
    for item in items:
        work(item)
    return time.process_time() - start


def best(work: Callable[[bytes], object], items: list[bytes], rounds: int) -> float:
    """The fastest of some passes after a first one, in which types are compiled."""
    seconds(work, items)
    return min(seconds(work, items) for _ in range(rounds))


def fhir_resources() -> Callable[[bytes], object]:
    """Validation with fhir.resources (R4B): decoding into its pydantic models."""
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415 - slow to import

    def work(raw: bytes) -> object:
        value = msgspec.json.decode(raw)
        return get_fhir_model_class(value["resourceType"]).model_validate(value)

    return work


def fhirkit() -> Callable[[bytes], object] | None:
    """Validation with fhirkit-rs, where it is installed."""
    if importlib.util.find_spec("fhirkit") is None:
        return None
    import fhirkit as peer  # noqa: PLC0415

    return peer.validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA / "synthea_bundles")
    parser.add_argument("--limit", type=int, default=0, help="resources, at most; 0 for all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-sample", type=int, default=400, help="resources for slow peers")
    options = parser.parse_args()
    items = resources(options.folder, options.limit)
    megabytes = sum(map(len, items)) / 1e6
    rejected = sum(has_errors(validate(item)) for item in items)
    print(f"{len(items)} resources, {megabytes:.1f} MB, {rejected} rejected")
    step = max(1, len(items) // options.slow_sample)
    sample = items[::step]

    def report(name: str, work: Callable[[bytes], object], on: list[bytes]) -> float:
        took = best(work, on, options.rounds) / len(on)
        size = sum(map(len, on)) / len(on) / 1e6
        print(f"{name:28s} {1 / took:9.0f} resources/s {size / took:8.1f} MB/s")
        return took

    ours = report("hc_assets validate", validate, items)
    ours_on_sample = report("hc_assets validate (sample)", validate, sample)
    slow = report("fhir.resources R4B (sample)", fhir_resources(), sample)
    print(f"  ratio to fhir.resources R4B: {slow / ours_on_sample:.1f}")
    peer = fhirkit()
    if peer is not None:
        other = report("fhirkit-rs", peer, items)
        print(f"  ratio to fhirkit-rs: {other / ours:.2f}")


if __name__ == "__main__":
    main()
