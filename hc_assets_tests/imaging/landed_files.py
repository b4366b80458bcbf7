"""Files as if they had been landed, for tests of what workers do with them."""

import hashlib
from pathlib import Path
from typing import Any

from hc_assets.imaging.headers.file_work import FileToRead


def landed(path: Path) -> FileToRead:
    """A file, there or not."""
    data = path.read_bytes() if path.exists() else b""
    return FileToRead(path.name, path, hashlib.sha256(data).hexdigest(), len(data))


def mixed_files(testdata: Any, folder: Path) -> list[FileToRead]:
    """Good files of `testdata` among bad ones of every kind, which are written into a folder."""
    text, empty = folder / "notes.dcm", folder / "empty.dcm"
    text.write_text("not an image\n" * 20)
    empty.touch()
    good = ["CT_small.dcm", "reportsi.dcm", "MR_truncated.dcm", "MR_small.dcm"]
    first, *rest = (landed(testdata(name)) for name in good)
    damaged = folder / "damaged.dcm"
    damaged.write_bytes(testdata("JPEG-lossy.dcm").read_bytes().replace(b"\xff\xd9", b"\0\0"))
    bad = [text, empty, folder / "gone.dcm", damaged]
    return [first, *map(landed, bad), *rest]
