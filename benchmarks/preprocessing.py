"""How fast and how faithfully a CT slice and a mammogram become arrays, beside scikit-image's.

Belongs here: timing of `Recipe.run` and of the local equalisation that it hangs on, and what each
way of equalising loses. The peers are the same steps with `equalize_adapthist`, and OpenCV's CLAHE
in 8 and 16 bits.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from pydicom.data import get_testdata_file
from skimage.exposure import equalize_adapthist
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.transform import resize

from hc_assets.imaging.pixels.display import displayed
from hc_assets.imaging.pixels.frame_context import FrameContext, Window
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.preprocessing.local_contrast import equalised
from hc_assets.imaging.preprocessing.registry import recipe_for

PROMISED = {"CT 512 x 512": 2, "MG 2,048 x 2,048": 5}
# scikit-image counts a share of a tile's pixels, OpenCV and we multiples of the mean of 256 bins
CLIP_SHARE = 0.01
CLIP_LIMIT = CLIP_SHARE * 256
TILES = 8


def seconds(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median processor time of each, in turns, after one to warm up.

    Processor time on one thread, because what else a machine does must not decide.
    """
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            began = time.process_time()
            function()
            if turn:
                taken[name].append(time.process_time() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


def ct_slice() -> Frame:
    """A real slice of 512 by 512 from pydicom-data."""
    path = get_testdata_file("693_UNCI.dcm", download=False)
    assert path, "pydicom-data is not installed"
    frame = next(iter(iter_frames(Path(str(path)))))
    assert isinstance(frame, Frame)
    return frame


def mammogram(side: int = 2048) -> Frame:
    """A made breast of 12 bits: a half disc of tissue with texture, a skin line, a label."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    radius = np.hypot((y - 0.5) / 0.42, x / 0.6)
    coarse = generator.normal(0, 1, (64, 64)).astype(np.float32)
    texture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    tissue = 1500 + 900 * (1 - radius) + 300 * texture
    pixels = np.where(radius < 1, tissue, 60) + generator.normal(0, 20, (side, side))
    pixels[100:180, -400:-100] = 3900
    stored = np.clip(pixels, 0, 4095).astype(np.uint16)
    context = FrameContext(modality="MG", windows=(Window(2048, 4096, "LINEAR"),), bits_stored=12)
    return Frame(0, stored, False, None, (0.0, 4095.0), "none", context)


def peer_ct(frame: Frame) -> np.ndarray:
    """Window, size, CLAHE, as one writes it with scikit-image."""
    displayed_pixels = displayed(frame)
    if displayed_pixels.shape != (512, 512):
        displayed_pixels = resize(displayed_pixels, (512, 512), anti_aliasing=True)
    return equalize_adapthist(displayed_pixels, clip_limit=CLIP_SHARE).astype(np.float32)


def peer_mg(frame: Frame) -> np.ndarray:
    """Window, the largest region, its percentiles, CLAHE, likewise."""
    displayed_pixels = displayed(frame)
    regions = label(displayed_pixels > threshold_otsu(displayed_pixels) / 2)
    breast = regions == 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    low, high = np.percentile(displayed_pixels[breast], (0.5, 99.5))
    stretched = np.where(breast, np.clip((displayed_pixels - low) / (high - low), 0, 1), 0)
    made = equalize_adapthist(stretched, clip_limit=CLIP_SHARE)
    return np.where(breast, made, 0).astype(np.float32)


def in_bits(image: np.ndarray, bits: int, tiles: int = TILES) -> np.ndarray:
    """OpenCV's CLAHE in so many bits."""
    top = 2**bits - 1
    stored = np.rint(image * top).astype(np.uint8 if bits == 8 else np.uint16)
    made = cv2.createCLAHE(CLIP_LIMIT, (tiles, tiles)).apply(stored)
    return made.astype(np.float32) / np.float32(top)


def in_256_bins(image: np.ndarray, tiles: int = TILES) -> np.ndarray:
    """CLAHE of scikit-image with as many tiles."""
    return equalize_adapthist(image, image.shape[0] // tiles, clip_limit=CLIP_SHARE)


def ours(image: np.ndarray, tiles: int = TILES) -> np.ndarray:
    """Local equalisation as the CT recipe has it, with the clip limit of the others."""
    return equalised(image, clip_limit=CLIP_LIMIT, tiles=tiles, bins=256)


def exact(image: np.ndarray) -> np.ndarray:
    """CLAHE by its definition, in doubles: the same histograms, each pixel mapped by itself."""
    rows, columns = image.shape
    bins = 256
    edges = [[i * size // TILES for i in range(TILES + 1)] for size in image.shape]
    maps = np.empty((TILES, TILES, bins + 1))
    for i in range(TILES):
        for j in range(TILES):
            tile = image[edges[0][i] : edges[0][i + 1], edges[1][j] : edges[1][j + 1]]
            places = np.minimum((tile.astype(np.float64) * bins).astype(int), bins - 1)
            counts = np.bincount(places.ravel(), minlength=bins) / tile.size
            most = CLIP_LIMIT / bins
            clipped = np.minimum(counts, most) + np.maximum(counts - most, 0).sum() / bins
            maps[i, j] = np.concatenate([[0], np.cumsum(clipped)])
    middles = [(np.array(each[1:]) + np.array(each[:-1]) - 1) / 2 for each in edges]
    at = [
        np.interp(np.arange(size), middle, np.arange(TILES))
        for size, middle in zip((rows, columns), middles, strict=True)
    ]
    made = np.zeros(image.shape)
    knots = np.arange(bins + 1) / bins
    for i in range(TILES):
        for j in range(TILES):
            down, across = (
                np.maximum(0, 1 - np.abs(a - k)) for a, k in zip(at, (i, j), strict=True)
            )
            weight = down[:, None] * across[None]
            where = weight > 0
            made[where] += weight[where] * np.interp(image[where], knots, maps[i, j])
    return made


def values_kept(equalise: Callable[[np.ndarray, int], np.ndarray]) -> float:
    """Share of the 4,096 values of 12 bits that are still distinguished where one map applies."""
    generator = np.random.default_rng(3)
    image = generator.permutation(np.repeat(np.arange(4096), 64)).reshape(512, 512)
    return len(np.unique(equalise((image / 4095).astype(np.float32), 1))) / 4096


def faster(name: str, frame: Frame, peer: Callable[[Frame], np.ndarray], repeats: int) -> bool:
    """Print times and ratios of one image; report whether the promise is kept."""
    recipe = recipe_for(frame.context.modality)
    image = np.ascontiguousarray(displayed(frame))
    bins = recipe.parameters.clahe_bins
    taken = seconds(
        {
            "recipe": lambda: recipe.run(frame),
            "scikit-image's route": lambda: peer(frame),
            "CLAHE": lambda: equalised(image, clip_limit=2.0, tiles=TILES, bins=bins),
            "equalize_adapthist": lambda: equalize_adapthist(image, clip_limit=CLIP_SHARE),
            "OpenCV, 16 bits": lambda: in_bits(image, 16),
        },
        repeats,
    )
    print(name, ", ".join(f"{each} {1000 * took:.1f} ms" for each, took in taken.items()))
    whole = taken["scikit-image's route"] / taken["recipe"]
    alone = taken["equalize_adapthist"] / taken["CLAHE"]
    print(f"  whole route {whole:.1f} times, equalisation alone {alone:.1f} times as fast")
    return whole >= PROMISED[name]


def truer() -> bool:
    """Print what each way of equalising loses; report whether ours loses no more than the peer."""
    print("deviation from CLAHE in doubles on the CT slice; change made; values distinguished")
    image = displayed(ct_slice())
    truth = exact(image)
    ways: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "ours": ours,
        "scikit-image": in_256_bins,
        "OpenCV, 8 bits": lambda x, tiles: in_bits(x, 8, tiles),
        "OpenCV, 16 bits": lambda x, tiles: in_bits(x, 16, tiles),
    }
    errors, shares = {}, {}
    for name, way in ways.items():
        made = way(image, TILES)
        errors[name] = float(np.sqrt(np.mean((made - truth) ** 2)))
        shares[name] = values_kept(way)
        gain = float(np.abs(made - image).mean())
        print(f"  {name}: rms {errors[name]:.5f}, change {gain:.4f}, values {shares[name]:.3f}")
    return errors["ours"] <= errors["scikit-image"] and shares["ours"] >= shares["scikit-image"]


def main() -> int:
    """Print both tables; exit 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    cv2.setNumThreads(1)
    kept = [
        faster("CT 512 x 512", ct_slice(), peer_ct, repeats),
        faster("MG 2,048 x 2,048", mammogram(), peer_mg, repeats),
        truer(),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
