"""Headers that this process has parsed lately: a file is parsed once, not once by each stage.

Belongs here: keeping them, in bounded memory. Parsing is in `reading.py`. A file is scored, made
arrays of and made a volume of by different steps, which often run in one process, or in worker
processes that outlive a step. The index reads headers in a faster way, and does not need them.
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from hc_assets.imaging.headers.dataset_encoding import LIMITS_OF_INDEXED
from hc_assets.imaging.headers.reading import Header, parse

_MOST_BYTES = 32 * 1024**2

# A landed file never changes; whatever does has another time, size or number
_Identity = tuple[int, int, int, int]


class ParsedHeaders:
    """Headers by file, the last used ones."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._headers: OrderedDict[_Identity, tuple[Header, int]] = OrderedDict()
        self._lock = Lock()

    def parse(self, path: Path, file: BinaryIO) -> tuple[Header, BinaryIO]:
        """As `reading.parse`; not again where this file was parsed lately.

        Args:
            path: of the file, which is in the index.
            file: what `reading.opened` gives for it.

        Returns:
            The header, which nobody may change, and the stream that its pixel offset counts in.

        Raises:
            UnreadableFile: as `reading.parse` does.
        """
        found = path.stat()
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            known = self._headers.get(identity)
            if known is not None:
                self._headers.move_to_end(identity)
                return known[0], file
        header, stream = parse(file, inflated_limits=LIMITS_OF_INDEXED)
        # Of a deflated dataset the stream would have to be held, too: it may be large
        if not header.is_inflated:
            size = found.st_size if header.pixels is None else header.pixels.offset
            self._hold(identity, header, size)
        return header, stream

    def _hold(self, identity: _Identity, header: Header, size: int) -> None:
        if size > self._most:
            return
        with self._lock:
            if identity not in self._headers:
                self._headers[identity] = header, size
                self._held += size
            while self._held > self._most:
                _, (_, gone) = self._headers.popitem(last=False)
                self._held -= gone


PARSED = ParsedHeaders()
"""Of this process."""
