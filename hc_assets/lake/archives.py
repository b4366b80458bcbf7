"""What is in a ZIP or tar archive, within limits, without a byte written where its names say.

Belongs here: telling archives, walking their members, and refusing what would fill the disk, leads
out of the archive, or is no file. Taking the members' bytes is in `landing.py`.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, NamedTuple, cast

from hc_assets.core.settings import CoreSettings
from hc_assets.lake.sources import UnreadableSourceError, read, read_problem

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAR, _TAR_AT = b"ustar", 257
_TAR_HEADER = 512
_DICM, _DICM_AT = b"DICM", 128
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": cast(Callable[[IO[bytes]], IO[bytes]], gzip.open),
    b"BZh": cast(Callable[[IO[bytes]], IO[bytes]], bz2.open),
    b"\xfd7zXZ\x00": cast(Callable[[IO[bytes]], IO[bytes]], lzma.open),
}
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, NotImplementedError, struct.error, UnicodeDecodeError, OverflowError, ValueError),
)
"""What the readers of the standard library raise on archives that are not what they should be."""

_METADATA_LIMIT = 1024**2
_ZIP_ENTRY = 46 + 256  # bytes of a central directory entry (APPNOTE 4.3.12) with a long name
_DRIVE = re.compile(r"[A-Za-z]:")


class ArchiveLimits(NamedTuple):
    """How much an archive, or a packed file, may hold.

    Attributes:
        files: members, folders included.
        size: bytes that it unpacks to.
        ratio: how many times its own size it may unpack to.
        always: bytes that it may unpack to whatever its own size.
    """

    files: int = 1_000_000
    size: int = 64 * 1024**3
    ratio: int = 200
    always: int = 1024**3

    @classmethod
    def configured(cls, settings: CoreSettings) -> "ArchiveLimits":
        """Take the limits that a deployment's settings name."""
        return cls(settings.archive_files, settings.archive_bytes, settings.archive_ratio)

    def unpacked(self, packed: int) -> int:
        """Bytes that something of so many bytes may unpack to."""
        return min(self.size, max(self.always, self.ratio * packed))


DEFAULT_LIMITS = ArchiveLimits()


class Member(NamedTuple):
    """A file of an archive.

    Attributes:
        name: in the archive, with forward slashes.
        size: of its bytes as the archive says, which need not be true.
        problem: why it can't be taken; "" where it can.
        open: opens its bytes. It is to be called before the next member is asked for.
    """

    name: str
    size: int
    problem: str
    open: Callable[[], IO[bytes]]


class ArchiveError(Exception):
    """An archive can't be walked to its end; the text says why, and follows its name."""


class MemberError(Exception):
    """A member can't be read, the others may; the text says why, and follows its name."""


def archive_in(file: IO[bytes]) -> bool:
    """Whether an open file is a ZIP or tar archive, compressed or not, whatever its name.

    A DICOM file is none, though its preamble may look like one. The file is left at its start.

    Raises:
        UnreadableSourceError: it can't be read.
    """
    head = read(file, _TAR_HEADER)
    file.seek(0)
    if head[_DICM_AT : _DICM_AT + len(_DICM)] == _DICM:
        return False
    return head.startswith(_ZIP) or _is_tar(head) or _is_compressed_tar(file, head)


def _is_tar(head: bytes) -> bool:
    return head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def _is_compressed_tar(file: IO[bytes], head: bytes) -> bool:
    opener = _opener(head)
    if opener is None:
        return False
    try:
        return _is_tar(opener(file).read(_TAR_HEADER))
    except (OSError, *_DAMAGE):
        return False  # whoever takes it for what it is will say what is wrong
    finally:
        file.seek(0)


def _opener(head: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    return next((open_ for magic, open_ in _COMPRESSED.items() if head.startswith(magic)), None)


def members(file: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """Walk the files of an archive, in its order.

    Folders, and names that begin with a dot, are passed over, as in `discovery.discover`. Of two
    files of one name the second is called "name (2)".

    Args:
        file: open at its start; `archive_in` holds for it.
        limits: how much it may hold.

    Yields:
        Each file. Opening or reading one raises MemberError where it alone is damaged, otherwise
        as below.

    Raises:
        ArchiveError: it is damaged, or a limit is reached. What was read before is good.
        UnreadableSourceError: it can't be read.
    """
    head = read(file, _TAR_HEADER)
    budget = _Budget(limits, file.seek(0, os.SEEK_END))
    file.seek(0)
    walk = _zip_members if head.startswith(_ZIP) else _tar_members
    seen: Counter[str] = Counter()
    try:
        for member in walk(file, budget):
            budget.count()
            parts = member.name.split("/")
            is_hidden = any(part.startswith(".") and part != "." for part in parts)
            if is_hidden and not member.problem:
                continue
            seen[member.name] += 1
            if seen[member.name] > 1:
                member = member._replace(name=f"{member.name} ({seen[member.name]})")  # noqa: PLW2901
            yield member
    except _DAMAGE as error:
        raise ArchiveError("is a damaged archive") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableSourceError(read_problem(error)) from error


class _Budget:
    """What is left of an archive's limits."""

    def __init__(self, limits: ArchiveLimits, packed: int) -> None:
        self.files = limits.files
        self._members = 0
        self._size = limits.unpacked(packed)
        self._left = self._size

    def count(self) -> None:
        self._members += 1
        if self._members > self.files:
            raise ArchiveError(f"is an archive of more than {self.files} members")

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ArchiveError(f"is an archive that unpacks to more than {self._size} bytes")


class _Counted(io.RawIOBase):
    """A stream whose bytes count against the limits of their archive."""

    def __init__(self, stream: IO[bytes], spend: Callable[[int], None], damage: Exception) -> None:
        self._stream, self._spend, self._damage = stream, spend, damage

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read at most as much as there is room for.

        Raises:
            Exception: the error given, where the stream is damaged.
        """
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGE as error:
            raise self._damage from error
        self._spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the stream beneath."""
        self._stream.close()
        super().close()


def _counted(stream: IO[bytes], spend: Callable[[int], None], damage: Exception) -> IO[bytes]:
    return io.BufferedReader(_Counted(stream, spend, damage), 64 * 1024)


def _zip_members(file: IO[bytes], budget: _Budget) -> Iterator[Member]:
    _require_small_directory(file, budget)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            problem = _name_problem(info.filename)
            if info.is_dir() and not problem:
                budget.count()
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                problem = "is a link in an archive"
            elif info.flag_bits & 1:
                problem = "is encrypted"
            opening = partial(_opened_zip_member, archive, info, budget)
            yield Member(info.filename, info.file_size, problem, opening)


def _opened_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget
) -> IO[bytes]:
    damage = MemberError("is damaged in its archive")
    try:
        stream = archive.open(info)
    except NotImplementedError as error:
        raise MemberError("is compressed in a way that can't be read") from error
    except _DAMAGE as error:
        raise damage from error
    return _counted(stream, budget.spend, damage)


def _require_small_directory(file: IO[bytes], budget: _Budget) -> None:
    """Refuse a central directory of too many entries before zipfile reads all of it.

    Raises:
        ArchiveError: it lists more members than allowed, or there is none.
    """
    size = file.seek(0, os.SEEK_END)
    tail_size = min(size, 22 + 0xFFFF + 20)
    file.seek(size - tail_size)
    tail = read(file, tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise ArchiveError("is a damaged archive")
    (length,) = struct.unpack_from("<12xL", tail, at)
    locator = tail[max(0, at - 20) : at]
    if locator.startswith(b"PK\x06\x07"):  # ZIP64 (APPNOTE 4.3.14)
        file.seek(struct.unpack_from("<8xQ", locator)[0])
        record = read(file, 56)
        if not record.startswith(b"PK\x06\x06") or len(record) < 56:
            raise ArchiveError("is a damaged archive")
        (length,) = struct.unpack_from("<40xQ", record)
    if length > budget.files * _ZIP_ENTRY:
        raise ArchiveError(f"is an archive whose directory is too large for {budget.files} members")


class _TarHeader(tarfile.TarInfo):
    """A header whose own metadata stay small, since tarfile reads those into memory at once."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_TarHeader":
        info = super().frombuf(buf, encoding, errors)
        is_metadata = info.type not in tarfile.SUPPORTED_TYPES or info.type in (
            *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
            *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        )
        if is_metadata and info.size > _METADATA_LIMIT:
            raise tarfile.HeaderError("metadata of more than 1 MiB")
        return info


def _tar_members(file: IO[bytes], budget: _Budget) -> Iterator[Member]:
    opener = _opener(read(file, _TAR_HEADER))
    file.seek(0)
    stream = opener(file) if opener else io.BufferedReader(_Unclosed(file))
    damage = ArchiveError("is a damaged archive")
    with (
        _counted(stream, budget.spend, damage) as counted,
        tarfile.open(fileobj=counted, mode="r|", tarinfo=_TarHeader) as archive,
    ):
        for info in archive:
            problem = _name_problem(info.name)
            if info.isdir() and not problem:
                budget.count()
                continue
            if info.issym() or info.islnk():
                problem = "is a link in an archive"
            elif not info.isfile() and not problem:
                problem = "is neither a file nor a folder"
            name = os.fsencode(info.name).decode("utf-8", "backslashreplace")
            yield Member(name, info.size, problem, partial(_opened_tar_member, archive, info))
            archive.members.clear()  # type: ignore[attr-defined] # it would remember every one


def _opened_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(info)
    if stream is None:
        raise MemberError("is neither a file nor a folder")
    # Its bytes were counted when they were unpacked
    return _counted(stream, lambda _: None, ArchiveError("is a damaged archive"))


class _Unclosed(io.RawIOBase):
    """An open file that stays open when this is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read at most as much as there is room for."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _name_problem(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "has a name that leads out of its archive"
    return ""
