import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.accounting import (
    arrays_in_range,
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


def test_a_gated_frame_without_an_array_fails():
    passes = pa.array([True, False, None, True])
    assert gated_frames_have_arrays(passes, 2).passed
    assert not gated_frames_have_arrays(passes, 1).passed
    assert not gated_frames_have_arrays(passes, 3).passed
