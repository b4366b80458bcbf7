import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hc_assets.imaging.pixels.frame_context import FrameContext, Window
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles, luminance
from hc_assets.imaging.preprocessing.geometry import placed
from hc_assets.imaging.preprocessing.local_contrast import equalised
from hc_assets.imaging.preprocessing.registry import RECIPES, recipe_for

SHAPES = {
    "CT": (512, 512),
    "MR": (256, 256),
    "CR": (1024, 1024),
    "DX": (1024, 1024),
    "US": (256, 256),
    "MG": (2048, 2048),
    "PT": (512, 512),
}


def frame(pixels: np.ndarray, *, padding=None, **context: object) -> Frame:
    return Frame(
        index=0,
        pixels=pixels,
        is_color=pixels.ndim == 3,
        padding=padding,
        limits=(0.0, 255.0),
        decoder="none",
        context=FrameContext(**context),
    )


def disc(size: int = 100, inside: float = 60.0, outside: float = -1000.0) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(np.hypot(rows, columns) < size / 3, inside, outside).astype(np.float32)


@pytest.mark.parametrize(("modality", "shape"), SHAPES.items())
def test_every_recipe_gives_its_shape_and_range(modality, shape):
    made = recipe_for(modality).run(frame(disc(), modality=modality))
    assert made.pixels.shape == shape
    assert made.pixels.dtype == np.float32
    assert made.pixels.min() >= 0
    assert 0.5 < made.pixels.max() <= 1
    assert len(made.content_sha256) == 64


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "PT"])
@given(
    pixels=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_the_array_is_finite_and_in_range_for_any_values(modality, pixels):
    with np.errstate(all="ignore"):
        made = recipe_for(modality).run(frame(pixels, modality=modality))
    assert np.isfinite(made.pixels).all()
    assert made.pixels.min() >= 0
    assert made.pixels.max() <= 1


@pytest.mark.parametrize("modality", sorted(RECIPES))
def test_a_constant_frame_is_no_failure(modality):
    made = recipe_for(modality).run(frame(np.full((20, 30), 7, np.int16), modality=modality))
    assert np.isfinite(made.pixels).all()


def test_the_same_frame_gives_the_same_hash_and_another_another():
    recipe = recipe_for("CT")
    first, second = (recipe.run(frame(disc(), modality="CT")) for _ in range(2))
    other = recipe.run(frame(disc(inside=50), modality="CT"))
    assert first.content_sha256 == second.content_sha256 != other.content_sha256


def test_ct_follows_the_files_window():
    window = Window(center=40, width=400, function="LINEAR")
    pixels = np.full((64, 64), -1000, np.float32)
    pixels[:, 32:] = 1000
    made = recipe_for("CT").run(frame(pixels, modality="CT", windows=(window,))).pixels
    assert made[:, 100].max() < 0.1
    assert made[:, 400].min() > 0.5


def test_monochrome1_radiographs_come_out_with_bone_white():
    plain = disc(inside=200, outside=10)
    inverted = frame(plain, modality="DX", is_inverted=True)
    made = recipe_for("DX").run(inverted).pixels
    assert made[512, 512] < made[20, 20]


def test_padding_is_black():
    padding = np.zeros((100, 100), np.bool_)
    padding[:, :20] = True
    pixels = disc(inside=1000, outside=500)
    pixels[padding] = 3000
    made = recipe_for("MR").run(frame(pixels, padding=padding, modality="MR")).pixels
    assert made[:, :48].max() == 0
    assert made[128, 128] > 0.9


def test_colour_becomes_luminance():
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[..., 1] = 255
    assert luminance(rgb, 255.0) == pytest.approx(np.full((10, 10), 0.587), abs=1e-6)
    assert recipe_for("US").run(frame(rgb, modality="US")).pixels.max() > 0.5


def test_a_mammogram_keeps_the_breast_and_drops_the_label():
    pixels = np.full((400, 300), 10, np.float32)
    pixels[100:300, :150] = 900
    pixels[20:40, 250:290] = 1000
    made = recipe_for("MG").run(frame(pixels, modality="MG")).pixels
    columns = slice(1600, 2048)
    assert made[100:220, columns].max() < 0.001
    assert made[1000, 700] > 0.1


def test_parameters_and_labels_record_what_was_done():
    recipe = recipe_for("CT")
    assert recipe.label == "ct/2"
    parameters = json.loads(recipe.parameters_json())
    assert parameters == {"aspect": "letterbox", "dtype": "float32", **dict(recipe.parameters)}


@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
)
def test_letterbox_keeps_proportions_and_its_transform_leads_to_the_frame(rows, columns, spacing):
    pixels = np.ones((rows, columns), np.float32)
    made = placed(pixels, (64, 64), spacing)
    down, across = made.window
    inside_rows, inside_columns = down.stop - down.start, across.stop - across.start
    assert max(inside_rows, inside_columns) == 64
    assert made.pixels[made.window] == pytest.approx(1)
    assert made.pixels.sum() == pytest.approx(inside_rows * inside_columns)
    wanted = rows * spacing[0] / (columns * spacing[1])
    # A side is rounded to whole pixels.
    low, high = (
        (inside_rows - 1) / (inside_columns + 1),
        (inside_rows + 1) / max(inside_columns - 1, 0.5),
    )
    assert low <= wanted <= high or min(inside_rows, inside_columns) == 1
    a, _, c, _, e, f = made.source_to_array
    first = (-0.5 * a + c, -0.5 * e + f)
    assert first == pytest.approx((down.start - 0.5, across.start - 0.5))
    assert (rows * a, columns * e) == pytest.approx((inside_rows, inside_columns))


def test_shrinking_does_not_alias():
    stripes = np.tile(np.array([0, 1], np.float32), (512, 256))
    assert placed(stripes, (64, 64), None).pixels == pytest.approx(0.5, abs=0.01)


def test_percentiles_ignore_what_does_not_count():
    values = np.array([[0, 1, 2, 1000]], np.float32)
    counts = np.array([[True, True, True, False]])
    assert between_percentiles(values, 0, 100, counts).tolist() == [[0, 0.5, 1, 1]]


def test_equalising_uses_more_than_8_bits():
    ramp = np.tile(np.linspace(0, 1, 1024, dtype=np.float32), (1024, 1))
    assert len(np.unique(equalised(ramp, clip_limit=2.0, tiles=8, bins=256))) > 1000
