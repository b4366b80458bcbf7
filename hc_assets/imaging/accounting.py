"""Whether files, frames and arrays are what they must be: the evaluators behind the imaging checks.

Belongs here: counting and comparing. Which check uses what, and how bad a failure is, is said in
`checks.py`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.verdicts import Verdict, all_accounted_for, none_of, rate_at_least


def files_accounted_for(landed: Iterable[str], indexed: pa.Array, unreadable: pa.Array) -> Verdict:
    """Judge that each landed file is indexed or unreadable, and exactly once.

    Args:
        landed: source_file of each file of the batch's manifest.
        indexed: source_file of each row of the index.
        unreadable: source_file of each unreadable file.

    Returns:
        A verdict whose value counts files that are missing, doubled or from nowhere.
    """
    arrived = Counter(landed)
    came_out = Counter(indexed.to_pylist() + unreadable.to_pylist())
    astray = sum(((arrived - came_out) + (came_out - arrived)).values())
    return Verdict(
        passed=astray == 0,
        value=float(astray),
        threshold=0.0,
        explanation=f"files: {arrived.total()} in, {len(indexed)} indexed, {len(unreadable)}"
        f" unreadable; {astray} missing, doubled or from nowhere",
        counts={
            "arrived": arrived.total(),
            "indexed": len(indexed),
            "unreadable": len(unreadable),
        },
    )


def gate_pass_rate(passes: pa.Array, threshold: float) -> Verdict:
    """Judge the share of frames that pass the quality gate.

    Args:
        passes: passes_gate of each frame; null where a frame has no score, which does not count.
        threshold: least share, 0 to 1.
    """
    passing, scored = _passing(passes), len(passes) - passes.null_count
    return rate_at_least(passing, scored, threshold, what="scored frames pass the gate")


def series_complete(is_complete: pa.Array, missing: pa.Array) -> Verdict:
    """Judge that no series lacks an instance that something says it should have.

    Args:
        is_complete: of each series; null where nothing says how many there should be.
        missing: missing_instances of each.
    """
    judged = len(is_complete) - is_complete.null_count
    incomplete = judged - (pc.sum(is_complete).as_py() or 0)
    verdict = none_of(incomplete, judged, what="series that lack instances")
    return replace(
        verdict, counts=verdict.counts | {"missing_instances": pc.sum(missing).as_py() or 0}
    )


def studies_valid(is_valid: pa.Array) -> Verdict:
    """Judge that every ImagingStudy that was made is valid R4.

    Args:
        is_valid: of each study.
    """
    invalid = len(is_valid) - (pc.sum(is_valid).as_py() or 0)
    return none_of(invalid, len(is_valid), what="ImagingStudies that are not valid R4")


def arrays_in_range(batches: Iterable[pa.RecordBatch]) -> Verdict:
    """Judge that every array is finite, from 0 to 1, and of the shape that its row states.

    Args:
        batches: with the columns shape and pixels (fixed-shape tensors), a few arrays at a time.
    """
    offending = total = 0
    for batch in batches:
        pixels = batch["pixels"].to_numpy_ndarray()
        stated = batch["shape"].to_pylist()
        for array, shape in zip(pixels, stated, strict=True):
            total += 1
            within = np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1
            offending += not (within and list(array.shape) == shape)
    return none_of(offending, total, what="arrays out of range, not finite or of another shape")


def gated_frames_have_arrays(passes: pa.Array, arrays: int) -> Verdict:
    """Judge that each frame that passes the gate has an array, and no other does.

    Args:
        passes: passes_gate of each frame.
        arrays: how many arrays there are.
    """
    return all_accounted_for(_passing(passes), arrays, 0, what="frames that pass the gate")


def _passing(passes: pa.Array) -> int:
    return pc.sum(passes).as_py() or 0
