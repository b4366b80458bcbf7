"""The files of folders, npm packages and ZIP archives, and what packages say of themselves.

Belongs here: from paths to the texts of JSON files, and what packages depend on. What the texts
define is read in `reading.py`.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.r4.definitions import r4

_TARBALLS = (".tgz", ".tar.gz")
_MANIFEST = "package.json"
# R4 itself, under the names that its package has had.
_R4 = frozenset({"hl7.fhir.r4.core", "hl7.fhir.core", "hl7.fhir.r4.examples"})


class File(NamedTuple):
    """A JSON file.

    Attributes:
        name: path, and behind `!` its name in a package.
        text: its content.
        is_named: the caller named this very file, so that it must be of use.
    """

    name: str
    text: bytes
    is_named: bool = False


class Manifest(msgspec.Struct):
    """What a package says of itself, in its package.json.

    Attributes:
        name: of the package.
        version: of it.
        dependencies: versions of other packages by name, the last part of a version may be `x`.
    """

    name: str
    version: str = ""
    dependencies: dict[str, str] = {}


def files_of(path: Path) -> Iterator[File]:
    """The JSON files at a path, those in packages and archives among them.

    Raises:
        ProfileError: it can't be read.
    """
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.is_file() and (inner.suffix in (".json", ".zip") or _is_tarball(inner)):
                yield from _file(inner, is_named=False)
    else:
        yield from _file(path, is_named=True)


def _is_tarball(path: Path) -> bool:
    return path.name.lower().endswith(_TARBALLS)


def _file(path: Path, *, is_named: bool) -> Iterator[File]:
    if _is_tarball(path):
        yield from _in_tarball(path)
    elif path.suffix.lower() == ".zip":
        yield from _in_zip(path)
    else:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ProfileError(path, "", f"can't be read: {error.strerror}") from error
        yield File(str(path), text, is_named)


def _in_tarball(path: Path) -> Iterator[File]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(".json") else None
                if stream is not None:
                    yield File(f"{path}!{member.name}", stream.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        text = f"found no readable gzipped tar archive ({error}), expected an npm package"
        raise ProfileError(path, "", text) from error


def _in_zip(path: Path) -> Iterator[File]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    yield File(f"{path}!{name}", archive.read(name))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error) as error:
        text = f"found no readable ZIP archive ({error}), expected one of definitions"
        raise ProfileError(path, "", text) from error


def manifest_of(file: File) -> Manifest | None:
    """What a package says of itself, where a file is its package.json; None for another file."""
    if PurePosixPath(file.name.rpartition("!")[2]).name != _MANIFEST or file.is_named:
        return None
    try:
        return msgspec.json.decode(file.text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProfileError(file.name, "", f"found no manifest of a package ({error})") from error


def _agrees(wanted: str, given: str) -> bool:
    """Whether a version is one that is asked for: `4.0.x` stands for each patch of 4.0."""
    if wanted in ("", "latest", "current", "dev"):
        return True
    return given == wanted or (wanted.endswith(".x") and given.startswith(wanted[:-1]))


def missing_packages(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """What packages depend on, and isn't among them in that version, in words.

    Args:
        manifests: of all packages.
    """
    listed = list(manifests)
    given: dict[str, set[str]] = {name: {r4().fhir_version} for name in _R4}
    for manifest in listed:
        given.setdefault(manifest.name, set()).add(manifest.version)
    notes = []
    for manifest in listed:
        for name, version in sorted(manifest.dependencies.items()):
            versions = given.get(name, set())
            if any(_agrees(version, each) for each in versions):
                continue
            there = f"version {', '.join(sorted(versions))} is" if versions else "it is not"
            notes.append(
                f"package {manifest.name}#{manifest.version} depends on {name}#{version}:"
                f" {there} given"
            )
    return tuple(dict.fromkeys(notes))
