import os
import sys

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from hc_assets.core.fence import RowTimeoutError
from hc_assets.imaging.pixels import decoding, isolation
from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.pixels.isolation import DecoderDiedError, DecoderFailedError, DecoderProcess

# A decoder that does what hostile bytes make native ones do, put in pydicom's place by way of
# the first entry of the module search path
_EVIL = """
import os, time
DECODER_DEPENDENCIES = {"1.2.840.10008.1.2.5": ()}
def is_available(uid): return True
def _decode_frame(src, runner):
    if src[64:68] == b"DIE!": os.abort()
    while src[64:68] == b"WAIT": time.sleep(60)
    if src[64:68] == b"BASE": raise BaseException("a panic")
    raise ValueError("pydicom: its own words")
"""


@pytest.fixture
def evil_decoder(tmp_path, monkeypatch):
    """Gives child processes the RLE decoder above."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, types\n"
        "evil = types.ModuleType('pydicom.pixels.decoders.rle')\n"
        f"exec({_EVIL!r}, evil.__dict__)\n"
        "sys.modules['pydicom.pixels.decoders.rle'] = evil\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.fixture
def hostile(evil_decoder):
    """A process whose RLE decoder is the one above, with time enough on a busy machine."""
    with DecoderProcess(seconds=600, start_seconds=600, end_seconds=600) as process:
        yield process


OPTIONS = {
    "rows": 4,
    "columns": 4,
    "samples_per_pixel": 1,
    "photometric_interpretation": "MONOCHROME2",
    "bits_allocated": 8,
    "bits_stored": 8,
    "pixel_representation": 0,
    "number_of_frames": 1,
}


def send_word(process: DecoderProcess, word: bytes):
    return process.decode(bytes(64) + word, str(RLELossless), "pydicom", OPTIONS)


def test_a_crash_is_reported_and_the_next_frame_gets_a_new_process(hostile):
    with pytest.raises(DecoderDiedError, match=r"took its process down \(signal 6\)"):
        send_word(hostile, b"DIE!")
    with pytest.raises(DecoderFailedError, match="its own words"):
        send_word(hostile, b"none")


def test_a_decoder_that_hangs_is_ended(evil_decoder):
    with (
        DecoderProcess(seconds=0.2, start_seconds=600) as process,
        pytest.raises(DecoderDiedError, match=r"no result after 0\.2 seconds"),
    ):
        send_word(process, b"WAIT")


def test_a_process_that_does_not_get_ready_is_ended(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import time\nwhile True: time.sleep(60)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with (
        DecoderProcess(seconds=600, start_seconds=0.2) as process,
        pytest.raises(DecoderDiedError, match=r"no result after 0\.2 seconds"),
    ):
        send_word(process, b"none")


def test_what_is_no_exception_costs_the_frame_only(hostile):
    with pytest.raises(DecoderFailedError, match="a panic"):
        send_word(hostile, b"BASE")
    with pytest.raises(DecoderFailedError, match="its own words"):
        send_word(hostile, b"none")


def test_memory_is_limited():
    big = OPTIONS | {"rows": 60000, "columns": 60000}
    with DecoderProcess(memory=3 * 1024**3) as process, pytest.raises(DecoderFailedError):
        process.decode(bytes(64), str(RLELossless), "pydicom", big)


def test_a_decoder_that_died_on_a_file_is_not_asked_again(hostile, write_dicom, monkeypatch):
    monkeypatch.setattr(decoding, "shared_process", lambda: hostile)
    monkeypatch.setattr(decoding, "_ORDER", ("pydicom",))
    dataset = dcmread(write_dicom(np.zeros((2, 4, 4), np.uint8)))
    dataset.compress(RLELossless, generate_instance_uid=False)
    path = write_dicom(dataset)
    data = path.read_bytes()
    # The first byte of each segment, where the decoder looks for its word
    at = [i for i in range(len(data)) if data.startswith(b"\x01\0\0\0\x40\0\0\0", i)]
    assert len(at) == 2
    for start in at:
        data = data[: start + 64] + b"DIE!" + data[start + 68 :]
    path.write_bytes(data)
    first, second = iter_frames(path)
    assert isinstance(first, UndecodableFrame)
    assert "signal 6" in first.decoders[0][1]
    assert second.decoders[0][1].endswith("(signal 6), on frame 0")


def test_the_process_outlives_a_file_and_ends_when_closed(testdata):
    path = testdata("MR_small_RLE.dcm")
    (frame,) = iter_frames(path)
    assert isinstance(frame, Frame)
    process = DecoderProcess()
    child = process._running()
    os.kill(child.pid, 0)
    process.close()
    assert child.returncode is not None


def test_the_answer_to_a_request_that_was_interrupted_is_no_later_frames(monkeypatch):
    with DecoderProcess(seconds=600, start_seconds=600, end_seconds=600) as process:
        monkeypatch.setattr(isolation, "_answer", interrupted)
        with pytest.raises(RowTimeoutError):
            send_word(process, b"any")
        monkeypatch.undo()
        assert process._child is None


def interrupted(*_: object) -> None:
    raise RowTimeoutError
