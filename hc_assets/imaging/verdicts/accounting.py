"""Whether files, frames and arrays are what they must be: the evaluators behind the imaging checks.

Belongs here: counting and comparing. Which check uses what, and how bad a failure is, is stated in
`imaging/checks.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.verdicts import Verdict, none_of, rate_at_least


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


def gated_frames_have_arrays(gated: pa.Table, arrays: pa.Table, failed: pa.Table) -> Verdict:
    """Judge that each frame that passes the gate has one array or failed, and no other did.

    Args:
        gated: source_file, frame and passes_gate of each scored frame.
        arrays: source_file and frame of each array.
        failed: the same of each frame that became none, which has a reason.

    Returns:
        A verdict whose value counts arrays that are missing, doubled or of other frames.
    """
    passing = Counter(_frames(gated.filter(pc.equal(gated["passes_gate"], True))))
    made = Counter(_frames(arrays)) + Counter(_frames(failed))
    missing, surplus = (passing - made).total(), (made - passing).total()
    return replace(
        none_of(missing + surplus, passing.total(), what="gated frames without their one array"),
        explanation=f"{passing.total()} frames pass the gate, {len(arrays)} arrays, {len(failed)}"
        f" failed: {missing} missing, {surplus} doubled or of other frames",
        counts={"gated": passing.total(), "arrays": len(arrays), "failed": len(failed)},
    )


def _frames(table: pa.Table) -> Iterator[tuple[str, int]]:
    return zip(table["source_file"].to_pylist(), table["frame"].to_pylist(), strict=True)


def arrays_of_their_pipelines(
    batches: Iterable[pa.RecordBatch], pipelines: Mapping[str, tuple[tuple[int, int], str]]
) -> Verdict:
    """Judge that every array has the shape and the type of the pipeline that its row names.

    Args:
        batches: with the columns pipeline, shape and pixels.
        pipelines: shape and data type by label, as they are set now.
    """
    offending = total = 0
    for batch in batches:
        tensor = batch.schema.field("pixels").type
        held = (tuple(tensor.shape), tensor.value_type.to_pandas_dtype().__name__)
        stated = batch["shape"].to_pylist()
        for label, shape in zip(batch["pipeline"].to_pylist(), stated, strict=True):
            total += 1
            offending += not (pipelines.get(label) == held and tuple(shape) == held[0])
    return none_of(offending, total, what="arrays of another shape or type than their pipeline's")


def _passing(passes: pa.Array) -> int:
    return pc.sum(passes).as_py() or 0
