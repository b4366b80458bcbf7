"""Files made to take a reader down: refused or read in bounded time and memory, in a process of
their own whose peak is measured."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

SECONDS = 600
PEAK_BYTES = 600 * 1024**2

# Reads a file as the assets do, and says what became of it and what it cost
_READ = """
import json, resource, sys
from pathlib import Path
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import index_files
path = Path(sys.argv[1])
(found,) = index_files([FileToRead("f", path, "0" * 64, 1)], "b")
outcome = {
    "unreadable": found.unreadable["reason"].to_pylist(),
    "warnings": sum(found.index["warnings"].to_pylist(), []),
    "frames": 0,
    "reasons": [],
}
try:
    for frame in iter_frames(path):
        if isinstance(frame, Frame):
            outcome["frames"] += 1
        elif len(outcome["reasons"]) < 5:
            outcome["reasons"].append(frame.reason + " " + str(frame.decoders))
except UnreadableFile:
    pass
from hc_assets.imaging.pixels.isolation import shared_process
shared_process().close()
# Of its own: ru_maxrss begins with what the process had that started this one
(own,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines()
    if line.startswith("VmHWM:"))
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps(outcome | {"peak": max(own, children) * 1024}))
"""


def read(path: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", _READ, path],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["peak"] < PEAK_BYTES, outcome
    return outcome


def element(group: int, number: int, vr: bytes, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH2sHL", group, number, vr, 0, length) + value


def item(length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, length) + value


@pytest.fixture
def spliced(write_dicom) -> Callable[[bytes], Path]:
    """A good file with bytes put before its pixels."""

    def write(hostile: bytes) -> Path:
        path = write_dicom(np.zeros((4, 4), np.uint16))
        data = path.read_bytes()
        at = data.index(b"\xe0\x7f\x10\x00")
        path.write_bytes(data[:at] + hostile + data[at:])
        return path

    return write


def test_ten_thousand_nested_sequences_of_undefined_length(spliced):
    opening = element(0x0040, 0xA730, b"SQ", 2**32 - 1) + item(2**32 - 1)
    outcome = read(spliced(opening * 10_000))
    assert outcome["unreadable"] == ["sequences are nested too deep"]


def test_ten_thousand_nested_sequences_of_defined_length(spliced):
    content = b""
    for _ in range(10_000):
        content = item(len(content), content)
        content = element(0x0040, 0xA730, b"SQ", len(content), content)
    outcome = read(spliced(content))
    assert any("nested too deep" in text for text in outcome["warnings"] + outcome["unreadable"])


@pytest.mark.parametrize("vr", [b"OB", b"UT", b"UN", b"SQ"])
def test_an_element_of_four_gigabytes(spliced, vr):
    outcome = read(spliced(element(0x0040, 0xA730, vr, 2**32 - 2)))
    assert any("truncated" in text for text in outcome["warnings"] + outcome["unreadable"])


def test_an_item_of_four_gigabytes(spliced):
    hostile = element(0x0040, 0xA730, b"SQ", 2**32 - 1) + item(2**32 - 2)
    outcome = read(spliced(hostile))
    assert outcome["warnings"] or outcome["unreadable"]


def test_pixels_that_say_they_are_four_gigabytes(write_dicom):
    path = write_dicom(np.zeros((4, 4), np.uint16), Rows=65535, Columns=65535)
    data = path.read_bytes()
    at = data.rindex(b"\xe0\x7f\x10\x00") + 8
    path.write_bytes(data[:at] + struct.pack("<L", 2**32 - 2) + data[at + 4 :])
    outcome = read(path)
    assert outcome["frames"] == 0
    assert "more than the 1073741824 that are allowed" in outcome["reasons"][0]


def compressed(write_dicom, syntax: str, frame: bytes, rows: int, columns: int) -> Path:
    path = write_dicom(np.zeros((4, 4), np.uint8), Rows=rows, Columns=columns)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def jpeg(rows: int, columns: int) -> bytes:
    """A tiny baseline JPEG that says it is of any size."""
    tables = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    frame = struct.pack(">HHBHHBBBB", 0xFFC0, 11, 8, rows, columns, 1, 1, 0x11, 0)
    huffman = b"\xff\xc4\x00\x14\x00" + bytes([1] + [0] * 15) + b"\x00"
    huffman += b"\xff\xc4\x00\x14\x10" + bytes([1] + [0] * 15) + b"\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(64)
    return b"\xff\xd8" + tables + frame + huffman + scan + b"\xff\xd9"


def j2k(rows: int, columns: int) -> bytes:
    sizes = struct.pack(">LLLLLLLLH", columns, rows, 0, 0, columns, rows, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + struct.pack(">HH", 41, 0) + sizes + b"\x07\x01\x01" + bytes(60)


@pytest.mark.parametrize(
    ("syntax", "bomb"), [(JPEGBaseline8Bit, jpeg), (JPEG2000Lossless, j2k)], ids=["jpeg", "j2k"]
)
@pytest.mark.parametrize(
    ("declared", "words"),
    [(4, "65535 by 65535 pixels, the header says"), (65535, "a frame takes up 4294836225 bytes")],
)
def test_a_bomb_of_65535_squared(write_dicom, syntax, bomb, declared, words):
    outcome = read(compressed(write_dicom, syntax, bomb(65535, 65535), declared, declared))
    assert outcome["frames"] == 0
    assert words in outcome["reasons"][0]


def test_a_second_frame_header_within_a_jpeg_costs_no_more_than_the_decoders_limits(write_dicom):
    honest, bomb = jpeg(4, 4), jpeg(65535, 65535)
    outcome = read(compressed(write_dicom, JPEGBaseline8Bit, honest[:-2] + bomb[2:], 4, 4))
    assert outcome["frames"] + len(outcome["reasons"]) == 1


def test_two_billion_frames(write_dicom):
    outcome = read(write_dicom(np.zeros((4, 4), np.uint16), NumberOfFrames=2**31 - 1))
    assert "more than the 1048576 that are read" in outcome["reasons"][0]


def test_a_fragment_of_four_gigabytes(write_dicom):
    path = compressed(write_dicom, RLELossless, bytes(64) + b"\xf1\0", 4, 4)
    data = path.read_bytes()
    at = data.rindex(struct.pack("<HHL", 0xFFFE, 0xE000, 66)) + 4
    path.write_bytes(data[:at] + struct.pack("<L", 2**32 - 2) + data[at + 4 :])
    assert "truncated" in read(path)["reasons"][0]


def test_run_lengths_that_point_anywhere(write_dicom):
    frame = struct.pack("<16L", 15, *[2**32 - 1] * 15) + b"\x81\xff" * 1000
    outcome = read(compressed(write_dicom, RLELossless, frame, 60_000, 16_000))
    assert outcome["frames"] == 0
    assert outcome["reasons"]
