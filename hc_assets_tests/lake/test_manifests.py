import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from upath import UPath

from hc_assets.core.domain import Kind
from hc_assets.lake.discovery import discover
from hc_assets.lake.hashes import sha256_when_first_opened
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import (
    DamagedFileError,
    DamagedManifestError,
    Manifest,
    read_manifest,
    verified_file,
)

KIND = Kind("notes", {".note": "text/x-note"}, lambda head: head.startswith(b"NOTE"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


@pytest.fixture
def manifest(layout: Layout, tmp_path: Path) -> Manifest:
    """Of a batch of one file."""
    source = tmp_path / "Doe.note"
    source.write_bytes(b"NOTE one")
    limits = BatchLimits(10, 10**9)
    found = discover([source], layout.landing("notes"))
    (key,) = land(found, layout, KIND, limits=limits, now=datetime.now(UTC)).batches
    return read_manifest(layout, "notes", key)


def rewritten(layout: Layout, manifest: Manifest, **changes: object) -> None:
    path = layout.manifest("notes", manifest.key)
    stored = msgspec.json.decode(path.read_bytes()) | changes
    path.write_bytes(msgspec.json.encode({k: v for k, v in stored.items() if v is not None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"landed_at": "2020-01-01T00:00:00+00:00"},
        {"duplicates": [["a", "b"]]},
        {"kind": "other"},
        {"check": None},
        {"check": ""},
        {"format": 3},
        {"files": []},
        {"content_sha256": 7},
    ],
)
def test_a_manifest_that_says_something_else_is_refused_and_named(layout, manifest, changes):
    rewritten(layout, manifest, **changes)
    with pytest.raises(DamagedManifestError, match=f"batches/notes/{manifest.key}/manifest.json"):
        read_manifest(layout, "notes", manifest.key)


def test_a_manifest_of_the_format_before_is_held_to_the_hash_of_its_files(layout, manifest):
    rewritten(layout, manifest, format=1, check=None)
    assert read_manifest(layout, "notes", manifest.key).files == manifest.files
    rewritten(layout, manifest, files=[])
    with pytest.raises(DamagedManifestError, match="does not list what was landed"):
        read_manifest(layout, "notes", manifest.key)


def test_a_landed_file_is_given_only_as_it_was_landed(layout, manifest):
    (file,) = manifest.files
    path = verified_file(layout, "notes", manifest.key, file)
    assert path.read_bytes() == b"NOTE one"
    path.write_bytes(b"NOTE two")
    with pytest.raises(DamagedFileError, match=f"{file.sha256} is not what was landed") as refused:
        verified_file(layout, "notes", manifest.key, file)
    assert "Doe" not in str(refused.value)
    path.unlink()
    with pytest.raises(DamagedFileError, match="is gone"):
        verified_file(layout, "notes", manifest.key, file)


def test_a_file_is_hashed_again_once_it_was_written_to(tmp_path: Path):
    path = UPath(tmp_path / "file")
    path.write_bytes(b"before")
    before = sha256_when_first_opened(path)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    # Where the clock of the file system is coarse, the same number could come again
    (tmp_path / "file.new").write_bytes(b"after!")
    os.utime(tmp_path / "file.new", ns=times)
    (tmp_path / "file.new").replace(tmp_path / "file")
    assert path.stat().st_mtime_ns == times[1]
    assert sha256_when_first_opened(path) != before
