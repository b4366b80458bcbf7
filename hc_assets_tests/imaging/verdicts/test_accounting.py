import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.verdicts.accounting import (
    arrays_in_range,
    arrays_of_their_pipelines,
    files_accounted_for,
    gate_pass_rate,
    gated_frames_have_arrays,
)


def names(*values: str) -> pa.Array:
    return pa.array(values, pa.string())


def test_files_indexed_or_unreadable_are_accounted_for():
    verdict = files_accounted_for(["a", "b"], names("a"), names("b"))
    assert (verdict.passed, verdict.value) == (True, 0)


@pytest.mark.parametrize(
    ("indexed", "unreadable", "astray"),
    [(["a"], [], 1), (["a", "b"], ["b"], 1), (["a", "c"], ["b"], 1), ([], [], 2)],
    ids=["missing", "doubled", "from nowhere", "all missing"],
)
def test_a_file_that_is_missing_doubled_or_from_nowhere_fails(indexed, unreadable, astray):
    verdict = files_accounted_for(["a", "b"], names(*indexed), names(*unreadable))
    assert (verdict.passed, verdict.value) == (False, astray)


def test_frames_without_a_score_do_not_count_towards_the_pass_rate():
    passes = pa.array([True, True, False, None])
    assert gate_pass_rate(passes, 0.6).passed
    assert gate_pass_rate(passes, 0.7).value == pytest.approx(2 / 3)
    assert not gate_pass_rate(passes, 0.7).passed


def batch(pixels: np.ndarray, shape: list[int]) -> pa.RecordBatch:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels.astype(np.float32))
    shapes = pa.array([shape] * len(pixels), pa.list_(pa.int32()))
    return pa.RecordBatch.from_arrays([shapes, tensors], names=["shape", "pixels"])


@pytest.mark.parametrize(
    ("value", "shape", "offending"),
    [
        (0.0, [2, 3], 0),
        (1.0, [2, 3], 0),
        (1.01, [2, 3], 1),
        (-0.01, [2, 3], 1),
        (np.nan, [2, 3], 1),
        (np.inf, [2, 3], 1),
        (0.5, [3, 2], 2),
    ],
)
def test_an_array_out_of_range_or_shape_fails(value, shape, offending):
    pixels = np.full((2, 2, 3), 0.5)
    pixels[1, 0, 0] = value
    verdict = arrays_in_range([batch(pixels, shape)])
    assert (verdict.passed, verdict.value) == (offending == 0, offending)


def frames(*keys: tuple[str, int], passes: list[bool | None] | None = None) -> pa.Table:
    names, numbers = [name for name, _ in keys], [number for _, number in keys]
    columns = {"source_file": pa.array(names, pa.string()), "frame": pa.array(numbers, pa.int32())}
    if passes is not None:
        columns["passes_gate"] = pa.array(passes, pa.bool_())
    return pa.table(columns)


GATED = frames(("a", 0), ("a", 1), ("b", 0), ("c", 0), passes=[True, False, None, True])


@pytest.mark.parametrize(
    ("arrays", "failed", "offending"),
    [
        ([("a", 0), ("c", 0)], [], 0),
        ([("a", 0)], [], 1),
        ([("a", 0), ("a", 1)], [], 2),
        ([("a", 0), ("c", 0), ("c", 0)], [], 1),
        ([], [], 2),
        ([("a", 0)], [("c", 0)], 0),
        ([("a", 0), ("c", 0)], [("c", 0)], 1),
    ],
    ids=["all", "one missing", "another frame's", "doubled", "none", "one failed", "made, failed"],
)
def test_each_gated_frame_has_one_array_or_failed_and_no_other_has_any(arrays, failed, offending):
    verdict = gated_frames_have_arrays(GATED, frames(*arrays), frames(*failed))
    assert (verdict.passed, verdict.value) == (offending == 0, offending)


@pytest.mark.parametrize(
    ("label", "set_to", "offending"),
    [
        ("ct/2", ((2, 3), "float32"), 0),
        ("ct/2", ((3, 2), "float32"), 2),
        ("ct/2", ((2, 3), "float16"), 2),
        ("ct/1", ((2, 3), "float32"), 2),
    ],
    ids=["as set", "shape", "type", "no such pipeline"],
)
def test_arrays_are_what_their_pipeline_is_set_to(label, set_to, offending):
    pixels = np.full((2, 2, 3), 0.5, np.float32)
    rows = pa.record_batch(
        {
            "pipeline": pa.array(["ct/2", "ct/2"]),
            "shape": pa.array([[2, 3], [2, 3]], pa.list_(pa.int32(), 2)),
            "pixels": pa.FixedShapeTensorArray.from_numpy_ndarray(pixels),
        }
    )
    verdict = arrays_of_their_pipelines([rows], {label: set_to})
    assert (verdict.passed, verdict.value) == (offending == 0, offending)
