"""How fast a training set is read, beside making its arrays on the fly and beside .npy files.

Belongs here: timing of `hc_assets.imaging.dataset`. The images are one of pydicom's CT slices,
enlarged to 512 x 512, each with noise of its own, not compressed. Whoever reads copies the arrays
into batches, as training needs them; the rounds of the peers alternate, and the median counts. Run
it as `python -m benchmarks.training_set`, since it puts arrays into a lake as the tests do.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from upath import UPath

from hc_assets.imaging.dataset import Samples, TrainingSet
from hc_assets.imaging.pixels import Frame, iter_frames
from hc_assets.imaging.preprocessing.registry import pipeline_for
from hc_assets.imaging.training.export import export_training_set
from hc_assets.imaging.training.selection import Selection
from hc_assets_tests.imaging.training.conftest import Lake, Scan

BATCH = 16
Read = Callable[[np.ndarray, np.ndarray], object]


@dataclass
class Made(Scan):
    """A frame whose array is there already."""

    array: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.float32))

    def pixels(self) -> np.ndarray:
        """Its array."""
        return self.array


def write_images(folder: Path, count: int) -> list[Path]:
    """Write CT files that differ by their noise."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    stored = dataset.pixel_array
    image = cv2.resize(stored.astype(np.float32), (512, 512))
    dataset.Rows, dataset.Columns = image.shape
    dataset.PixelSpacing = [s / 4 for s in dataset.PixelSpacing]
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        noisy = image + random.normal(0, 10, image.shape)
        dataset.PixelData = noisy.round().astype(stored.dtype).tobytes()
        paths.append(folder / f"{number}.dcm")
        dataset.save_as(paths[-1])
    return paths


def on_the_fly(path: Path) -> np.ndarray:
    """Decode and preprocess a file's frame."""
    (frame,) = iter_frames(path)
    assert isinstance(frame, Frame)
    return pipeline_for(frame.context.modality).run(frame).pixels


def seconds(read: Read, order: np.ndarray, out: np.ndarray) -> float:
    """Seconds for all samples of an order, a batch at a time."""
    begin = time.perf_counter()
    for at in range(0, len(order), len(out)):
        indices = order[at : at + len(out)]
        read(indices, out[: len(indices)])
    return time.perf_counter() - begin


def copying(views: Callable[[int], np.ndarray]) -> Read:
    """Read by copying a view of each sample."""

    def read(indices: np.ndarray, out: np.ndarray) -> None:
        for place, index in zip(out, indices, strict=True):
            place[...] = views(int(index))

    return read


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=128)
    arguments.add_argument("--rounds", type=int, default=9)
    told = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_images(folder, told.images)
        arrays = [on_the_fly(path) for path in paths]
        shape = arrays[0].shape
        lake = Lake(folder / "data")
        scans = [Made(f"P{n}", array=a, shape=shape) for n, a in enumerate(arrays)]
        lake.put("b", *scans)
        lake.warehouse.ensure()
        exported = UPath(folder / "set")
        export_training_set(lake.warehouse, exported, Selection(salt="s", splits={"train": 1.0}))
        for number, array in enumerate(arrays):
            np.save(folder / f"{number}.npy", array)
        np.save(folder / "all.npy", np.stack(arrays))
        compare(folder, paths, TrainingSet(folder / "set").split("train"), told.rounds)


def compare(folder: Path, paths: list[Path], samples: Samples, rounds: int) -> None:
    """Print images a second of each way, and the ratios that are claimed."""
    count = len(paths)
    together = np.load(folder / "all.npy", mmap_mode="r")
    names = [folder / f"{number}.npy" for number in range(count)]
    ways: dict[str, Read] = {
        "training set": samples.read,
        "one .npy, mapped": copying(lambda index: together[index]),
        ".npy files, mapped": copying(lambda index: np.load(names[index], mmap_mode="r")),
    }
    out = np.empty((BATCH, *samples.pixels(0).shape), np.float32)
    orders = {
        "in order": np.arange(count),
        "shuffled": np.random.default_rng(1).permutation(count),
    }
    fly = seconds(copying(lambda index: on_the_fly(paths[index])), orders["in order"], out)
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        fresh = TrainingSet(folder / "set").split("train")
        checked = found.setdefault(("training set, first time", "in order"), [])
        checked.append(seconds(fresh.read, orders["in order"], out))
        for way, read in ways.items():
            for order, indices in orders.items():
                found.setdefault((way, order), []).append(seconds(read, indices, out))
    rates = {key: count / statistics.median(times) for key, times in found.items()}
    print(f"{'decoded and preprocessed on the fly':<42}{count / fly:>10.0f} images/s")
    for (way, order), rate in sorted(rates.items()):
        print(f"{way + ', ' + order:<42}{rate:>10.0f} images/s")
    ours = rates["training set", "in order"]
    print(f"times on the fly: {ours * fly / count:.1f}")
    for way in list(ways)[1:]:
        for order in orders:
            ratio = rates["training set", order] / rates[way, order]
            print(f"times {way}, {order}: {ratio:.2f}")
    print(f"in order over shuffled: {ours / rates['training set', 'shuffled']:.2f}")


if __name__ == "__main__":
    main()
