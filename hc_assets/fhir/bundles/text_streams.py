"""The text of a landed file: unpacked, and line by line.

Belongs here: gzip, zstd, the byte-order mark, and saying what is damaged. What the text means is
read in `read.py`.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa

# The media type of NDJSON; it is known by the file's name, without .gz or .zst.
LINES = "application/fhir+ndjson"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHITE_SPACE = b" \t\r\n"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP_MAGIC, _ZSTD_MAGIC)
_DAMAGED = (EOFError, zlib.error, OSError)


class DamagedTextError(Exception):
    """A packed file can't be unpacked; says how it is damaged."""


class Lines:
    """The lines of a file without its byte-order mark, once; they end where it is damaged.

    Attributes:
        damage: after the last line: how the file is damaged; "" where it is not.
        are_blank: whether no line so far held anything.
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream
        self.damage = ""
        self.are_blank = True

    def __iter__(self) -> Iterator[bytes]:
        try:
            for number, line in enumerate(self._stream):
                text = line if number else line.removeprefix(BYTE_ORDER_MARK)
                if self.are_blank and text.strip(WHITE_SPACE):
                    self.are_blank = False
                yield text
        except _DAMAGED as error:
            self.damage = _damage(error)


def is_packed(file: BinaryIO) -> bool:
    """Whether a file is packed with gzip or zstd, by its content.

    Args:
        file: open, seekable; left at its beginning.
    """
    return _magic(file) != b""


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return a file's text, whether it is packed or not.

    Args:
        file: open, seekable.
    """
    magic = _magic(file)
    if magic == _GZIP_MAGIC:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if magic == _ZSTD_MAGIC:
        packed = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        return io.BufferedReader(packed)
    return file


def read_text(stream: BinaryIO) -> bytes:
    """Read an unpacked file to its end.

    Raises:
        DamagedTextError: it can't be unpacked.
        OSError: the disk fails.
    """
    try:
        return stream.read()
    except _DAMAGED as error:
        raise DamagedTextError(_damage(error)) from error


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
