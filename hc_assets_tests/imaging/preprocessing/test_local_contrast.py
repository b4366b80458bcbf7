import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hc_assets.imaging.preprocessing.local_contrast import equalised


def by_definition(image: np.ndarray, tiles: int, bins: int, limit: float) -> np.ndarray:
    """CLAHE in doubles, a tile at a time, each pixel between the maps of its neighbours."""
    sides = [min(tiles, size) for size in image.shape]
    edges = [
        [i * size // side for i in range(side + 1)]
        for size, side in zip(image.shape, sides, strict=True)
    ]
    weights = []
    for size, side, each in zip(image.shape, sides, edges, strict=True):
        middles = (np.array(each[1:]) + np.array(each[:-1]) - 1) / 2
        at = np.interp(np.arange(size), middles, np.arange(side))
        weights.append(np.maximum(0, 1 - np.abs(at[None] - np.arange(side)[:, None])))
    made = np.zeros(image.shape)
    for i in range(sides[0]):
        for j in range(sides[1]):
            tile = image[edges[0][i] : edges[0][i + 1], edges[1][j] : edges[1][j + 1]]
            places = np.minimum((tile * np.float32(bins)).astype(int), bins - 1)
            counts = np.bincount(places.ravel(), minlength=bins) / tile.size
            most = limit / bins
            clipped = np.minimum(counts, most) + np.maximum(counts - most, 0).sum() / bins
            map_ = np.concatenate([[0], np.cumsum(clipped)])
            mapped = np.interp(image, np.arange(bins + 1) / bins, map_)
            made += weights[0][i][:, None] * weights[1][j][None] * mapped
    return made


@settings(max_examples=40)
@given(
    image=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
        elements=st.floats(0, 1, width=32),
    ),
    tiles=st.integers(1, 6),
    bins=st.integers(16, 300),
    limit=st.floats(0.5, 50),
)
def test_it_is_clahe_by_its_definition(image, tiles, bins, limit):
    made = equalised(image, clip_limit=limit, tiles=tiles, bins=bins)
    np.testing.assert_allclose(made, by_definition(image, tiles, bins, limit), atol=2e-4)
    assert made.min() >= 0
    assert made.max() <= 1


def test_all_16_bits_stay_distinct_and_keep_their_order():
    image = (np.arange(2**16).reshape(256, 256) / (2**16 - 1)).astype(np.float32)
    made = equalised(image, clip_limit=2.0, tiles=1, bins=256).ravel()
    assert (np.diff(made) > 0).all()


def test_contrast_rises_where_there_is_little_but_no_more_than_the_limit():
    generator = np.random.default_rng(1)
    image = (0.5 + generator.normal(0, 0.02, (256, 256))).astype(np.float32)
    low, high = (
        equalised(image, clip_limit=limit, tiles=4, bins=256).std() / image.std()
        for limit in (2.0, 8.0)
    )
    assert 1.2 < low <= 3
    assert low < high <= 9


def test_zeros_that_are_no_tissue_stay_and_bear_on_nothing():
    generator = np.random.default_rng(2)
    tissue = generator.uniform(0.3, 0.7, (64, 64)).astype(np.float32)
    alone = equalised(tissue, clip_limit=4.0, tiles=1, bins=64)
    among = np.zeros((64, 128), np.float32)
    among[:, :64] = tissue
    made = equalised(among, clip_limit=4.0, tiles=1, bins=64, skip_zeros=True)
    np.testing.assert_array_equal(made[:, :64], alone)
    assert not made[:, 64:].any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3)])
def test_small_and_narrow_images_have_fewer_tiles(shape):
    made = equalised(np.full(shape, 0.5, np.float32), clip_limit=2.0, tiles=8, bins=256)
    assert np.isfinite(made).all()
