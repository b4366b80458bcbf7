"""Files become immutable batches: hashed, copied, and listed in a manifest.

Belongs here: what a batch is and how it comes to be. What the files say is read by each domain; how
a batch becomes a Dagster partition is in `jobs.py`.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hc_assets.lake.atomic import atomic_file, make_folder, write_bytes
from hc_assets.lake.layout import Layout

_BLOCK = 1024 * 1024
_MANIFEST_FORMAT = 1


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


@dataclass
class LandingResult:
    """What a landing did.

    Attributes:
        batches: keys of the batches made, in order.
        landed: how many files they hold.
        already_landed: how many files were known by their content.
        unreadable: how many of the landed ones could not be read, each with a reason in its batch.
        waiting: files still being written, left for the next landing.
    """

    batches: list[str] = field(default_factory=list)
    landed: int = 0
    already_landed: int = 0
    unreadable: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Found:
    """A file that waits to be landed; `problem` says why it can't be, where it can't."""

    path: Path
    source_file: str
    problem: str = ""


class StillBeingWrittenError(Exception):
    """A file changed while it was copied."""


def discover(paths: Iterable[Path], landing_folder: Path) -> Iterator[Found]:
    """List the files under paths, in a stable order.

    Folders are walked; names that begin with a dot are left out. A folder with nothing in it, a
    link that leads out of the path given or nowhere, and anything that is neither file nor folder
    are found with a problem.

    Args:
        paths: files and folders.
        landing_folder: files below it are named relative to it.

    Raises:
        FileNotFoundError: a path given does not exist.
    """
    landing_folder = landing_folder.absolute()
    for given in paths:
        root = given.absolute()
        if not root.exists():
            raise FileNotFoundError(f"{given}: no such file or folder")
        yield from _walk(root, root.resolve(), landing_folder)


def _walk(path: Path, root: Path, landing_folder: Path) -> Iterator[Found]:
    name = _name(path, landing_folder)
    try:
        mode = path.stat().st_mode
        inside = path.resolve().is_relative_to(root)
    except OSError as error:
        yield Found(path, name, f"can't be looked at: {error.strerror}")
        return
    if not inside:
        yield Found(path, name, "is a link that leads out of its folder")
    elif stat.S_ISREG(mode):
        yield Found(path, name)
    elif not stat.S_ISDIR(mode):
        yield Found(path, name, "is neither a file nor a folder")
    elif path.is_symlink() and path.resolve() in path.absolute().parents:
        yield Found(path, name, "is a link to a folder above it")
    else:
        try:
            children = sorted(path.iterdir())
        except OSError as error:
            yield Found(path, name, f"is a folder that can't be listed: {error.strerror}")
            return
        visible = [child for child in children if not child.name.startswith(".")]
        if not children and path.resolve() not in (root, landing_folder.resolve()):
            yield Found(path, name, "is a folder with nothing in it")
        for child in visible:
            yield from _walk(child, root, landing_folder)


def _name(path: Path, landing_folder: Path) -> str:
    shown = path.relative_to(landing_folder) if path.is_relative_to(landing_folder) else path
    return os.fsencode(shown).decode("utf-8", "backslashreplace")


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
    batch_files: int,
    batch_bytes: int,
    now: datetime,
) -> LandingResult:
    """Take files into batches: copy, hash, list.

    A file whose content a batch of this kind already has is not landed twice. A file that can't be
    read is listed with the reason, once. A batch exists when its manifest does, so a kill in
    between leaves only a folder without one, which the next landing does not see.

    Args:
        found: what `discover` lists.
        layout: where batches go.
        kind: fhir, dicom or genomics.
        batch_files: files in one batch, at most.
        batch_bytes: bytes in one batch, at most; a larger file is a batch of its own.
        now: landing time, UTC; part of the batch keys.

    Returns:
        What was done.
    """
    known = _known(layout, kind)
    result = LandingResult()
    batch = _OpenBatch(layout, kind, now)
    for each in found:
        size = _size(each)
        full = len(batch.files) >= batch_files or batch.size + size > batch_bytes
        if batch.files and full:
            batch.close(result)
            batch = _OpenBatch(layout, kind, now)
        try:
            landed = batch.take(each)
        except FileNotFoundError:
            # Deleted between listing and landing: whoever put it there took it back.
            continue
        except StillBeingWrittenError:
            result.waiting += 1
            continue
        identity = _identity(landed)
        if identity in known:
            batch.duplicates.append((landed.source_file, landed.sha256))
            result.already_landed += 1
        else:
            known.add(identity)
            batch.files.append(landed)
            batch.size += landed.size
            result.unreadable += bool(landed.problem)
    batch.close(result)
    return result


def _size(found: Found) -> int:
    try:
        return 0 if found.problem else found.path.stat().st_size
    except OSError:
        return 0  # `take` meets the same error and says what it is


def _identity(file: LandedFile) -> tuple[str, ...]:
    """What makes a file the same file: its content; without any, its name and what is wrong."""
    if file.problem or not file.size:
        return (file.source_file, file.problem)
    return (file.sha256,)


def _known(layout: Layout, kind: str) -> set[tuple[str, ...]]:
    return {
        _identity(file)
        for key in batch_keys(layout, kind)
        for file in read_manifest(layout, kind, key).files
    }


class _OpenBatch:
    """A batch being filled; its bytes wait in a hidden folder until the key is known."""

    def __init__(self, layout: Layout, kind: str, now: datetime) -> None:
        self.layout, self.kind, self.now = layout, kind, now
        self.files: list[LandedFile] = []
        self.duplicates: list[tuple[str, str]] = []
        self.size = 0
        self._staging = layout.batches(kind) / f".landing-{os.getpid()}"

    def take(self, found: Found) -> LandedFile:
        type_ = media_type(found.source_file)
        if found.problem:
            return LandedFile(found.source_file, "", 0, "", type_, found.problem)
        try:
            sha256, size = self._copy(found.path)
        except (FileNotFoundError, StillBeingWrittenError):
            raise
        except OSError as error:
            problem = f"can't be read: {error.strerror}"
            return LandedFile(found.source_file, "", 0, "", type_, problem)
        return LandedFile(found.source_file, sha256, size, sha256, type_)

    def _copy(self, source: Path) -> tuple[str, int]:
        with source.open("rb") as file:
            before = os.fstat(file.fileno())
            staging = self._staging / "files"
            with atomic_file(staging, lambda sink: staging / sink.hexdigest()) as sink:
                while block := file.read(_BLOCK):
                    sink.write(block)
                after = os.fstat(file.fileno())
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    raise StillBeingWrittenError
        return sink.hexdigest(), sink.size

    def close(self, result: LandingResult) -> None:
        if not self.files:
            _remove(self._staging)
            return
        files = sorted(self.files, key=lambda file: file.source_file)
        content = content_sha256(files)
        key = f"{self.now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{content[:8]}"
        wanted = {file.stored for file in files if file.stored}
        for stored in (self._staging / "files").glob("*") if self._staging.exists() else ():
            if stored.name not in wanted:
                stored.unlink()
        folder = self.layout.batch(self.kind, key)
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


def content_sha256(files: Sequence[LandedFile]) -> str:
    """Hash of what a batch holds: names, hashes and problems of its files, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.source_file}\0{file.sha256}\0{file.problem}\n".encode())
    return digest.hexdigest()


def _remove(folder: Path) -> None:
    if folder.exists():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
