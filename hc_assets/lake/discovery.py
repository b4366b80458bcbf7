"""What lies in a folder and waits to be landed.

Belongs here: walking folders, and telling what can't be taken from them and why. Taking it is in
`landing.py`.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
