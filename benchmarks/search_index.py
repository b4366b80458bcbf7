"""How fast resources become index values, every parameter of R4 evaluated, beside FHIRPath's.

Belongs here: rates on Synthea bundles in processor time of one core. That the values are right is
the tests' business.
"""

import argparse
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hc_assets.fhir.fhirpath import Environment, compile_expression, resource_node
from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.search import index_of, parameters_of

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "fhir"
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


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


def by_walk(raw: bytes) -> int:
    """Number of values, by the index."""
    resource = _DECODER.decode(raw)
    return len(index_of(resource["resourceType"]).values(resource))


def by_fhirpath() -> Callable[[bytes], int]:
    """The same by each parameter's expression in turn, values not converted."""
    compiled: dict[str, list[Any]] = {}

    def work(raw: bytes) -> int:
        resource = _DECODER.decode(raw)
        name = resource["resourceType"]
        if name not in compiled:
            texts = [each.expression for each in parameters_of(name) if each.expression]
            compiled[name] = [compile_expression(text, r4_types()) for text in texts]
        node = resource_node(resource)
        environment = Environment(node, node, is_lenient=True)
        return sum(len(each.evaluate(node, environment)) for each in compiled[name])

    return work


def rate(work: Callable[[bytes], int], items: list[bytes], rounds: int) -> float:
    """Resources a second of processor time, the best of some rounds after a first one."""
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        for item in items:
            work(item)
        times.append(time.process_time() - start)
    return len(items) / min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA / "synthea_bundles")
    parser.add_argument("--limit", type=int, default=0, help="resources, at most; 0 for all")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    items = resources(options.folder, options.limit)
    values = sum(map(by_walk, items))
    print(f"{len(items)} resources, {values / len(items):.1f} values each")
    ours = rate(by_walk, items, options.rounds)
    other = rate(by_fhirpath(), items[:: max(1, len(items) // 400)], options.rounds)
    print(f"by the index   {ours:9.0f} resources/s, JSON decoded anew")
    print(f"by FHIRPath    {other:9.0f} resources/s; ratio {ours / other:.1f}")


if __name__ == "__main__":
    main()
