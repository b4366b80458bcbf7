import dataclasses

import numpy as np
import pytest

from hc_assets.imaging.pixels.frame_context import Window
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import RECIPES, recipe_for


def assert_ready(made, shape):
    pixels = made.pixels
    assert pixels.shape == shape
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_real_frames_of_every_kind_are_ready(pydicom_files):
    seen = set()
    for path in pydicom_files:
        if path.stat().st_size > 600_000 or path.name == "no_meta.dcm":
            continue
        for frame in iter_frames(path, wanted=frozenset([0])):
            if isinstance(frame, Frame):
                recipe = recipe_for(frame.context.modality)
                assert_ready(recipe.run(frame), recipe.shape)
                seen.add(frame.context.modality)
    assert {"CT", "MR", "US", "NM", "OT"} <= seen


@pytest.mark.parametrize("modality", ["CT", "MR", "DX", "MG", "US", "NM"])
def test_more_than_eight_bits_survive(frame_of, modality):
    pixels = (np.arange(240 * 240).reshape(240, 240) % 4096).astype(np.int16)
    frame = frame_of(pixels, modality, windows=(Window(2048, 4096, "LINEAR"),))
    assert len(np.unique(recipe_for(modality).run(frame).pixels)) > 1000


@pytest.mark.parametrize(
    ("rows", "columns", "spacing", "content"),
    [
        (100, 100, (1.0, 1.0), (256, 256)),
        (100, 50, (1.0, 1.0), (256, 128)),
        (100, 100, (1.0, 2.0), (128, 256)),
        (50, 100, (2.0, 1.0), (256, 256)),
        (100, 50, None, (256, 128)),
    ],
)
def test_proportions_are_the_patients(frame_of, rows, columns, spacing, content):
    frame = frame_of(np.full((rows, columns), 100, np.uint8), "US", spacing=spacing)
    frame.pixels[0, 0] = 0
    pixels = recipe_for("US").run(frame).pixels
    found = pixels > 0
    assert (found.any(axis=1).sum(), found.any(axis=0).sum()) == content


def test_the_affine_leads_from_the_frame_to_the_array(frame_of):
    pixels = np.zeros((90, 60), np.uint8)
    pixels[30:34, 40:44] = 200
    made = recipe_for("US").run(frame_of(pixels, "US", spacing=(1.0, 1.0)))
    a, b, c, d, e, f = made.source_to_array
    row, column = a * 31.5 + b * 41.5 + c, d * 31.5 + e * 41.5 + f
    centre = np.average(np.argwhere(made.pixels > 0.5), axis=0)
    np.testing.assert_allclose(centre, (row, column), atol=0.6)


def test_ct_takes_the_files_window_else_the_body_parts(frame_of):
    hounsfield = np.repeat(np.arange(-1000, 1000, 10, dtype=np.int16)[None], 200, axis=0)

    def rising(**context) -> tuple[float, float]:
        """Lowest and highest HU between black and white."""
        small = RECIPES["CT"].parameters.model_copy(update={"rows": 200, "columns": 200})
        raw = dataclasses.replace(RECIPES["CT"], enhance=None, parameters=small)
        row = raw.run(frame_of(hounsfield, "CT", **context)).pixels[100]
        inside = hounsfield[0][(row > 0) & (row < 1)]
        return float(inside.min()), float(inside.max())

    assert rising(windows=(Window(300, 600, "LINEAR"),)) == pytest.approx((0, 600), abs=20)
    assert rising(body_part="HEAD") == pytest.approx((0, 80), abs=20)
    assert rising() == pytest.approx((-160, 240), abs=20)


@pytest.mark.parametrize("modality", ["CT", "MR", "DX", "US", "NM"])
def test_the_widest_range_of_floats_overflows_nowhere(frame_of, modality):
    pixels = np.full((4, 26), 1e31, np.float32)
    pixels[0, 0] = np.finfo(np.float32).min
    recipe = recipe_for(modality)
    assert_ready(recipe.run(frame_of(pixels, modality)), recipe.shape)


def test_shared_frames_of_every_modality_are_ready(shared_files):
    seen = {}
    for file in shared_files:
        if file.pixels_ok != "1" or seen.get(file.modality, 0) >= 4:
            continue
        for frame in iter_frames(file.path, wanted=frozenset([0])):
            if isinstance(frame, Frame):
                recipe = recipe_for(frame.context.modality)
                made = recipe.run(frame)
                assert_ready(made, recipe.shape)
                assert made.decisions
                seen[file.modality] = seen.get(file.modality, 0) + 1
    assert {"CT", "MR", "US", "CR", "DX", "PT", "NM", "SEG", "SM"} <= set(seen)


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "PT"])
def test_half_floats_stay_in_range(frame_of, modality):
    pixels = np.random.default_rng(1).integers(0, 4096, (90, 70), dtype=np.uint16)
    recipe = recipe_for(modality, Preprocessing(dtype="float16"))
    made = recipe.run(frame_of(pixels, modality))
    assert made.pixels.dtype == np.float16
    assert 0 <= made.pixels.min() < made.pixels.max() <= 1
