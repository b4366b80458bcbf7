"""Manifests: which files a batch holds, and that they still are what was landed.

Belongs here: what a manifest says, reading it, and finding a batch's files by it. How a batch comes
to be is in `landing.py`.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from upath import UPath

from hc_assets.core.errors import DamagedLakeError
from hc_assets.lake.hashes import quick_hash_of, sha256_when_first_opened
from hc_assets.lake.layout import MANIFEST_NAME, Layout

# 1 had no hash of its own
_FORMAT = 2


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
        head: `hashes.head_hash` of its beginning; "" where the manifest is an older one.
        quick: `hashes.quick_hash_of` all of it; "" where the manifest is an older one.
    """

    source_file: str
    stored: str
    size: int
    sha256: str
    media_type: str
    problem: str = ""
    head: str = ""
    quick: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a batch holds.

    Attributes:
        kind: of its files.
        key: the batch's name, `<UTC time>-<first 8 of content_sha256>`.
        landed_at: UTC time of landing, ISO 8601.
        content_sha256: over the hashes and names of its files.
        files: by source_file.
        duplicates: files whose bytes the batch, or an earlier one of its source, already had: name
            and hash.
        source: that its files were landed under, all of them; "" where none was named.
        format: version of this layout.
        check: SHA-256 of the manifest itself, without this, in hex.
    """

    kind: str
    key: str
    landed_at: str
    content_sha256: str
    files: list[LandedFile]
    duplicates: list[tuple[str, str]] = []
    source: str = ""
    format: int = _FORMAT
    check: str = ""


class DamagedManifestError(DamagedLakeError):
    """A batch's manifest is not what was written when it was landed."""

    advice: ClassVar[str] = "put it back from the backup"


class DamagedFileError(DamagedLakeError):
    """A landed file is gone, or its bytes are not those that were landed."""

    advice: ClassVar[str] = (
        "`hc-assets lake verify --repair` copies it again if its source is still there;"
        " otherwise put it back from the backup"
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as JSON, with its own hash."""
    checked = msgspec.structs.replace(manifest, check=_check_of(msgspec.to_builtins(manifest)))
    encoded: bytes = msgspec.json.format(msgspec.json.encode(checked), indent=1)
    return encoded


def read_manifest(layout: Layout, kind: str, key: str) -> Manifest:
    """Read a batch's manifest.

    Raises:
        FileNotFoundError: there is no such batch.
        DamagedManifestError: the manifest is not what was written.
    """
    encoded = layout.manifest(kind, key).read_bytes()
    where = f"batches/{kind}/{key}/{MANIFEST_NAME}"
    try:
        stored = msgspec.json.decode(encoded, type=dict[str, Any])
        manifest = msgspec.convert(stored, Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DamagedManifestError(f"{where} is damaged: it can't be read") from error
    is_checked = stored.get("format") != 1 or "check" in stored
    if is_checked and stored.get("check") != _check_of(stored):
        raise DamagedManifestError(f"{where} is damaged: its hash is not that of its content")
    if (kind, key) != (manifest.kind, manifest.key):
        raise DamagedManifestError(f"{where} is damaged: it is the manifest of another batch")
    if content_sha256(manifest.files, manifest.source) != manifest.content_sha256:
        raise DamagedManifestError(f"{where} is damaged: it does not list what was landed")
    return manifest


def _check_of(stored: dict[str, Any]) -> str:
    """What `check` of a manifest has to be: the hash of all that it says besides."""
    return hashlib.sha256(msgspec.json.encode(stored | {"check": ""})).hexdigest()


def batch_keys(layout: Layout, kind: str) -> list[str]:
    """Keys of all whole batches of a kind, oldest first."""
    folder = layout.batches(kind)
    if not folder.exists():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(".") and layout.manifest(kind, path.name).exists()
    )


def content_sha256(files: Sequence[LandedFile], source: str = "") -> str:
    """Hash of what a batch holds: its source, and names, hashes and problems of its files."""
    digest = hashlib.sha256(f"{source}\0\n".encode() if source else b"")
    for file in files:
        digest.update(f"{file.source_file}\0{file.sha256}\0{file.problem}\n".encode())
    return digest.hexdigest()


def verified_file(layout: Layout, kind: str, key: str, file: LandedFile) -> UPath:
    """Find the bytes of a landed file, once they are those that its manifest lists.

    Args:
        layout: where the batches are.
        kind: of the batch.
        key: of the batch.
        file: of its manifest, one whose bytes were taken.

    Raises:
        DamagedFileError: it is gone or is not what was landed; names it by its hash, since names of
            files may be those of patients.
    """
    path = layout.landed_file(kind, key, file.stored)
    require_landed(path, kind, key, file.sha256)
    return path


def require_landed(path: UPath, kind: str, key: str, sha256: str, quick: str = "") -> None:
    """Refuse a landed file whose bytes are not those that its batch's manifest lists.

    Args:
        path: where the file lies.
        kind: of the batch.
        key: of the batch.
        sha256: of the file, by the manifest.
        quick: its `LandedFile.quick`, where that is enough: it tells damage, not forgery.

    Raises:
        DamagedFileError: as `verified_file`.
    """
    name = f"batches/{kind}/{key}/files/{path.name}"
    try:
        if quick and quick_hash_of(path) == quick:
            return
        found = sha256_when_first_opened(path)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{name} is gone") from error
    if found != sha256:
        raise DamagedFileError(f"{name} is not what was landed: its SHA-256 is {found}")
