"""The text of a landed file: unpacked, and line by line, within limits.

Belongs here: gzip, zstd, the byte-order mark, and saying what is damaged or too large. What the
text means is read in `read.py`.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow as pa

from hc_assets.fhir.r4.json_text import MAX_BYTES
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.archives import DEFAULT_LIMITS, ArchiveLimits

# The media type of NDJSON; it is known by the file's name, without .gz or .zst.
LINES = "application/fhir+ndjson"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHITE_SPACE = b" \t\r\n"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP_MAGIC, _ZSTD_MAGIC)
_DAMAGED = (EOFError, zlib.error, OSError)


# Texts are read in pieces of so many bytes: a length that is only allowed must not be allocated.
_PIECE = 1024**2
_BUFFER = 128 * 1024


class TextLimits(NamedTuple):
    """How much of a file is read.

    Attributes:
        text: bytes of a JSON document, or of a line.
        packed: what a file that is packed with gzip or zstd may unpack to.
    """

    text: int = MAX_BYTES
    packed: ArchiveLimits = DEFAULT_LIMITS

    @classmethod
    def configured(cls, settings: FhirSettings) -> "TextLimits":
        """Take the limits that a deployment's settings name."""
        return cls(settings.fhir_text_bytes, ArchiveLimits.configured(settings))


DEFAULT_TEXT_LIMITS = TextLimits()


class DamagedTextError(Exception):
    """A file can't be read to its end; says how it is damaged, or what limit it exceeds."""


class LongLine(bytes):
    """In place of a line that is too long; no JSON itself.

    Attributes:
        problem: says so.
    """

    problem: str

    @classmethod
    def of(cls, limit: int) -> "LongLine":
        """Take the place of a line of more bytes than the limit."""
        line = cls(b"{\n")
        line.problem = f"a line of more than {limit} bytes"
        return line


class Lines:
    """The lines of a file without its byte-order mark, once; they end where it is damaged.

    Attributes:
        damage: after the last line: how the file is damaged; "" where it is not.
        are_blank: whether no line so far held anything.
        count: how many lines there were so far.
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream
        self.damage = ""
        self.are_blank = True
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for line in self._stream:
                text = line if self.count else line.removeprefix(BYTE_ORDER_MARK)
                if self.are_blank and text.strip(WHITE_SPACE):
                    self.are_blank = False
                self.count += 1
                yield text
        except DamagedTextError as error:
            self.damage = str(error)
        except _DAMAGED as error:
            self.damage = _damage(error)


def bounded_lines(stream: BinaryIO, limit: int, size: int | None = None) -> Iterator[bytes]:
    """Read lines with their ends; a `LongLine` stands for one that is too long.

    Args:
        stream: open where the first line begins.
        limit: bytes of a line.
        size: bytes of all lines that are read; None for all that there are.

    Raises:
        DamagedTextError: as for reading from the stream.
    """
    read = 0
    while size is None or read < size:
        line = stream.readline(limit + 1)
        if not line:
            return
        read += len(line)
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        del line
        read += skip_line(stream)
        yield LongLine.of(limit)


def skip_line(stream: BinaryIO) -> int:
    """Go to the end of a line, whatever its length; says how many bytes there were."""
    passed = 0
    while piece := stream.readline(_PIECE):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def is_packed(file: BinaryIO) -> bool:
    """Whether a file is packed with gzip or zstd, by its content.

    Args:
        file: open, seekable; left at its beginning.
    """
    return _magic(file) != b""


def unpacked(file: BinaryIO, limits: TextLimits = DEFAULT_TEXT_LIMITS) -> BinaryIO:
    """Return a file's text, whether it is packed or not.

    Args:
        file: open, seekable.
        limits: of what it may unpack to. Reading more raises DamagedTextError.
    """
    magic = _magic(file)
    if not magic:
        return file
    allowed = limits.packed.unpacked(file.seek(0, os.SEEK_END))
    file.seek(0)
    if magic == _GZIP_MAGIC:
        return io.BufferedReader(
            _Unpacked(gzip.GzipFile(fileobj=file, mode="rb"), allowed), _BUFFER
        )
    stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    return io.BufferedReader(_Unpacked(stream, allowed), _BUFFER)


class _Unpacked(io.RawIOBase):
    """An unpacked stream that ends with an error where it goes on for too long."""

    def __init__(self, stream: Any, allowed: int) -> None:
        self._stream, self._allowed, self._left = stream, allowed, allowed

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes.

        Raises:
            DamagedTextError: there are more than allowed.
        """
        # read1 gives what is unpacked so far: what comes before damage is not lost to it.
        read = getattr(self._stream, "read1", self._stream.read)
        data = read(min(len(buffer), self._left) or 1)
        if data and not self._left:
            raise DamagedTextError(f"the file unpacks to more than {self._allowed} bytes")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def head_of(stream: BinaryIO, size: int) -> bytes:
    """Return the first bytes of an unpacked file, which stays at its beginning.

    Args:
        stream: open at its beginning.
        size: how many; fewer where it is packed, damaged or shorter.
    """
    if stream.seekable():
        head = stream.read(size)
        stream.seek(0)
        return head
    try:
        return cast(io.BufferedReader, stream).peek(size)[:size]
    except (DamagedTextError, *_DAMAGED):
        return b""  # whoever reads it meets the same error, and reports it


def read_text(stream: BinaryIO, limit: int = MAX_BYTES) -> bytes:
    """Read an unpacked file to its end.

    Args:
        stream: open at its beginning.
        limit: bytes that it may have.

    Raises:
        DamagedTextError: it can't be unpacked, or is too large.
        OSError: the disk fails.
    """
    if stream.seekable():
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size > limit:
            raise DamagedTextError(f"the text has more than {limit} bytes")
        return stream.read()
    pieces = []
    size = 0
    try:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > limit:
                raise DamagedTextError(f"the text has more than {limit} bytes")
            pieces.append(piece)
    except _DAMAGED as error:
        raise DamagedTextError(_damage(error)) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _magic(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(max(map(len, _MAGICS)))
    file.seek(0)
    return next((magic for magic in _MAGICS if head.startswith(magic)), b"")


def _damage(error: Exception) -> str:
    # Arrow reads zstd and raises a bare OSError; a failing disk has a number.
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        if error.errno is not None:
            raise error
        return "zstd is damaged"
    return f"gzip is damaged: {error}"
