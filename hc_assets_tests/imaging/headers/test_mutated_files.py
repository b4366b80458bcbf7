"""Files with random damage: each is accounted for, none takes the reader down or holds it up.

5,000 files by default; `make fuzz` sets HC_FUZZ_FILES and HC_FUZZ_SEED for longer runs. A failure
names seed and number, from which the same file comes again.
"""

import os
import random
import signal
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.pixels import decoding
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.pixels.isolation import DecoderProcess
from hc_assets.imaging.preprocessing.registry import recipe_for
from hc_assets.imaging.quality.gates import explain
from hc_assets.imaging.quality.measure import measure

RUNS = 10
FILES = int(os.environ.get("HC_FUZZ_FILES", "5000")) // RUNS
SEED = int(os.environ.get("HC_FUZZ_SEED", "0"))
FRAMES = 3
MEASURED_EVERY = 25  # measuring costs fifty times what reading does
DECODER_SECONDS = 3.0
FILE_SECONDS = 600

Mutation = Callable[[bytearray, random.Random], None]


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def flip_header_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(128, header_of(data))] = rng.randrange(256)


def put_extreme_lengths(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(128, header_of(data))
    words = [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"SQ\0\0", b"\xfe\xff\x00\xe0"]
    data[at : at + 4] = rng.choice(words)


def remove_a_piece(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 500)]


def double_a_piece(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.randrange(1, 500)]


def change_an_image_attribute(data: bytearray, rng: random.Random) -> None:
    """Rows, Columns, BitsAllocated and the like, with values at the edges of what they hold."""
    tag = struct.pack("<HH", 0x0028, rng.choice([2, 6, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103]))
    at = data.find(tag)
    if at >= 0:
        value = rng.choice([0, 1, 2, 3, 7, 8, 12, 16, 32, 33, 64, 255, 4096, 32768, 65535])
        data[at + 8 : at + 10] = struct.pack("<H", value)


def damage_the_pixels(data: bytearray, rng: random.Random) -> None:
    start = data.rfind(b"\xe0\x7f\x10\x00")
    if 0 <= start < len(data) - 20:
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(start + 8, len(data))] = rng.choice([0, 255, rng.randrange(256)])


MUTATIONS: list[Mutation] = [
    flip_bytes,
    cut,
    flip_header_bytes,
    put_extreme_lengths,
    remove_a_piece,
    double_a_piece,
    change_an_image_attribute,
    damage_the_pixels,
]


def header_of(data: bytearray) -> int:
    return max(129, min(len(data), 3000))


def mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if len(out) > 200:
            rng.choice(MUTATIONS)(out, rng)
    return bytes(out)


@contextmanager
def within(seconds: int, what: str) -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise TimeoutError(f"{what} takes longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def impatient(monkeypatch):
    """A decoder that hangs is ended soon."""
    with DecoderProcess(seconds=DECODER_SECONDS) as process:
        monkeypatch.setattr(decoding, "shared_process", lambda: process)
        yield


@pytest.fixture(scope="module")
def sources() -> list[bytes]:
    """Small files of every kind and transfer syntax that pydicom carries."""
    import pydicom

    folder = Path(pydicom.__file__).parent / "data"
    paths = sorted(path for path in folder.rglob("*.dcm") if 300 < path.stat().st_size < 60_000)
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("run", range(RUNS))
def test_damage_costs_no_more_than_the_file(sources, tmp_path, impatient, run):
    outcomes: Counter[str] = Counter()
    for number in range(FILES):
        name = f"seed {SEED}, run {run}, file {number}"
        rng = random.Random(f"{SEED}-{run}-{number}")  # noqa: S311 - to be repeatable
        path = tmp_path / "mutated.dcm"
        path.write_bytes(mutated(rng.choice(sources), rng))
        with within(FILE_SECONDS, name):
            file = FileToRead(name, path, "0" * 64, path.stat().st_size)
            (found,) = index_files([file], "b")
            indexed, unreadable = found.index.num_rows, found.unreadable.num_rows
            assert (indexed, unreadable) in ((1, 0), (0, 1)), name
            outcomes["unreadable"] += unreadable
            if unreadable:
                assert found.unreadable["reason"][0].as_py(), name
            else:
                is_measured = number % MEASURED_EVERY == 0
                seen = Counter(frames_of(path, name, is_measured=is_measured))
                assert seen or not found.index["has_pixels"][0].as_py(), name
                outcomes.update(seen)
    assert {"unreadable", "frames", "undecodable"} <= outcomes.keys(), outcomes


def frames_of(path: Path, name: str, *, is_measured: bool) -> Iterator[str]:
    seen = []
    for frame in iter_frames(path, wanted=frozenset(range(FRAMES))):
        seen.append(frame.index)
        if not isinstance(frame, Frame):
            assert frame.reason, name
            yield "undecodable"
            continue
        yield "frames"
        assert frame.pixels.ndim == 2 + frame.is_color, name
        if is_measured and 0 < frame.pixels.size < 100_000:
            assert explain(measure(frame), 0.5).text, name
            made = recipe_for(frame.context.modality).run(frame)
            assert np.isfinite(made.pixels).all(), name
    assert seen == list(range(len(seen))), name
