"""What lies in a folder and waits to be landed.

Belongs here: walking folders, here or in an object store, and telling what can't be taken from them
and why. Taking it is in `landing.py`, what of it is new in `watching.py`.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from upath import UPath

from hc_assets.core.source_names import FOLDER_PREFIX
from hc_assets.lake.atomic import is_local, local_path

# What fsspec file systems say of an object that changes when its content does. Times of access are
# left out: they would make every file look new at every look.
_VERSION_MEMBERS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "content_md5",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "modified",
    "modify",
    "created",
)

AnyPath: TypeAlias = Path | UPath

# While a file is on its way: curl and Firefox, WinSCP, Chromium, Transmit and others, editors and
# scripts, aria2 and wget's recipes, scp wrappers. rsync's `.name.XXXXXX` begins with a dot.
_UNFINISHED_SUFFIXES = (
    ".part",
    ".filepart",
    ".crdownload",
    ".partial",
    ".download",
    ".opdownload",
    ".tmp",
    ".temp",
    ".aria2",
    ".inprogress",
    ".uploading",
    ".writing",
    "~",
)


def is_unfinished(name: str) -> bool:
    """Whether a file's name says that whoever copies it here has not finished yet."""
    return name.lower().endswith(_UNFINISHED_SUFFIXES)


@dataclass(frozen=True)
class Found:
    """A file that waits to be landed.

    Attributes:
        path: where it is.
        source_file: its name in manifests and tables.
        problem: why it can't be landed, where it can't.
        version: changes when its content does; "" where it could not be looked at.
        changed_at: POSIX time of its last change; None where its file system does not say.
        is_unfinished: whether its name is one that copying tools give a file until it is whole.
        source_folder: the folder that stands for its source, just below the landing folder or the
            path that was named; "" where it lies in none.
    """

    path: AnyPath
    source_file: str
    problem: str = ""
    version: str = ""
    changed_at: float | None = None
    is_unfinished: bool = False
    source_folder: str = ""

    def noted(self) -> str:
        """Version and problem, as one text: what is the same needs no look."""
        return f"{self.version} {self.problem}"


def source_folder_in(parts: Sequence[str]) -> str:
    """The folder that stands for a source, of the parts of a path below a landing folder, or ""."""
    return parts[0] if len(parts) > 1 and parts[0].startswith(FOLDER_PREFIX) else ""


def is_stored(path: AnyPath) -> bool:
    """Whether a path lies in an object store, or another file system that fsspec supports."""
    return isinstance(path, UPath) and not is_local(path)


def as_local(path: AnyPath) -> Path:
    """Return a path on this machine as the standard library's own.

    Raises:
        ValueError: it is not on this machine.
    """
    return path if isinstance(path, Path) else local_path(path)


def discover(
    paths: Iterable[AnyPath],
    landing_folder: AnyPath,
    leave_out: Callable[[str], bool] = lambda _: False,
) -> Iterator[Found]:
    """List the files under paths, in a stable order.

    Folders are walked; names that begin with a dot are left out. A folder with nothing in it, a
    link that leads out of the path named or nowhere, and anything that is neither file nor folder
    are found with a problem. What is deleted meanwhile is not found.

    Args:
        paths: files and folders; those in object stores as fsspec URLs.
        landing_folder: files below it are named relative to it.
        leave_out: asked of the path of each local file before anything is asked of the file itself:
            whether it is of no interest. Listings of object stores come with all that is asked.

    Raises:
        FileNotFoundError: one of the paths does not exist.
    """
    for named in paths:
        if is_stored(named):
            yield from _stored(UPath(named), landing_folder)
            continue
        # `..` says where somebody stood, not where the file is
        root = Path(os.path.normpath(as_local(named).absolute()))
        if not root.exists():
            raise FileNotFoundError(f"{named}: no such file or folder")
        # Nothing on this machine lies below a landing folder in an object store
        folder = Path(os.devnull) if is_stored(landing_folder) else as_local(landing_folder)
        place = Place(root.resolve(), folder.absolute(), root)
        yield from _walk(str(root), place, leave_out, is_folder=root.is_dir())


@dataclass(frozen=True)
class Place:
    """Where local files are looked for.

    Attributes:
        root: what links must not lead out of, itself without links.
        landing_folder: files below it are named relative to it.
        named: the root as it was named, with its links.
    """

    root: Path
    landing_folder: Path
    named: Path

    def version(self, path: str) -> str | None:
        """Return the version and the problem of what `examine` finds, as one text."""
        with suppress(OSError):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):  # most are, and a fifth of the time will do for them
                return f"{_version(status)} "
        found = self.examine(Path(path))
        return None if found is None else found.noted()

    def examine(self, path: Path) -> Found | None:
        """Look at one path; None where nothing is there but a folder in order."""
        name = _name(path, self.landing_folder)
        is_link = path.is_symlink()
        try:
            status = path.stat()
            # Only a link can lead out of the folder that it is in: to resolve every path would take
            # most of the time of a walk.
            inside = not is_link or path.resolve().is_relative_to(self.root)
        except FileNotFoundError as error:
            gone = Found(path, name, f"can't be looked at: {error.strerror}")
            return gone if is_link else None
        except OSError as error:
            return Found(path, name, f"can't be looked at: {error.strerror}")
        problem = ""
        if not inside:
            problem = "is a link that leads out of its folder"
        elif stat.S_ISDIR(status.st_mode):
            problem = self._problem_of_folder(path, is_link=is_link)
            if not problem:
                return None
        elif not stat.S_ISREG(status.st_mode):
            problem = "is neither a file nor a folder"
        changed_at = max(status.st_mtime, status.st_ctime)
        unfinished = is_unfinished(path.name)
        folder = self._source_folder(path)
        return Found(path, name, problem, _version(status), changed_at, unfinished, folder)

    def _source_folder(self, path: Path) -> str:
        above = next(
            (each for each in (self.landing_folder, self.named) if path.is_relative_to(each)), path
        )
        return source_folder_in(path.relative_to(above).parts)

    def _problem_of_folder(self, path: Path, *, is_link: bool) -> str:
        if is_link and path.resolve() in path.absolute().parents:
            return "is a link to a folder above it"
        try:
            with os.scandir(path) as entries:
                is_empty = next(entries, None) is None
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"is a folder that can't be listed: {error.strerror}"
        if is_empty and path.resolve() not in (self.root, self.landing_folder.resolve()):
            return "is a folder with nothing in it"
        return ""


def _walk(
    path: str, place: Place, leave_out: Callable[[str], bool], *, is_folder: bool
) -> Iterator[Found]:
    entries: list[os.DirEntry[str]] = []
    if is_folder:
        # Names and kinds come with the listing: known files are passed over without a look at them.
        with suppress(OSError), os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    if not entries:
        if leave_out(path):
            return
        found = place.examine(Path(path))
        if found is not None:
            yield found
        elif not is_folder and os.path.isdir(path):  # noqa: PTH112 - a link to one
            yield from _walk(path, place, leave_out, is_folder=True)
    for entry in entries:
        if not entry.name.startswith("."):
            below = entry.is_dir(follow_symlinks=False)
            yield from _walk(entry.path, place, leave_out, is_folder=below)


def _version(status: os.stat_result) -> str:
    # ctime moves with every write and can't be set, so a copy that keeps its mtime shows as well.
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _stored(named: UPath, landing_folder: AnyPath) -> Iterator[Found]:
    """List the objects under a URL, or the one that it names.

    Raises:
        FileNotFoundError: there is none, and no folder of that name.
    """
    files = named.fs
    files.invalidate_cache()  # an earlier listing is no news
    if not files.exists(named.path):
        raise FileNotFoundError(f"{named}: no such file or folder")
    listed: Mapping[str, Mapping[str, object]] = files.find(named.path, detail=True)
    prefix = f"{UPath(landing_folder).path.rstrip('/')}/"
    for name in sorted(listed):
        path = named.with_segments(files.unstrip_protocol(name))
        below = path.path.removeprefix(prefix)
        if not any(part.startswith(".") for part in below.split("/")):
            source_file = below if path.path.startswith(prefix) else str(path)
            version, unfinished = _stored_version(listed[name]), is_unfinished(path.name)
            below_named = path.path.removeprefix(f"{named.path.rstrip('/')}/")
            relative = below if path.path.startswith(prefix) else below_named
            folder = source_folder_in(relative.lstrip("/").split("/"))
            yield Found(
                path, source_file, version=version, is_unfinished=unfinished, source_folder=folder
            )


def _stored_version(info: Mapping[str, object]) -> str:
    values = [str(info[member]) for member in _VERSION_MEMBERS if info.get(member) is not None]
    return "-".join([str(info.get("size")), *values])


def version_of(path: AnyPath) -> str:
    """Version of a file in an object store, as `discover` gives it, asked again.

    Raises:
        FileNotFoundError: it is gone.
    """
    stored = UPath(path)
    stored.fs.invalidate_cache()
    return _stored_version(stored.fs.info(stored.path))


def state_of(path: AnyPath, source: IO[bytes]) -> object:
    """Return what changes when an open file does.

    Args:
        path: where it is.
        source: the file, opened.

    Raises:
        FileNotFoundError: it is gone from an object store.
    """
    if is_stored(path):
        return version_of(path)
    status = os.fstat(source.fileno())
    return status.st_size, status.st_mtime_ns


def _name(path: Path, landing_folder: Path) -> str:
    name = path.relative_to(landing_folder) if path.is_relative_to(landing_folder) else path
    return os.fsencode(name).decode("utf-8", "backslashreplace")
