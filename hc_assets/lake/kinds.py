"""Of which kind files are, where nobody says it.

Belongs here: detecting it from what files hold, and from their names where that says nothing. What
a kind is stands in `core/domain.py`.
"""

import gzip
import zlib
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import islice
from typing import IO

from hc_assets.core.domain import Kind
from hc_assets.core.errors import UsageError
from hc_assets.lake.archives import (
    DEFAULT_LIMITS,
    ArchiveError,
    MemberError,
    archive_in,
    members,
)
from hc_assets.lake.discovery import AnyPath, Found
from hc_assets.lake.sources import UnreadableSourceError, opened, read


class AmbiguousKindError(UsageError):
    """Files of several kinds, or of none that is known."""

    advice = "choose it with --kind"


_GUESS_FROM = 1_000
_GUESS_FROM_MEMBERS = 20
_HEAD_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


def guess_kind(found: Iterable[Found], kinds: Collection[Kind]) -> str:
    """Detect the kind of files from what they hold, or from their names where that says nothing.

    One kind among them is enough: files that show none are taken to belong to it, so that what is
    wrong with them is reported by the tables of that kind.

    Only the first thousand files are looked at.

    Args:
        found: the files.
        kinds: that there are.

    Returns:
        The kind's name.

    Raises:
        AmbiguousKindError: several kinds, or none.
    """
    by_content: set[str] = set()
    by_name: set[str] = set()
    others: list[AnyPath] = []
    for each in islice(found, _GUESS_FROM):
        if not each.problem:
            by_content |= _kinds_by_content(each.path, kinds)
            others.append(each.path)
            by_name |= {kind.name for kind in kinds if kind.is_named_so(each.path.name)}
    guessed = by_content or by_name
    if len(guessed) != 1:
        seen = " and ".join(sorted(guessed)) or "no known kind"
        formats = [] if guessed else _other_formats(others[:_GUESS_FROM_MEMBERS], kinds)
        raise AmbiguousKindError("; ".join([f"the files look like {seen}", *formats]))
    return guessed.pop()


def _other_formats(paths: Iterable[AnyPath], kinds: Collection[Kind]) -> list[str]:
    """What files of no kind are, as far as some kind knows their format."""
    found: dict[str, None] = {}
    for path in paths:
        with suppress(*_UNREADABLE), opened(path) as file:
            head = _head(file)
            found |= dict.fromkeys(filter(None, (kind.other_format(head) for kind in kinds)))
    return list(found)


_UNREADABLE = (UnreadableSourceError, OSError, EOFError, zlib.error)


def _kinds_by_content(path: AnyPath, kinds: Collection[Kind]) -> set[str]:
    try:
        with opened(path) as file:
            if archive_in(file):
                return _kinds_of_members(file, kinds)
            head = _head(file)
    except _UNREADABLE:
        return set()  # landing meets the same error and keeps it as the file's problem
    return _kinds_of(head, kinds)


def _head(file: IO[bytes]) -> bytes:
    """The first bytes of a file, unpacked."""
    head = read(file, _HEAD_BYTES)
    file.seek(0)
    if head.startswith(_GZIP_MAGIC):
        with gzip.open(file) as unpacked:
            head = unpacked.read(_HEAD_BYTES)
    return head


def _kinds_of_members(file: IO[bytes], kinds: Collection[Kind]) -> set[str]:
    seen: set[str] = set()
    try:
        for member in islice(members(file, DEFAULT_LIMITS), _GUESS_FROM_MEMBERS):
            if not member.problem:
                with member.open() as opened_member:
                    seen |= _kinds_of(read(opened_member, _HEAD_BYTES), kinds)
    except (ArchiveError, MemberError):
        return seen  # landing meets the same error and keeps it as the file's problem
    return seen


def _kinds_of(head: bytes, kinds: Collection[Kind]) -> set[str]:
    return {kind.name for kind in kinds if kind.looks_like(head)}
