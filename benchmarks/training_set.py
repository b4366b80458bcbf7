"""How fast a training set is read, beside making its arrays on the fly and beside .npy files.

Belongs here: timing of `hc_assets.imaging.training.dataset`. The images are one of pydicom's CT
slices, enlarged to 512 x 512, each with noise of its own, not compressed; `hc-assets ingest` makes
the set of them. Whoever reads copies the arrays into batches of the same size, as training needs
them, in one thread; the peers take turns batch by batch, so that what else the machine does hits
all alike, and the median of the rounds counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.data import get_testdata_file

from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.preprocessing.registry import recipe_for
from hc_assets.imaging.training.dataset import TrainingSet

BATCH = 16
Read = Callable[[np.ndarray, np.ndarray], object]


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
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        paths.append(folder / f"{number}.dcm")
        dataset.save_as(paths[-1])
    return paths


def on_the_fly(path: Path) -> np.ndarray:
    """Decode and preprocess a file's frame."""
    (frame,) = iter_frames(path)
    assert isinstance(frame, Frame)
    return recipe_for(frame.context.modality).run(frame).pixels


def write_set(folder: Path, images: Path) -> Path:
    """Ingest the images, and give the folder of their training set: all of them in one split."""
    settings = {
        "HC_DATA_DIR": str(folder),
        "DAGSTER_HOME": "",
        "HC_IMAGING_STUDIES_TO_FHIR": "false",
        "HC_QUALITY_GATE": "0",
        "HC_QUALITY_TRAINING_GATE": "0",
        "HC_TRAINING_SPLITS": '{"train": 1.0}',
    }
    command = [Path(sys.executable).with_name("hc-assets"), "ingest", "--kind", "dicom", images]
    subprocess.run(command, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)
    return folder / "exports" / "training_set"


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
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        paths = write_images(folder / "images", options.images)
        exported = write_set(folder / "data", folder / "images")
        samples = TrainingSet(exported).split("train", "ct")
        together = np.lib.format.open_memmap(
            folder / "all.npy", "w+", np.float32, (len(samples), *samples.pixels(0).shape)
        )
        for number in range(len(samples)):
            together[number] = samples.pixels(number)
            np.save(folder / f"{number}.npy", samples.pixels(number))
        together.flush()
        compare(folder, paths, exported, options.rounds)


def compare(folder: Path, paths: list[Path], exported: Path, rounds: int) -> None:
    """Print images a second of each way, and the ratios that are claimed."""
    samples = TrainingSet(exported).split("train", "ct")
    count = len(samples)
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
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in paths[:16]:
        begin = time.process_time()
        out[0] = on_the_fly(path)
        found["on the fly", "one by one"].append(time.process_time() - begin)
    for read in ways.values():  # maps are filled, hashes looked at
        timed(read, orders["in order"], out)
    for number in range(rounds):
        fresh = TrainingSet(exported).split("train", "ct").read
        taken = list(ways.items())[:: 1 if number % 2 else -1]
        for order, indices in orders.items():
            turns = [*taken, ("training set, first time", fresh)] if order == "in order" else taken
            for at in range(0, count, BATCH):
                for way, read in turns:
                    found[way, order].append(timed(read, indices[at : at + BATCH], out))
    rates = {key: 1 / statistics.median(times) for key, times in found.items()}
    for (way, order), rate in sorted(rates.items()):
        print(f"{way + ', ' + order:<42}{rate:>10.0f} images/s")
    ours = rates["training set", "in order"]
    print(f"times on the fly: {ours / rates['on the fly', 'one by one']:.1f}")
    for way in list(ways)[1:]:
        for order in orders:
            ratio = rates["training set", order] / rates[way, order]
            print(f"times {way}, {order}: {ratio:.2f}")
    print(f"in order over shuffled: {ours / rates['training set', 'shuffled']:.2f}")


def timed(read: Read, indices: np.ndarray, out: np.ndarray) -> float:
    """Seconds of processor time for each image of some, read a batch at a time."""
    begin = time.process_time()
    for at in range(0, len(indices), len(out)):
        batch = indices[at : at + len(out)]
        read(batch, out[: len(batch)])
    return (time.process_time() - begin) / len(indices)


if __name__ == "__main__":
    main()
