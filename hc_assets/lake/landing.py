"""Files become immutable batches: hashed, copied, and listed in a manifest.

Belongs here: what a batch is and how it comes to be. What the files say is read by each domain; how
a batch becomes a Dagster partition is in `jobs.py`.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

import msgspec
from filelock import FileLock

from hc_assets.lake.atomic import atomic_file, local_path, make_folder, write_bytes
from hc_assets.lake.discovery import Found, is_stored, version_of
from hc_assets.lake.layout import Layout

_BLOCK = 1024 * 1024
_MANIFEST_FORMAT = 1
_STAGING_PREFIX = ".landing-"


class LandedFile(msgspec.Struct, frozen=True):
    """One file of a batch.

    Attributes:
        source_file: where it came from: relative to the landing folder, else absolute; bytes of the
            name that are not UTF-8 stand as backslash escapes.
        stored: its name in the batch's `files/`; "" where its bytes could not be taken.
        size: bytes.
        sha256: of its bytes, in hex; "" where they could not be taken.
        media_type: by its name.
        problem: why its bytes could not be taken; "" where they were.
    """

    source_file: str
    stored: str
    size: int
    sha256: str
    media_type: str
    problem: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a batch holds.

    Attributes:
        kind: fhir, dicom or genomics.
        key: the batch's name, `<UTC time>-<first 8 of content_sha256>`.
        landed_at: UTC time of landing, ISO 8601.
        content_sha256: over the hashes and names of its files.
        files: by source_file.
        duplicates: files whose bytes the batch, or an earlier one, already had: name and hash.
        format: version of this layout.
    """

    kind: str
    key: str
    landed_at: str
    content_sha256: str
    files: list[LandedFile]
    duplicates: list[tuple[str, str]] = []
    format: int = _MANIFEST_FORMAT


class BatchLimits(NamedTuple):
    """How large a batch may grow: files, and bytes; a larger file is a batch of its own."""

    files: int
    size: int


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
    """

    batches: list[str] = field(default_factory=list)
    landed: int = 0
    already_landed: int = 0
    unreadable: int = 0
    waiting: int = 0
    known_batches: set[str] = field(default_factory=set)


class StillBeingWrittenError(Exception):
    """A file changed while it was copied."""


def media_type(name: str) -> str:
    """Media type by a file's name; `application/octet-stream` where it says nothing."""
    lowered = name.lower().removesuffix(".gz")
    for suffix, type_ in (
        (".ndjson", "application/fhir+ndjson"),
        (".json", "application/fhir+json"),
        (".dcm", "application/dicom"),
        (".vcf", "text/x-vcf"),
    ):
        if lowered.endswith(suffix):
            return type_
    return "application/octet-stream"


def read_manifest(layout: Layout, kind: str, key: str) -> Manifest:
    """Read a batch's manifest.

    Raises:
        FileNotFoundError: there is no such batch.
        msgspec.DecodeError: the manifest is damaged.
    """
    return msgspec.json.decode(layout.manifest(kind, key).read_bytes(), type=Manifest)


def batch_keys(layout: Layout, kind: str) -> list[str]:
    """Keys of all whole batches of a kind, oldest first."""
    folder = layout.batches(kind)
    if not folder.exists():
        return []
    return sorted(p.name for p in folder.iterdir() if layout.manifest(kind, p.name).exists())


def land(
    found: Iterable[Found],
    layout: Layout,
    kind: str,
    *,
    limits: BatchLimits,
    now: datetime,
) -> LandingResult:
    """Take files into batches: copy, hash, list.

    A file whose content a batch of this kind already has is not landed twice. A file that can't be
    read is listed with the reason, once. One landing of a kind runs at a time. A batch exists when
    its manifest does, so a kill in between leaves only what the next landing clears away.

    Args:
        found: what `discover` lists.
        layout: where batches go.
        kind: fhir, dicom or genomics.
        limits: how large a batch may grow.
        now: landing time, UTC; part of the batch keys.

    Returns:
        What was done.

    Raises:
        OSError: the batch folder can't be written; what was landed before stays whole.
    """
    make_folder(layout.batches(kind))
    folder = local_path(layout.batches(kind))
    with FileLock(folder / ".lock", mode=0o600):
        for leftover in folder.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(leftover)
        return _land(found, layout, kind, limits, now)


def _land(
    found: Iterable[Found], layout: Layout, kind: str, limits: BatchLimits, now: datetime
) -> LandingResult:
    known = _Known(layout, kind)
    result = LandingResult()
    batch = _OpenBatch(layout, kind, now)
    for each in found:
        try:
            size = 0 if each.problem else each.path.stat().st_size
            full = len(batch.files) >= limits.files or batch.size + size > limits.size
            if batch.files and full:
                batch.close(result)
                batch = _OpenBatch(layout, kind, now)
            landed = batch.take(each, known)
        except FileNotFoundError:
            # Deleted between listing and landing: whoever put it there took it back.
            continue
        except StillBeingWrittenError:
            result.waiting += 1
            continue
        if landed in known:
            batch.duplicates.append((landed.source_file, landed.sha256))
            result.already_landed += 1
            result.known_batches |= known.batch_of(landed)
        else:
            known.add(landed, "")
            batch.files.append(landed)
            batch.size += landed.size
            result.unreadable += bool(landed.problem)
    batch.close(result)
    return result


class _Known:
    """The files that batches of a kind hold already.

    A file is the same by its content. One without any is the same by its name and what is wrong
    with it, so that each empty or unreadable file is reported, and once.
    """

    def __init__(self, layout: Layout, kind: str) -> None:
        self._batches: dict[tuple[str, ...], str] = {}
        self._sizes: set[int] = set()
        for key in batch_keys(layout, kind):
            for file in read_manifest(layout, kind, key).files:
                self.add(file, key)

    def add(self, file: LandedFile, batch: str) -> None:
        """Remember a file; `batch` is "" where its key is not known yet."""
        self._batches[self._identity(file)] = batch
        self._sizes.add(file.size)

    def batch_of(self, file: LandedFile) -> set[str]:
        """Key of the earlier batch that holds a file; none where this landing does."""
        return {self._batches[self._identity(file)]} - {""}

    def __contains__(self, file: LandedFile) -> bool:
        return self._identity(file) in self._batches

    def has_size(self, size: int) -> bool:
        return size in self._sizes

    @staticmethod
    def _identity(file: LandedFile) -> tuple[str, ...]:
        if file.problem or not file.size:
            return (file.source_file, file.problem)
        return (file.sha256,)


class _OpenBatch:
    """A batch being filled; its bytes wait in a hidden folder until the key is known."""

    def __init__(self, layout: Layout, kind: str, now: datetime) -> None:
        self.layout, self.kind, self.now = layout, kind, now
        self.files: list[LandedFile] = []
        self.duplicates: list[tuple[str, str]] = []
        self.size = 0
        self._staging = layout.batches(kind) / f"{_STAGING_PREFIX}{secrets.token_hex(4)}"

    def take(self, found: Found, known: _Known) -> LandedFile:
        """Copy a file's bytes, unless they are known, or say why they can't be read."""
        type_ = media_type(found.source_file)
        if found.problem:
            return LandedFile(found.source_file, "", 0, "", type_, found.problem)
        try:
            source = found.path.open("rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            return LandedFile(found.source_file, "", 0, "", type_, _cant_be_read(error))
        with source:
            before = _state(found, source)
            size = found.path.stat().st_size
            try:
                landed = self._read(source, found.source_file, type_, size, known)
            except _UnreadableSourceError as error:
                return LandedFile(found.source_file, "", 0, "", type_, str(error))
            if before != _state(found, source):
                raise StillBeingWrittenError
            return landed

    def _read(
        self, source: BinaryIO, name: str, type_: str, size: int, known: _Known
    ) -> LandedFile:
        if size and known.has_size(size):
            # Most likely a file that was landed before: hash it before a copy is made of it.
            hasher = hashlib.sha256()
            for block in _blocks(source):
                hasher.update(block)
            sha256 = hasher.hexdigest()
            candidate = LandedFile(name, sha256, size, sha256, type_)
            if candidate in known:
                return candidate
            source.seek(0)
        files = self._staging / "files"
        with atomic_file(files, lambda sink: files / sink.hexdigest()) as sink:
            for block in _blocks(source):
                sink.write(block)
        return LandedFile(name, sink.hexdigest(), sink.size, sink.hexdigest(), type_)

    def close(self, result: LandingResult) -> None:
        """Give the batch its key and its manifest; nothing where it holds no file."""
        if not self.files:
            if self._staging.exists():
                shutil.rmtree(local_path(self._staging))
            return
        files = sorted(self.files, key=lambda file: file.source_file)
        content = content_sha256(files)
        key = f"{self.now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{content[:8]}"
        folder = self.layout.batch(self.kind, key)
        if folder.exists():
            shutil.rmtree(local_path(folder))  # a landing killed before its manifest was written
        make_folder(self._staging)
        self._staging.rename(folder)
        manifest = Manifest(
            kind=self.kind,
            key=key,
            landed_at=self.now.astimezone(UTC).isoformat(timespec="seconds"),
            content_sha256=content,
            files=files,
            duplicates=sorted(self.duplicates),
        )
        encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        write_bytes(self.layout.manifest(self.kind, key), encoded)
        result.batches.append(key)
        result.landed += len(files)


class _UnreadableSourceError(Exception):
    """Reading a source failed halfway."""


def _state(found: Found, source: BinaryIO) -> object:
    """Say what changes when an open file does."""
    if is_stored(found.path):
        return version_of(found.path)
    status = os.fstat(source.fileno())
    return status.st_size, status.st_mtime_ns


def _cant_be_read(error: OSError) -> str:
    return f"can't be read: {error.strerror or type(error).__name__}"


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            block = source.read(_BLOCK)
        except FileNotFoundError:
            raise  # an object that is deleted while it is read is gone, not unreadable
        except OSError as error:
            # Kept apart from a failure to write the copy, which is not the file's fault.
            raise _UnreadableSourceError(_cant_be_read(error)) from error
        if not block:
            return
        yield block


def content_sha256(files: Sequence[LandedFile]) -> str:
    """Hash of what a batch holds: names, hashes and problems of its files, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.source_file}\0{file.sha256}\0{file.problem}\n".encode())
    return digest.hexdigest()
