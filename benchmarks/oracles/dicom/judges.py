"""pydicom and GDCM as judges, each in a process of its own that may crash or hang.

Belongs here: the process, and each library's own way from a file to the form of all readers.
`python -m benchmarks.oracles.dicom.judges NAME` serves a judge on standard input and output.
"""

import json
import logging
import os
import resource
import selectors
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.oracles.dicom.neutral import (
    BYTES,
    ITEMS,
    NUMBERS,
    TEXT,
    TEXTS,
    UNKNOWN,
    Dataset,
    Element,
    of_bytes,
    of_text,
)
from benchmarks.oracles.dicom.samples import Cells, frames_of, stored_values, to_rgb
from benchmarks.oracles.dicom.verdict import Verdict

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20.0
"""Time that a judge has for a file."""
START_SECONDS = 120.0
MEMORY = {"pydicom": 4 * 1024**3, "gdcm": 512 * 1024**2}
"""Bytes that a judge may take up: GDCM makes room for any length, and fills it with zeros."""

_LENGTHS = struct.Struct("<QQ")
_PIXELS = 0x7FE00000
_META = 0x0002
_WORDS = 300
_LARGEST = 128 * 1024**2
# So that no decoder of pydicom's is GDCM's
_DECODERS = {
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.5": "pydicom",
}


_CRASHED = Verdict(None, words="it crashed", can_decode=True)


class Judge:
    """A judge's process, started when first asked and again after it ended.

    Args:
        name: pydicom or gdcm.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Judge":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None

    def judge(self, path: Path, most: int) -> Verdict:
        """What the library says of a file: of so many frames at most."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.oracles.dicom.judges", self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            _receive(_pipe(self._child.stdout), START_SECONDS)
        try:
            request = json.dumps({"path": str(path), "most": most}).encode() + b"\n"
            _pipe(self._child.stdin).write(request)
            _pipe(self._child.stdin).flush()
            answer, data = _receive(_pipe(self._child.stdout), SECONDS)
        except (BrokenPipeError, EOFError):
            self.close()
            return _CRASHED
        except TimeoutError:
            self.close()
            return Verdict(None, words="it took too long", can_decode=True)
        return _verdict(answer, data)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise EOFError
    return pipe


def _receive(pipe: IO[bytes], seconds: float) -> tuple[dict[str, Any], bytes]:
    deadline = time.monotonic() + seconds
    head_size, data_size = _LENGTHS.unpack(_read(pipe, _LENGTHS.size, deadline))
    answer: dict[str, Any] = json.loads(_read(pipe, head_size, deadline))
    return answer, _read(pipe, data_size, deadline)


def _read(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    found = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(found) < size:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            piece = os.read(pipe.fileno(), size - len(found))
            if not piece:
                raise EOFError
            found += piece
    return bytes(found)


def _verdict(answer: dict[str, Any], data: bytes) -> Verdict:
    frames: list[NDArray[Any] | None] = []
    at = 0
    for frame in answer.pop("frames"):
        if frame is None:
            frames.append(None)
            continue
        kind, shape = np.dtype(frame[0]), frame[1]
        size = kind.itemsize * int(np.prod(shape))
        frames.append(np.frombuffer(data[at : at + size], kind).reshape(shape))
        at += size
    return Verdict(frames=frames, **answer)


def _send(verdict: Verdict) -> None:
    frames = [
        None if frame is None else [frame.dtype.str, list(frame.shape)] for frame in verdict.frames
    ]
    answer = {
        "dataset": verdict.dataset,
        "is_partial": verdict.is_partial,
        "words": verdict.words[:_WORDS],
        "can_decode": verdict.can_decode,
        "frames": frames,
    }
    data = b"".join(
        np.ascontiguousarray(each).tobytes() for each in verdict.frames if each is not None
    )
    head = json.dumps(answer).encode()
    sys.stdout.buffer.write(_LENGTHS.pack(len(head), len(data)) + head + data)
    sys.stdout.buffer.flush()


def by_pydicom(path: Path, most: int) -> Verdict:
    """What pydicom says of a file."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path, force=True)
    except Exception as error:  # noqa: BLE001 - whatever it raises is its verdict
        return Verdict(None, words=f"{type(error).__name__}: {error}", can_decode=True)
    found = _pydicom_dataset(dataset, is_top=True)
    if not found:
        return Verdict(None, words="no elements", can_decode=True)
    words: list[str] = []
    frames = _pydicom_frames(dataset, most, words) if most else []
    return Verdict(found, words="; ".join(words), frames=frames, can_decode=True)


def _is_compared(tag: int) -> bool:
    return tag >> 16 != _META and tag < _PIXELS


def _pydicom_dataset(dataset: Any, *, is_top: bool = False) -> Dataset:
    found: Dataset = {}
    for tag in list(dataset.keys()):
        if int(tag) & 0xFFFF == 0 or (is_top and not _is_compared(int(tag))):
            continue
        try:
            element = dataset[tag]
            found[f"{int(tag):08X}"] = _pydicom_element(element)
        except Exception:  # noqa: BLE001 - a value that it refuses is no opinion
            found[f"{int(tag):08X}"] = ("??", UNKNOWN, None)
    return found


def _pydicom_element(element: Any) -> Element:
    vr, value = str(element.VR), element.value
    if vr == "SQ":
        return vr, ITEMS, [_pydicom_dataset(item) for item in value]
    if value is None or (isinstance(value, str | bytes | list) and not value):
        return vr, TEXT, []
    if isinstance(value, bytes):
        return vr, BYTES, value.hex()
    values = list(value) if element.VM > 1 and not isinstance(value, str) else [value]
    if vr == "AT":
        return vr, TEXT, [f"{int(each):08X}" for each in values]
    if vr in TEXTS:
        texts = ["" if each is None else _sent(each) for each in values]
        return of_text(vr, "\\".join(texts))
    return vr, NUMBERS, [float(each) for each in values]


def _sent(value: Any) -> str:
    """A text as it was sent; numbers keep theirs."""
    sent = getattr(value, "original_string", value)
    return sent if isinstance(sent, str) else str(value)


def _pydicom_frames(dataset: Any, most: int, words: list[str]) -> list[NDArray[Any] | None]:
    from pydicom.pixels import pixel_array

    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return []
    try:
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        count = int(dataset.get("NumberOfFrames") or 1)
    except Exception as error:  # noqa: BLE001
        words.append(str(error))
        return [None]
    frames: list[NDArray[Any] | None] = []
    plugins = [_DECODERS.get(syntax, "pylibjpeg" if ".1.2.4." in syntax else ""), ""]
    for index in range(min(max(count, 1), most)):
        frame = None
        for plugin in dict.fromkeys(plugins):
            try:
                frame = pixel_array(dataset, index=index, decoding_plugin=plugin)
                break
            except Exception as error:  # noqa: BLE001
                words.append(str(error)[:100])
        frames.append(None if frame is None else _pydicom_values(dataset, frame))
        if frame is None and index >= 2 and frames[-2] is None:
            break
    return frames


def _pydicom_values(dataset: Any, frame: NDArray[Any]) -> NDArray[Any]:
    frame = frame.astype(frame.dtype.newbyteorder("="), copy=False)
    allocated = int(dataset.BitsAllocated)
    stored = int(dataset.get("BitsStored") or allocated)
    if frame.dtype.kind not in "iu" or allocated != frame.dtype.itemsize * 8 or frame.ndim == 3:
        return frame
    high = dataset.get("HighBit")
    cells = Cells(
        *(*frame.shape, 1, allocated, stored),
        *(stored - 1 if high is None else int(high), bool(dataset.get("PixelRepresentation"))),
        *(1, "", False),
    )
    return stored_values(frame, cells) if cells.frame_bytes else frame


def by_gdcm(path: Path, most: int) -> Verdict:
    """What GDCM says of a file."""
    import gdcm

    reader = gdcm.Reader()
    reader.SetFileName(str(path))
    if not reader.Read():
        return Verdict(None, words="Reader.Read is false", can_decode=True)
    is_little = "Big" not in str(reader.GetFile().GetHeader().GetDataSetTransferSyntax())
    found = _gdcm_dataset(gdcm, reader.GetFile().GetDataSet(), is_little, is_top=True)
    words: list[str] = []
    frames = _gdcm_frames(gdcm, path, most, words) if most else []
    return Verdict(found or None, words="; ".join(words), frames=frames, can_decode=True)


def _gdcm_dataset(gdcm: Any, dataset: Any, is_little: bool, *, is_top: bool = False) -> Dataset:
    found: Dataset = {}
    for element in dataset.GetDES():
        tag = element.GetTag()
        number = tag.GetGroup() << 16 | tag.GetElement()
        if number & 0xFFFF == 0 or (is_top and not _is_compared(number)):
            continue
        found[f"{number:08X}"] = _gdcm_element(gdcm, element, is_little)
    return found


def _gdcm_element(gdcm: Any, element: Any, is_little: bool) -> Element:
    vr = str(element.GetVR())
    value = element.GetByteValue()
    if vr == "SQ" or (value is None and element.GetVL().IsUndefined()):
        if element.IsEmpty() or element.GetVL() == gdcm.VL(0):
            return "SQ", ITEMS, []
        items = element.GetValueAsSQ()
        if items is None:
            return vr, UNKNOWN, None
        return (
            "SQ",
            ITEMS,
            [
                _gdcm_dataset(gdcm, items.GetItem(number).GetNestedDataSet(), is_little)
                for number in range(1, items.GetNumberOfItems() + 1)
            ],
        )
    if value is None or value.GetLength() == gdcm.VL(0):
        return vr, TEXT, []
    data = value.GetBuffer()
    data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    if data[:4] == b"\xfe\xff\x00\xe0":
        return vr, UNKNOWN, None
    if vr in ("UN", "??", "OB", "OW") and not is_little:
        return vr, UNKNOWN, None
    return of_bytes(vr, data)


def _gdcm_frames(gdcm: Any, path: Path, most: int, words: list[str]) -> list[NDArray[Any] | None]:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        words.append("ImageReader.Read is false")
        return [None]
    image = reader.GetImage()
    form = image.GetPixelFormat()
    sizes = [image.GetDimension(number) for number in range(image.GetNumberOfDimensions())]
    if len(sizes) < 2 or image.GetBufferLength() > _LARGEST:
        words.append("no size that can be")
        return [None]
    cells = Cells(
        rows=sizes[1],
        columns=sizes[0],
        samples=form.GetSamplesPerPixel(),
        allocated=form.GetBitsAllocated(),
        stored=form.GetBitsStored(),
        high_bit=form.GetHighBit(),
        is_signed=form.GetPixelRepresentation() == 1,
        frames=sizes[2] if len(sizes) > 2 else 1,
        photometric=str(image.GetPhotometricInterpretation()).strip(),
        is_planar=image.GetPlanarConfiguration() == 1,
    )
    buffer = image.GetBuffer()
    data = buffer.encode("utf-8", "surrogateescape") if isinstance(buffer, str) else buffer
    if not data:
        words.append("GetBuffer is empty")
        return [None]
    found = frames_of(data, cells, most)
    return [None if each is None else to_rgb(each, cells.photometric) for each in found]


_Judge = Callable[[Path, int], Verdict]
_JUDGES: dict[str, _Judge] = {"pydicom": by_pydicom, "gdcm": by_gdcm}


def main(name: str) -> None:
    """Serve a judge."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY[name], MEMORY[name]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if name == "gdcm":
        import gdcm

        for quiet in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
            quiet()
    judge = _JUDGES[name]
    _send(Verdict(None))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        path, most = Path(request["path"]), request["most"]
        if name == "gdcm":
            _answer_in_a_child(judge, path, most)
        else:
            _answer(judge, path, most)


def _answer_in_a_child(judge: _Judge, path: Path, most: int) -> None:
    """Answer, of a library that ends its process with one file in twenty."""
    # It may be the frames alone that it can't bear
    for some in (most, 0):
        child = os.fork()
        if not child:
            _answer(judge, path, some, has_crashed=some != most)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return
    _send(_CRASHED)


def _answer(judge: _Judge, path: Path, most: int, *, has_crashed: bool = False) -> None:
    try:
        verdict = judge(path, most)
    except Exception as error:  # noqa: BLE001 - a judge that raises refuses
        verdict = Verdict(None, words=f"{type(error).__name__}: {error}", can_decode=True)
    _send(replace(verdict, words="it crashed", can_decode=True) if has_crashed else verdict)


if __name__ == "__main__":
    main(sys.argv[1])
