"""What is to be judged of files, archives and standard input, cut for worker processes.

Belongs here: opening what is named, and reading the entries of a piece of work. Judging them is in
`files.py`. An archive is judged as the files in it, which is what landing takes of it.
"""

import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, NamedTuple, cast

import msgspec

from hc_assets.fhir.bundles.entries import Entry, Unreadable
from hc_assets.fhir.bundles.formats import HEAD_BYTES, other_format
from hc_assets.fhir.bundles.read import ending, entries_of_lines, read_entries
from hc_assets.fhir.bundles.text_streams import (
    BYTE_ORDER_MARK,
    LINES,
    WHITE_SPACE,
    Lines,
    TextLimits,
    bounded_lines,
    head_of,
    is_packed,
    skip_line,
    unpacked,
)
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.lake.archives import ArchiveError, Member, MemberError, archive_in, members
from hc_assets.lake.discovery import Found, as_local
from hc_assets.lake.sources import UnreadableSourceError

# What stands for standard input among files, and names it in what is printed.
STDIN = "-"
_DOCUMENT = "application/fhir+json"
# Members of archives and standard input can be read once: they wait in memory, or, from this size,
# in a file without a name that is gone with the process.
_IN_MEMORY = 32 * 1024**2


class Sharing(NamedTuple):
    """How work is cut for worker processes.

    Attributes:
        size: bytes of a piece of work.
        resources: of a piece of work, at most.
        per_worker: bytes below which one more process costs more to start than it saves.
    """

    size: int = 4 * 1024**2
    resources: int = 2_000
    per_worker: int = 16 * 1024**2


@dataclass(frozen=True)
class FileWork:
    """Work for one process: entries that have been read, a whole file, or lines of one.

    Attributes:
        file: its name.
        entries: what is to be judged; None for what is still in the file.
        begin: where the lines begin.
        end: where they end; None for all of the file.
        problem: why the file can't be read any further.
    """

    file: str
    entries: tuple[Entry, ...] | None = None
    begin: int = 0
    end: int | None = None
    problem: str = ""


def size_of(found: Found) -> int:
    """Bytes of a file; 0 where that can't be known, or it can't be read."""
    if found.problem or is_stdin(found):
        return 0
    with suppress(OSError):  # opening it meets the same error and reports it
        return found.path.stat().st_size
    return 0


def is_stdin(found: Found) -> bool:
    """Whether a file stands for standard input."""
    return found.source_file == STDIN


def work_of(
    files: Iterable[Found], sharing: Sharing, limits: TextLimits, stdin: BinaryIO | None
) -> Iterator[FileWork]:
    """Cut files into pieces of work, in order.

    Args:
        files: with or without a problem.
        sharing: how large a piece is.
        limits: of what is read.
        stdin: what a file whose name is `STDIN` stands for.
    """
    for found in files:
        name = STDIN if is_stdin(found) else str(found.path)
        if found.problem:
            yield FileWork(name, (), problem=found.problem)
            continue
        try:
            if is_stdin(found):
                if stdin is not None:
                    yield from _of_stdin(stdin, sharing, limits)
            else:
                yield from _of_file(as_local(found.path), sharing, limits)
        except OSError as error:
            yield FileWork(name, (), problem=f"can't be read: {error.strerror}")
        except UnreadableSourceError as error:
            yield FileWork(name, (), problem=str(error))


def _of_file(path: Path, sharing: Sharing, limits: TextLimits) -> Iterator[FileWork]:
    """A JSON document is one piece, lines are some; gzipped ones can't be read from the middle."""
    name = str(path)
    with path.open("rb") as stream:
        if archive_in(stream):
            yield from _of_members(name, stream, sharing, limits)
        elif FHIR_FILES.media_type(path.name) != LINES:
            yield FileWork(name)
        elif is_packed(stream) or other_format(head_of(stream, HEAD_BYTES), in_lines=True):
            yield from _of_stream(name, stream, LINES, sharing, limits)
        else:
            size = stream.seek(0, io.SEEK_END)
            begin = 0
            while begin + sharing.size < size:
                stream.seek(begin + sharing.size)
                skip_line(stream)
                yield FileWork(name, None, begin, stream.tell())
                begin = stream.tell()
            if begin < size or size == 0:
                yield FileWork(name, None, begin, size)


def _of_stdin(stdin: BinaryIO, sharing: Sharing, limits: TextLimits) -> Iterator[FileWork]:
    with _copied(stdin) as stream:
        if archive_in(stream):
            yield from _of_members(STDIN, stream, sharing, limits)
        else:
            media_type = LINES if _holds_lines(stream, limits) else _DOCUMENT
            yield from _of_stream(STDIN, stream, media_type, sharing, limits)


def _holds_lines(file: BinaryIO, limits: TextLimits) -> bool:
    """Whether the first line of a file is JSON by itself and others follow."""
    head = head_of(unpacked(file, limits), HEAD_BYTES)
    file.seek(0)
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip(WHITE_SPACE)
    first, _, rest = text.partition(b"\n")
    if not rest.strip(WHITE_SPACE):
        return False
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except Unreadable:
        return False
    return True


def _of_members(
    archive: str, file: BinaryIO, sharing: Sharing, limits: TextLimits
) -> Iterator[FileWork]:
    count = 0
    try:
        for member in members(file, limits.packed):
            count += 1
            yield from _of_member(f"{archive}/{member.name}", member, sharing, limits)
    except ArchiveError as error:
        yield FileWork(archive, (), problem=str(error))
        return
    if not count:
        yield FileWork(archive, (), problem="is an archive with nothing in it")


def _of_member(
    name: str, member: Member, sharing: Sharing, limits: TextLimits
) -> Iterator[FileWork]:
    if member.problem:
        yield FileWork(name, (), problem=member.problem)
        return
    try:
        with member.open() as source:
            copy = _copied(source)
    except MemberError as error:
        yield FileWork(name, (), problem=str(error))
        return
    with copy as stream:
        yield from _of_stream(name, stream, FHIR_FILES.media_type(member.name), sharing, limits)


def _copied(source: IO[bytes]) -> BinaryIO:
    copy = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever asked closes it
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _of_stream(
    name: str, stream: BinaryIO, media_type: str, sharing: Sharing, limits: TextLimits
) -> Iterator[FileWork]:
    entries = read_entries(stream, media_type, keep_bundles=True, limits=limits)
    yield from (FileWork(name, group) for group in _grouped(entries, sharing))


def _grouped(entries: Iterable[Entry], sharing: Sharing) -> Iterator[tuple[Entry, ...]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += len(entry.resource or b"")
        if size >= sharing.size or len(group) >= sharing.resources:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def entries_of(work: FileWork, limits: TextLimits) -> tuple[Sequence[Entry], int]:
    """Read the entries of a piece of work.

    Returns:
        Bundles as one entry each, with the number of their line from 0; and how many lines were
        read, where more of the file come after them.

    Raises:
        OSError: the file can't be read.
    """
    if work.entries is not None:
        return work.entries, 0
    with Path(work.file).open("rb") as stream:
        if work.end is None:
            kind = FHIR_FILES.media_type(Path(work.file).name)
            return list(read_entries(stream, kind, keep_bundles=True, limits=limits)), 0
        stream.seek(work.begin)
        lines = Lines(bounded_lines(stream, limits.text, work.end - work.begin))
        entries = list(entries_of_lines(lines, 0, keep_bundles=True))
        stream.seek(work.end)
        has_more = stream.read(1) != b""
    if not (lines.are_blank and (work.begin or has_more)):  # a blank part of a file that has others
        entries.extend(ending(lines, lines.count))
    return entries, lines.count if has_more else 0
