"""What lies in a folder and waits to be landed.

Belongs here: walking folders, and telling what can't be taken from them and why. Taking it is in
`landing.py`.
"""

import gzip
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A file that waits to be landed; `problem` says why it can't be, where it can't."""

    path: Path
    source_file: str
    problem: str = ""


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
        # `..` says where somebody stood, not where the file is
        root = Path(os.path.normpath(given.absolute()))
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


class AmbiguousKindError(Exception):
    """Files of several kinds, or of none that is known."""


_GUESS_FROM = 1_000
_HEAD_BYTES = 64 * 1024
_DICOM_PREAMBLE = 128
_DICOM_MAGIC = b"DICM"
_GZIP_MAGIC = b"\x1f\x8b"


def guess_kind(found: Iterable[Found]) -> str:
    """Tell the kind of files from what they hold, or from their names where that says nothing.

    One kind among them is enough: files that show none are taken to belong to it, so that what is
    wrong with them is said by the pipeline of that kind.

    Only the first thousand files are looked at.

    Returns:
        fhir, dicom or genomics.

    Raises:
        AmbiguousKindError: several kinds, or none.
    """
    kinds: set[str] = set()
    suffixes: set[str] = set()
    for each in islice(found, _GUESS_FROM):
        if not each.problem:
            kinds |= _kind_by_content(each.path)
            suffixes |= _kind_by_name(each.path)
    guessed = kinds or suffixes
    if len(guessed) != 1:
        said = " and ".join(sorted(guessed)) or "no known kind"
        raise AmbiguousKindError(f"the files look like {said}")
    return guessed.pop()


def _kind_by_content(path: Path) -> set[str]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith(_GZIP_MAGIC):
            with gzip.open(path) as file:
                head = file.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return set()  # landing meets the same error and keeps it as the file's problem
    if head[_DICOM_PREAMBLE : _DICOM_PREAMBLE + len(_DICOM_MAGIC)] == _DICOM_MAGIC:
        return {"dicom"}
    if head.startswith(b"##fileformat=VCF"):
        return {"genomics"}
    return {"fhir"} if b'"resourceType"' in head else set()


def _kind_by_name(path: Path) -> set[str]:
    name = path.name.lower().removesuffix(".gz")
    by_suffix = {".json": "fhir", ".ndjson": "fhir", ".dcm": "dicom", ".vcf": "genomics"}
    return {kind for suffix, kind in by_suffix.items() if name.endswith(suffix)}
