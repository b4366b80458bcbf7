"""Bytes of a landed file become raw resources, byte for byte.

Belongs here: finding where each entry or line begins and ends, and what it says of itself. Whether
it is a valid resource is judged in `fhir/validation/__init__.py`.
"""

from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from hc_assets.fhir.bundles.entries import (
    Entry,
    Unreadable,
    decode_head,
    fenced_entries,
    resource_entry,
)
from hc_assets.fhir.bundles.formats import HEAD_BYTES, other_format
from hc_assets.fhir.bundles.not_data import data_only
from hc_assets.fhir.bundles.text_streams import (
    BYTE_ORDER_MARK,
    DEFAULT_TEXT_LIMITS,
    LINES,
    WHITE_SPACE,
    DamagedTextError,
    Lines,
    LongLine,
    TextLimits,
    bounded_lines,
    head_of,
    read_text,
    unpacked,
)
from hc_assets.fhir.bundles.unpacking import NOTHING_WHOLE, Judge
from hc_assets.fhir.bundles.unpacking import unpacked as taken_apart

# A document is attested, and a message sent, as a whole: among the lines of an export they are
# resources that were stored, whereas the other types carry resources.
_KEPT_WHOLE_IN_LINES = frozenset({"document", "message"})


def read_entries(
    file: BinaryIO,
    media_type: str,
    *,
    keep_bundles: bool = False,
    judge: Judge | None = None,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
) -> Iterator[Entry]:
    """Split a file into its entries. Never raises for what the file holds.

    Args:
        file: open at its beginning, seekable; gzip and zstd are recognised by content.
        media_type: `application/fhir+ndjson` for lines. Any other file is taken as one JSON
            document; where it is not one but its first line is, as lines after all.
        keep_bundles: give a document or line that is a Bundle or Parameters as one entry, itself;
            positions are then numbers of lines, and white space before a text is kept.
        judge: of Bundles and Parameters that are taken apart; each that it finds an error in is an
            entry of its own, behind those that it holds. None looks for no errors.
        limits: of what is read. What exceeds them is an entry with a problem.

    Yields:
        Entries in the file's order, at least one. What can't be split is an entry with a problem
        that names what was found; a gzip file cut short yields the lines before the cut, then the
        problem. What is no data, a Bundle without entries among it, says so. A Bundle or Parameters
        yields what it holds, at any depth, counted on, so that positions stay unique; a document or
        message among lines is one entry. Where splitting itself fails, an entry whose problem is
        an internal error stands for the line, else for the rest of the file.
    """
    yield from fenced_entries(_read(file, media_type, limits, _Taking(keep_bundles, judge)))


class _Taking(NamedTuple):
    """How Bundles and Parameters are taken."""

    keep_bundles: bool = False
    judge: Judge | None = None
    kept_whole: frozenset[str] = NOTHING_WHOLE

    def entries(self, whole: Entry) -> Iterator[Entry]:
        """Give what a document or line is, or holds."""
        if self.keep_bundles:
            yield data_only(whole)
        else:
            yield from taken_apart(whole, self.kept_whole, self.judge)


def _read(file: BinaryIO, media_type: str, limits: TextLimits, taking: _Taking) -> Iterator[Entry]:
    stream = unpacked(file, limits)
    other = other_format(head_of(stream, HEAD_BYTES), in_lines=media_type == LINES)
    if other is not None:
        yield Entry(0, None, other)
        return
    if media_type == LINES:
        yield from _lines(bounded_lines(stream, limits.text), taking)
        return
    try:
        data = read_text(stream, limits.text)
    except DamagedTextError as error:
        yield Entry(0, None, str(error))
        return
    yield from _of_document(data, taking)


def entries_of_document(data: bytes, *, judge: Judge | None = None) -> Iterator[Entry]:
    """Split the text of a file that should be one JSON document; see `read_entries`."""
    yield from fenced_entries(_of_document(data, _Taking(judge=judge)))


def _of_document(data: bytes, taking: _Taking) -> Iterator[Entry]:
    data = data.removeprefix(BYTE_ORDER_MARK)
    if not data.strip(WHITE_SPACE):
        yield Entry(0, data, "the file is empty" if not data else "the file is blank")
        return
    # White space before it stays where its places in the file are asked for.
    begin = 0 if taking.keep_bundles else len(data) - len(data.lstrip(WHITE_SPACE))
    line = data.count(b"\n", 0, begin) + 1
    whole = resource_entry(0, data[begin:].rstrip(WHITE_SPACE), line)
    if whole.problem and _first_line_is_json(data):
        yield from _lines(data.split(b"\n"), taking)
    else:
        yield from taking.entries(whole)


def _first_line_is_json(data: bytes) -> bool:
    first, separator, rest = data.lstrip(WHITE_SPACE).partition(b"\n")
    if not separator or not rest.strip(WHITE_SPACE):
        return False
    try:
        decode_head(first)
    except Unreadable:
        return False
    return True


def _lines(stream: Iterable[bytes], taking: _Taking) -> Iterator[Entry]:
    lines = Lines(stream)
    position = yield from _entries_of_lines(lines, 0, taking)
    yield from ending(lines, position)


def entries_of_lines(
    lines: Iterable[bytes],
    first: int,
    *,
    line: int = 1,
    keep_bundles: bool = False,
    judge: Judge | None = None,
) -> Generator[Entry, None, int]:
    """Split consecutive lines into entries.

    Args:
        lines: with or without their ends.
        first: position of the first one.
        line: number that the first one has in its file, from 1.
        keep_bundles: as for `read_entries`.
        judge: as for `read_entries`.

    Returns:
        The position that the next line has.
    """
    return (yield from _entries_of_lines(lines, first, _Taking(keep_bundles, judge), line))


def _entries_of_lines(
    lines: Iterable[bytes], first: int, taking: _Taking, line: int = 1
) -> Generator[Entry, None, int]:
    of_lines = taking._replace(kept_whole=_KEPT_WHOLE_IN_LINES)
    position = first
    for number, each in enumerate(lines, start=line):
        if isinstance(each, LongLine):
            yield Entry(position, None, each.problem)
            position += 1
            continue
        stripped = each.rstrip(WHITE_SPACE) if taking.keep_bundles else each.strip(WHITE_SPACE)
        if not stripped:
            position += 1
            continue
        of_line = _of_line(position, number, stripped, of_lines)
        for found in fenced_entries(of_line, position, stripped):
            yield found
            position += 1
    return position


def ending(lines: Lines, position: int) -> Iterator[Entry]:
    """Return what is to be reported of lines that were read to their end, if anything.

    Args:
        lines: all of a file.
        position: behind its last line.
    """
    if lines.damage:
        yield Entry(position, None, lines.damage)
    elif lines.are_blank:
        yield Entry(0, b"", "the file is blank" if position else "the file is empty")


def _of_line(position: int, number: int, text: bytes, taking: _Taking) -> Iterator[Entry]:
    yield from taking.entries(resource_entry(position, text, number))
