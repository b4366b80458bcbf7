"""Resources a second of our validator, of HL7's engine and of fhirkit-rs, in one run.

`python -m benchmarks.oracles.hl7.speed`. Belongs here: ratios on the same Synthea resources, all
warm, in processor time of one thread, because what else a machine does must not decide; two threads
beside one by the clock. That the verdicts are right is the business of `compare.py`.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.oracles.hl7.client import start
from benchmarks.oracles.hl7.compare import DATA
from benchmarks.oracles.hl7.corpus import bundle_entries
from hc_assets.fhir.validation import validate


def _pass(work: Callable[[bytes], object], items: list[bytes]) -> float:
    """Processor seconds of one pass."""
    begin = time.thread_time()
    for item in items:
        work(item)
    return time.thread_time() - begin


def rate(work: Callable[[bytes], object], items: list[bytes], rounds: int) -> float:
    """Resources a processor second in the fastest of some passes after a first one."""
    _pass(work, items)
    return len(items) / min(_pass(work, items) for _ in range(rounds))


def engine_rate(items: list[bytes], rounds: int) -> float:
    """The same for HL7's engine."""
    with start() as judge:
        for _ in range(rounds):  # the just-in-time compiler needs some
            list(judge.judge_all(items))
        passes = [sum(verdict.seconds for verdict in judge.judge_all(items)) for _ in range(rounds)]
    return len(items) / min(passes)


def _by_clock(items: list[bytes], threads: int) -> float:
    """Seconds of the clock until some threads, each with its share, have judged everything."""
    shares = [items[number::threads] for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda share: _pass(validate, share[:100]), shares))  # threads are there
        begin = time.perf_counter()
        list(pool.map(lambda share: _pass(validate, share), shares))
        return time.perf_counter() - begin


def thread_ratio(items: list[bytes], rounds: int) -> float:
    """How many times as fast two threads are as one: best of each, turn by turn."""
    times = [(_by_clock(items, 1), _by_clock(items, 2)) for _ in range(rounds)]
    return min(one for one, _ in times) / min(two for _, two in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DATA / "synthea_bundles")
    parser.add_argument("--sample", type=int, default=300, help="resources for the slow engine")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    items = [source.text for source in bundle_entries(options.folder)]
    sample = items[:: max(1, len(items) // options.sample)]
    print(f"{len(items)} resources, a sample of {len(sample)} for the engine")
    ours, ours_on_sample = rate(validate, items, options.rounds), rate(validate, sample, 20)
    print(f"hc_assets        {ours:12,.0f}/s, on the sample {ours_on_sample:12,.0f}/s")
    if importlib.util.find_spec("fhirkit") is not None:
        import fhirkit  # noqa: PLC0415 - a peer that need not be there

        peer = rate(fhirkit.validate, items, options.rounds)
        print(f"fhirkit-rs       {peer:12,.0f}/s: {ours / peer:.2f} times")
    print(f"two threads      {thread_ratio(items, options.rounds):.2f} times one, by the clock")
    theirs = engine_rate(sample, options.rounds)
    print(f"HL7's engine     {theirs:12,.1f}/s: {ours_on_sample / theirs:,.0f} times")


if __name__ == "__main__":
    main()
