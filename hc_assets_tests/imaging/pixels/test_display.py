import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from hc_assets.imaging.pixels.display import apply_window, displayed, stretched
from hc_assets.imaging.pixels.frame_context import Window
from hc_assets.imaging.pixels.lookup_tables import LookupTable

VALUES = np.linspace(-2000, 2000, 401, dtype=np.float32).reshape(1, -1)


@given(
    center=st.floats(-1500, 1500),
    width=st.floats(1.5, 3000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_are_those_of_pydicom(center, width, function):
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored = "MONOCHROME2", 8
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = center, width
    dataset.VOILUTFunction = function
    with np.errstate(over="ignore"):
        expected = apply_windowing(VALUES, dataset) / 255
    ours = apply_window(
        VALUES, Window(float(dataset.WindowCenter), float(dataset.WindowWidth), function)
    )
    # Float32 against float64: at a sharp step a value may fall a hair's breadth either side
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_a_window_of_width_one_is_a_step():
    visible = apply_window(np.array([[9, 10, 11]]), Window(10, 1, "LINEAR"))
    np.testing.assert_array_equal(visible, [[0, 1, 1]])


def test_monochrome1_is_inverted_after_the_window(frame_of):
    pixels = np.array([[0, 50, 100, 200]], np.uint16)
    windows = (Window(50.5, 101, "LINEAR"),)
    plain = displayed(frame_of(pixels, windows=windows))
    inverted = displayed(frame_of(pixels, windows=windows, is_inverted=True))
    np.testing.assert_allclose(plain, [[0, 0.5, 1, 1]])
    np.testing.assert_allclose(inverted, 1 - plain)


def test_of_several_windows_each_can_be_had(frame_of):
    windows = (Window(50, 100, "LINEAR"), Window(500, 1000, "LINEAR"))
    frame = frame_of(np.array([[100]], np.uint16), windows=windows)
    assert displayed(frame)[0, 0] == 1
    assert displayed(frame, window=1)[0, 0] == pytest.approx(0.1, abs=0.01)
    with pytest.raises(IndexError):
        displayed(frame, window=2)


def test_a_table_comes_before_windows(frame_of):
    table = LookupTable(10, np.array([0, 4095, 2048], np.float32), 12)
    pixels = np.array([[0, 10, 11, 12, 99]], np.uint16)
    visible = displayed(frame_of(pixels, voi_tables=(table,), windows=(Window(0, 1, "LINEAR"),)))
    np.testing.assert_allclose(visible, [[0, 0, 1, 0.5, 0.5]], atol=1e-3)


def test_padding_is_black_and_does_not_stretch_the_range(frame_of):
    pixels = np.array([[-2000, 0, 100]], np.int16)
    padding = np.array([[True, False, False]])
    np.testing.assert_allclose(displayed(frame_of(pixels, padding=padding)), [[0, 0, 1]])


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_stretching_stays_within_zero_and_one_whatever_comes(values):
    visible = stretched(np.array([values], np.float32))
    assert np.isfinite(visible).all()
    assert visible.min() >= 0
    assert visible.max() <= 1
