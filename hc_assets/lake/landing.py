"""Files become immutable batches: hashed, copied, and listed in a manifest.

Belongs here: how a batch comes to be. What its manifest says is in `manifests.py`, what the files
say is read by each domain; how a batch becomes a Dagster partition is in `orchestration/jobs.py`.
"""

import hashlib
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import IO, NamedTuple

import xxhash
from filelock import FileLock

from hc_assets.core.domain import Kind
from hc_assets.core.errors import UsageError
from hc_assets.core.settings import CoreSettings
from hc_assets.core.source_names import SourceNameError, source_of_folder
from hc_assets.lake.archives import (
    DEFAULT_LIMITS,
    ArchiveError,
    ArchiveLimits,
    Member,
    MemberError,
    archive_in,
    members,
)
from hc_assets.lake.atomic import (
    atomic_file,
    local_path,
    make_folder,
    sync_folder,
    write_bytes,
)
from hc_assets.lake.batch_names import batch_name
from hc_assets.lake.discovery import Found, source_folder_in, state_of
from hc_assets.lake.hashes import HEAD_BYTES, head_hash
from hc_assets.lake.known_files import KnownFiles
from hc_assets.lake.layout import MANIFEST_NAME, Layout
from hc_assets.lake.manifests import (
    LandedFile,
    Manifest,
    batch_keys,
    content_sha256,
    encode_manifest,
    read_manifest,
)
from hc_assets.lake.sources import UnreadableSourceError, blocks, opened

_STAGING_PREFIX = ".landing-"


class BatchLimits(NamedTuple):
    """How large a batch may grow, and how much an archive may hold.

    A file of more bytes is a batch of its own.
    """

    files: int
    size: int
    archives: ArchiveLimits = DEFAULT_LIMITS

    @classmethod
    def configured(cls, settings: CoreSettings) -> "BatchLimits":
        """Take the limits that a deployment's settings name."""
        archives = ArchiveLimits.configured(settings)
        return cls(settings.batch_files, settings.batch_bytes, archives)


@dataclass
class LandingResult:
    """What a landing did.

    Attributes:
        batches: keys of the batches made, in order.
        landed: how many files they hold.
        already_landed: how many files were known by their content.
        unreadable: how many of the landed ones could not be read, each with a reason in its batch.
        waiting: files still being written, left for the next landing.
        known_batches: keys of the earlier batches that hold the files known by their content.
        is_busy: nothing was done, since somebody else is landing files of this kind.
        is_clock_behind: the clock is behind an earlier batch, whose time the new ones follow.
    """

    batches: list[str] = field(default_factory=list)
    landed: int = 0
    already_landed: int = 0
    unreadable: int = 0
    waiting: int = 0
    known_batches: set[str] = field(default_factory=set)
    is_busy: bool = False
    is_clock_behind: bool = False


class ContradictingSourceError(UsageError):
    """A file lies in the folder of another source than the one that it is to be landed under."""


class StillBeingWrittenError(Exception):
    """A file changed while it was copied."""


def land(
    found: Iterable[Found],
    layout: Layout,
    kind: Kind,
    *,
    limits: BatchLimits,
    now: datetime,
    source: str = "",
    wait_seconds: float = -1,
) -> LandingResult:
    """Take files into batches: copy, hash, list.

    A file under a name that copying tools use until it is whole waits for its own.

    An archive is landed as the files in it, named as if it were a folder. A batch is of one source.
    A file whose content a batch of this kind and source already has is not landed twice. A file
    that can't be read is listed with the reason, once. One landing of a kind runs at a time. A
    batch exists when its manifest does, so a kill in between leaves only what the next landing
    clears away.

    Args:
        found: what `discover` lists.
        layout: where batches go.
        kind: of the files.
        limits: how large a batch may grow.
        now: landing time, UTC; part of the batch keys.
        source: that the files came from; "" where only folders in which they lie say so.
        wait_seconds: how long to wait for another landing of this kind; below 0, for as long as
            it takes.

    Returns:
        What was done.

    Raises:
        filelock.Timeout: another landing took longer.
        ContradictingSourceError: a file lies in the folder of another source; batches that were
            full before stay.
        OSError: the batch folder can't be written; what was landed before stays whole.
    """
    make_folder(layout.batches(kind.name))
    folder = local_path(layout.batches(kind.name))
    with FileLock(folder / ".lock", timeout=wait_seconds, mode=0o600):
        for leftover in folder.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(leftover)
        landing = _Landing(layout, kind, limits, now, source)
        for each in found:
            landing.take(each)
        return landing.close()


class _Landing:
    """One landing: the batch that is open, what is known, and what was done."""

    def __init__(
        self, layout: Layout, kind: Kind, limits: BatchLimits, now: datetime, source: str
    ) -> None:
        self._limits, self._layout, self._kind, self._source = limits, layout, kind, source
        self._result = LandingResult()
        self._new_batch = partial(_OpenBatch, layout, kind, now)
        self._batch = self._new_batch(source)

    @cached_property
    def _known_by_source(self) -> dict[str, KnownFiles]:
        # Read when there is a file to be landed: most looks at a folder find nothing new.
        kind = self._kind.name
        known: dict[str, KnownFiles] = {}
        for key in batch_keys(self._layout, kind):
            manifest = read_manifest(self._layout, kind, key)
            known.setdefault(manifest.source, KnownFiles()).add_batch(manifest)
        return known

    @property
    def _known(self) -> KnownFiles:
        return self._known_by_source.setdefault(self._batch.source, KnownFiles())

    def take(self, found: Found) -> None:
        """Take a file, or the files of an archive."""
        if found.is_unfinished:
            self._result.waiting += 1
            return
        try:
            self._open_batch_of(found.source_folder)
            if found.problem:
                self._add(_not_copied(self._kind, found.source_file, found.problem))
            else:
                self._take_open(found)
        except (UnreadableSourceError, SourceNameError) as error:
            self._add(_not_copied(self._kind, found.source_file, str(error)))
        except FileNotFoundError:
            # Deleted between listing and landing: whoever put it there took it back.
            return
        except StillBeingWrittenError:
            self._result.waiting += 1

    def close(self) -> LandingResult:
        """Finish the open batch."""
        self._batch.close(self._result)
        return self._result

    def _take_open(self, found: Found) -> None:
        with opened(found.path) as source:
            before = state_of(found.path, source)
            if archive_in(source):
                landed = self._take_members(found, source)
            else:
                size = found.path.stat().st_size
                self._make_room(size)
                landed = self._batch.read(source, found.source_file, size, self._known)
            if before != state_of(found.path, source):
                if landed is not None:
                    self._batch.give_back(landed, self._known)
                raise StillBeingWrittenError
        if landed is not None:
            self._add(landed)

    def _take_members(self, found: Found, source: IO[bytes]) -> LandedFile | None:
        """Take the files of an archive; gives the archive itself where not all could be read."""
        count = 0
        try:
            for member in members(source, self._limits.archives):
                count += 1
                name = f"{found.source_file}/{member.name}"
                inside = source_folder_in(member.name.split("/"))
                try:
                    self._open_batch_of(found.source_folder or inside)
                except SourceNameError as error:
                    self._add(_not_copied(self._kind, name, str(error)))
                    continue
                self._make_room(member.size)
                self._add(self._batch.take_member(name, member, self._known))
        except ArchiveError as error:
            return _not_copied(self._kind, found.source_file, str(error))
        return (
            None
            if count
            else _not_copied(self._kind, found.source_file, "is an archive with nothing in it")
        )

    def _open_batch_of(self, folder: str) -> None:
        """Go on with a batch of the source that a folder stands for, "" for none.

        Raises:
            SourceNameError: it stands for none; the file goes to a batch without a source.
            ContradictingSourceError: the files are to be landed under another one.
        """
        source = self._source
        if folder and self._kind.has_sources:
            try:
                of_folder = source_of_folder(folder)
            except SourceNameError as error:
                self._change_batch("")
                raise SourceNameError("lies in a folder whose name is that of no source") from error
            if source not in ("", of_folder):
                raise ContradictingSourceError("files lie in the folder of another source")
            source = of_folder
        self._change_batch(source)

    def _change_batch(self, source: str) -> None:
        if source != self._batch.source:
            self._batch.close(self._result)
            self._batch = self._new_batch(source)

    def _make_room(self, size: int) -> None:
        batch, limits = self._batch, self._limits
        full = len(batch.files) >= limits.files or batch.size + size > limits.size
        if batch.files and full:
            batch.close(self._result)
            self._batch = self._new_batch(batch.source)

    def _add(self, landed: LandedFile) -> None:
        if landed in self._known:
            self._batch.duplicates.append((landed.source_file, landed.sha256))
            self._result.already_landed += 1
            self._result.known_batches |= self._known.batch_of(landed)
        else:
            self._known.add(landed, "")
            self._batch.add(landed)
            self._result.unreadable += bool(landed.problem)


class _OpenBatch:
    """A batch being filled; its bytes wait in a hidden folder until the key is known."""

    def __init__(self, layout: Layout, kind: Kind, now: datetime, source: str) -> None:
        self.layout, self.kind, self.now, self.source = layout, kind, now, source
        self.files: list[LandedFile] = []
        self.duplicates: list[tuple[str, str]] = []
        self.size = 0
        self._staging = layout.batches(kind.name) / f"{_STAGING_PREFIX}{secrets.token_hex(4)}"

    def add(self, file: LandedFile) -> None:
        """List a file that was taken."""
        self.files.append(file)
        self.size += file.size

    def take_member(self, name: str, member: Member, known: KnownFiles) -> LandedFile:
        """Copy the bytes of a file of an archive, or say why they can't be read.

        Raises:
            ArchiveError: what follows in the archive can't be read either.
        """
        if member.problem:
            return _not_copied(self.kind, name, member.problem)
        try:
            with member.open() as source:
                landed = self._copy(source, name)
        except MemberError as error:
            return _not_copied(self.kind, name, str(error))
        # An archive can't be read twice at will, so what is known is found out when it is copied
        if landed in known and landed.sha256 not in {file.sha256 for file in self.files}:
            (self._staging / "files" / landed.stored).unlink()
        return landed

    def give_back(self, file: LandedFile, known: KnownFiles) -> None:
        """Remove the copy of a file that is not to be listed, unless another has the same bytes."""
        if file.stored and file not in known:
            (self._staging / "files" / file.stored).unlink()

    def read(self, source: IO[bytes], name: str, size: int, known: KnownFiles) -> LandedFile:
        """Copy a file's bytes, unless they are known.

        Raises:
            UnreadableSourceError: they can't be read.
        """
        if size and known.has_size(size):
            # Most likely a file that was landed before: hash it before a copy is made of it.
            hasher = hashlib.sha256()
            for block in blocks(source):
                hasher.update(block)
            sha256 = hasher.hexdigest()
            candidate = LandedFile(name, sha256, size, sha256, self.kind.media_type(name))
            if candidate in known:
                return candidate
            source.seek(0)
        return self._copy(source, name)

    def _copy(self, source: IO[bytes], name: str) -> LandedFile:
        files = self._staging / "files"
        head, quick = b"", xxhash.xxh3_64()
        with atomic_file(files, lambda sink: files / sink.hexdigest()) as sink:
            for block in blocks(source):
                head += block[: HEAD_BYTES - len(head)]
                quick.update(block)
                sink.write(block)
        sha256 = sink.hexdigest()
        return LandedFile(
            source_file=name,
            stored=sha256,
            size=sink.size,
            sha256=sha256,
            media_type=self.kind.media_type(name),
            head=head_hash(head),
            quick=quick.hexdigest(),
        )

    def close(self, result: LandingResult) -> None:
        """Assign the batch its key and write its manifest; nothing where it holds no file."""
        if not self.files:
            if self._staging.exists():
                shutil.rmtree(local_path(self._staging))
            return
        files = sorted(self.files, key=lambda file: file.source_file)
        content = content_sha256(files, self.source)
        others = (path.name for path in self.layout.batches(self.kind.name).iterdir())
        key, landed_at, is_clock_behind = batch_name(self.now, content, others)
        result.is_clock_behind |= is_clock_behind
        manifest = Manifest(
            kind=self.kind.name,
            key=key,
            landed_at=landed_at.isoformat(timespec="seconds"),
            content_sha256=content,
            files=files,
            duplicates=sorted(self.duplicates),
            source=self.source,
        )
        # The rename makes the batch; a kill before it leaves what the next landing clears away.
        write_bytes(self._staging / MANIFEST_NAME, encode_manifest(manifest))
        self._staging.rename(self.layout.batch(self.kind.name, key))
        sync_folder(self.layout.batches(self.kind.name))
        result.batches.append(key)
        result.landed += len(files)


def _not_copied(kind: Kind, source_file: str, problem: str) -> LandedFile:
    return LandedFile(source_file, "", 0, "", kind.media_type(source_file), problem)
