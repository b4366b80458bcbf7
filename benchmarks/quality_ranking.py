"""How the quality score ranks real images and spoiled copies of them.

Belongs here: scoring clean images and their copies, and counting where the order is wrong. The
copies are made by the tests' own `degradations.py`. Run without arguments for the shared images and
pydicom's own, or with folders of DICOM files.
"""

import argparse
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pydicom

from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.measure import measure
from hc_assets_tests.imaging.quality.degradations import DEGRADATIONS, luma, spoiled

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT.parent / "shared" / "data" / "dicom", Path(pydicom.__file__).parent / "data")
MODALITIES = ("CT", "MR", "CR", "DX", "US", "MG")
GATE = 0.5
SLACK = 0.002
"""A rise of the score below this is no rise: it can't be seen in what the reports print."""

# Files whose pixels were replaced by noise before they were published: no image to be clean.
SCRAMBLED = ("dicom2nifti/tests/data/philips/anatomical", "dicom2nifti/tests/data/siemens/dti")


@dataclass
class Tally:
    """Counts of one modality."""

    images: int = 0
    passing: int = 0
    pairs: int = 0
    ranked: int = 0
    steps: int = 0
    falling: int = 0
    heavy: int = 0
    heavy_passing: int = 0
    invariant: int = 0
    wrong: list[str] = field(default_factory=list)


def clean_frames(folders: list[Path]) -> Iterator[tuple[str, Frame]]:
    """Return the first frame of each file with other pixels than those before."""
    seen: set[str] = set()
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.is_file()):
        if any(part in path.as_posix() for part in SCRAMBLED):
            continue
        try:
            frames = [f for f in iter_frames(path, wanted=frozenset([0])) if isinstance(f, Frame)]
        except UnreadableFile:
            continue
        for frame in frames:
            digest = hashlib.sha256(np.ascontiguousarray(frame.pixels).tobytes()).hexdigest()
            wanted = frame.context.modality in MODALITIES and not frame.context.is_labels
            if wanted and digest not in seen and min(frame.pixels.shape[:2]) >= 64:
                seen.add(digest)
                yield path.name, frame


def score(frame: Frame) -> float:
    """Overall quality; -1 where there is none, so that a copy without a score ranks below."""
    overall = measure(frame).overall
    return -1.0 if overall is None else overall


def judge(name: str, frame: Frame, tally: Tally) -> None:
    """Score a clean frame and its copies."""
    original = score(frame)
    if original < 0:
        return
    tally.images += 1
    tally.passing += original >= GATE
    if original < GATE:
        tally.wrong.append(f"{name}: the original has {original:.3f}")
    for kind, degradation in DEGRADATIONS.items():
        scores = [original]
        scores += [score(spoiled(frame, degradation, amount)) for amount in degradation.amounts]
        tally.pairs += len(scores) - 1
        tally.ranked += sum(each < original for each in scores[1:])
        tally.steps += len(scores) - 1
        rises = np.diff(scores)
        tally.falling += int(np.sum(rises <= SLACK))
        tally.heavy += 1
        tally.heavy_passing += scores[-1] >= GATE
        if (rises > SLACK).any() or scores[-1] >= GATE or any(s >= original for s in scores[1:]):
            tally.wrong.append(f"{name} {kind}: " + " ".join(f"{each:.3f}" for each in scores))
    pixels = luma(frame)
    for gain, shift in ((2.0, 0.0), (0.3, 0.0), (1.0, 0.5), (1.7, -0.2)):
        changed = pixels * np.float32(gain) + np.float32(shift * np.ptp(pixels))
        found = score(replace(frame, pixels=changed, is_color=False))
        base = score(replace(frame, pixels=pixels, is_color=False))
        if abs(found - base) > 0.01 * base:
            tally.wrong.append(f"{name} times {gain} plus {shift}: {base:.3f} {found:.3f}")
        else:
            tally.invariant += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=list(FOLDERS))
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--quiet", action="store_true", help="do not list what is wrong")
    arguments = parser.parse_args()
    began = time.perf_counter()
    tallies: dict[str, Tally] = defaultdict(Tally)
    for number, (name, frame) in enumerate(clean_frames(arguments.folders)):
        if number % arguments.every == 0:
            judge(name, frame, tallies[frame.context.modality])
    print("modality  images  pass  ranked           falling steps    heavy passing  invariant")
    for modality, t in sorted(tallies.items()):
        print(
            f"{modality:8}  {t.images:6}  {t.passing:4}  {t.ranked:4} of {t.pairs:4}"
            f"     {t.falling:4} of {t.steps:4}     {t.heavy_passing:3} of {t.heavy:3}"
            f"     {t.invariant:3} of {4 * t.images:3}"
        )
    if not arguments.quiet:
        for modality, t in sorted(tallies.items()):
            for line in t.wrong:
                print(modality, line)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
