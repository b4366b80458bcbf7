"""How fast an image is judged, beside the textbook formulation: a CT slice, a mammogram, memory.

Belongs here: timing and memory of `hc_assets.imaging.quality.measure.measure`. How well it ranks
images is in `quality_ranking.py`.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.burned_in_text import burned_in_text
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.measure import measure
from hc_assets.imaging.quality.rows import score_files

PROMISED_RATIO, PROMISED_SECONDS, PROMISED_MEGABYTES = 40, 0.5, 1500
SMALL, LOOP = 64, 500


def textbook(pixels: np.ndarray) -> dict[str, float]:
    """Judge an image as introductions do.

    Corner noise, NumPy gradients, a complex FFT of the whole image, its corners as high
    frequencies, and Hough circles for rings, on float64 and on a cast to 8 bits that wraps.
    """
    image = pixels.astype(np.float64)
    side = max(1, min(image.shape) // 10)
    rows = np.concatenate([image[:side], image[-side:]])
    corners = np.concatenate([rows[:, :side], rows[:, -side:]], axis=1)
    noise = float(np.std(corners)) or 1.0
    down, across = np.gradient(image)
    gradient = np.sqrt(down**2 + across**2)
    spectrum = np.abs(np.fft.fftshift(np.fft.fft2(image)))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    radius = np.hypot(y - image.shape[0] / 2, x - image.shape[1] / 2)
    high = float(spectrum[radius > min(image.shape) / 4].sum() / spectrum.sum())
    wrapped = pixels.astype(np.int64).astype(np.uint8)
    circles = cv2.HoughCircles(
        wrapped, cv2.HOUGH_GRADIENT, 1, 20, param1=50, param2=30, minRadius=10, maxRadius=100
    )
    median = np.median(image)
    return {
        "snr": float(np.mean(image)) / noise,
        "cnr": float(image[image > median].mean() - image[image <= median].mean()) / noise,
        "sharpness": float(gradient.mean()),
        "uniformity": 1 - float(np.std(image)) / (float(np.mean(image)) or 1.0),
        "aliasing": high,
        "rings": 0.0 if circles is None else float(circles.shape[1]),
    }


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median processor time of several runs, after one to warm up.

    Processor time, because what else a machine does must not decide; on one thread it is what a
    clock shows where nothing else runs.
    """
    function()
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def first_frame(name: str) -> Frame:
    """First frame of one of pydicom's files."""
    path = get_testdata_file(name, download=False)
    frame = next(iter(iter_frames(Path(str(path)), wanted=frozenset([0]))))
    assert isinstance(frame, Frame)
    return frame


def mammogram() -> Frame:
    """A made-up mammogram of 2,048 by 2,048 pixels: a breast, texture, noise, 12 bits."""
    noise = np.random.default_rng(1)
    y, x = np.mgrid[:2048, :2048] / 2048
    breast = np.clip(1.1 - np.hypot((y - 0.5) / 0.45, x / 0.7), 0, 1) ** 0.3
    texture = cv2.GaussianBlur(noise.normal(0, 1, (2048, 2048)), (0, 0), 12) * 2
    pixels = 300 + 2500 * breast * (1 + 0.3 * texture) + noise.normal(0, 15, (2048, 2048))
    stored = np.clip(pixels, 0, 4095).astype(np.uint16)
    return Frame(0, stored, False, None, (0, 4095), "none", FrameContext(modality="MG"))


def cine(path: Path, frames: int) -> None:
    """Write a made-up ultrasound loop of small frames, each with noise of its own."""
    noise = np.random.default_rng(1)
    y, x = np.mgrid[:SMALL, :SMALL] / SMALL - 0.5
    still = 100 + 800 * (np.hypot(y, x) < 0.4) + 400 * (np.hypot(y, x) < 0.2)
    pixels = still + noise.normal(0, 20, (frames, SMALL, SMALL))
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, "1.2.3"
    dataset.Modality, dataset.NumberOfFrames = "US", frames
    dataset.Rows = dataset.Columns = SMALL
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def memory_of(counts: list[int]) -> list[tuple[int, float]]:
    """Peak memory in MB after scoring so many frames: a loop of 500, read again and again."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.dcm"
        cine(path, LOOP)
        done = 0
        for count in counts:
            files = (FileToRead(f"{n}.dcm", path, "0" * 64, 1) for n in range(done, count, LOOP))
            scored = 0
            for batch in score_files(files, "b", rules=Rules()):
                scored += len(batch.metrics) - batch.metrics["overall_quality"].null_count
            assert scored == count - done, f"{scored} of {count - done} frames have a score"
            done = count
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            found.append((count, peak / (1024 if sys.platform != "darwin" else 1024**2)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=4000, help="of the run on memory, to 100000")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    slice_ = first_frame("693_J2KI.dcm")
    peer = seconds(lambda: textbook(slice_.pixels), max(2, arguments.repeats // 2))
    ours = seconds(lambda: measure(slice_), 3 * arguments.repeats)
    print(
        f"512 x 512 CT slice: textbook {1000 * peer:.0f} ms, ours {1000 * ours:.1f} ms,"
        f" {peer / ours:.0f} times as fast (promised: {PROMISED_RATIO})"
    )
    large = mammogram()
    taken = seconds(lambda: (measure(large), burned_in_text(large)), arguments.repeats)
    print(
        f"2,048 x 2,048 mammogram, searched for text too: {taken:.3f} s"
        f" (promised: {PROMISED_SECONDS})"
    )
    rounds = max(1, arguments.frames // (4 * LOOP))
    counts = [LOOP * rounds * n for n in (1, 2, 4)]
    print(f"memory (promised for 100,000 frames: {PROMISED_MEGABYTES} MB):")
    for count, megabytes in memory_of(counts):
        print(f"  after {count:6} frames: {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
