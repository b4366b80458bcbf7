import gzip
import io
import struct
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from upath import UPath

from hc_assets.domains import CATALOG
from hc_assets.imaging.domain import DICOM_FILES
from hc_assets.lake.archives import (
    DEFAULT_LIMITS,
    ArchiveError,
    ArchiveLimits,
    archive_in,
    members,
)
from hc_assets.lake.discovery import discover
from hc_assets.lake.kinds import guess_kind
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import Manifest, batch_keys, read_manifest

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
FILES = {"a/1.dcm": b"one", "a/b/2.dcm": b"two" * 1000, "3": b"three"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path / "data")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def land_all(
    layout: Layout, *paths: Path, limits: ArchiveLimits = DEFAULT_LIMITS, files: int = 100
) -> LandingResult:
    return land(
        discover(paths, Path(layout.landing("dicom").path)),
        layout,
        DICOM_FILES,
        limits=BatchLimits(files, 10**9, limits),
        now=NOON,
    )


def manifests(layout: Layout) -> list[Manifest]:
    return [read_manifest(layout, "dicom", key) for key in batch_keys(layout, "dicom")]


def landed(layout: Layout, folder: Path) -> dict[str, bytes | str]:
    """By name below a folder: the bytes that were landed, or what is wrong with them."""
    found: dict[str, bytes | str] = {}
    for manifest in manifests(layout):
        for file in manifest.files:
            name = str(Path(file.source_file).relative_to(folder))
            stored = layout.landed_file("dicom", manifest.key, file.stored)
            found[name] = file.problem or stored.read_bytes()
    return found


def is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        found = archive_in(file)
        assert file.tell() == 0
    return found


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "write", "how"),
    [
        ("a.zip", zipped, zipfile.ZIP_DEFLATED),
        ("a.zip", zipped, zipfile.ZIP_STORED),
        ("no_suffix", zipped, zipfile.ZIP_BZIP2),
        ("a.tar", tarred, "w"),
        ("a.tar.gz", tarred, "w:gz"),
        ("a.tgz", tarred, "w:gz"),
        ("a.tar.xz", tarred, "w:xz"),
        ("a.tar.bz2", tarred, "w:bz2"),
    ],
)
def test_every_file_of_an_archive_is_landed(layout, drop, name, write, how):
    write(drop / name, FILES, how)
    result = land_all(layout, drop)
    assert (result.landed, result.unreadable) == (3, 0)
    assert landed(layout, drop) == {f"{name}/{each}": data for each, data in FILES.items()}


def test_an_archive_is_landed_once_and_its_files_are_known_elsewhere(layout, drop, tmp_path):
    zipped(drop / "a.zip", FILES)
    first = land_all(layout, drop)
    tarred(drop / "b.tar.gz", FILES | {"4": b"four"})
    (drop / "5").write_bytes(b"three")

    second = land_all(layout, drop)

    assert (second.landed, second.already_landed) == (1, 7)
    assert second.known_batches == set(first.batches)
    (key,) = second.batches
    manifest = read_manifest(layout, "dicom", key)
    stored = layout.batch("dicom", key) / "files"
    assert [path.name for path in stored.iterdir()] == [file.stored for file in manifest.files]


def test_equal_bytes_within_an_archive_are_stored_once(layout, drop):
    tarred(drop / "a.tar", {"1": b"same", "2": b"same"}, "w")
    land_all(layout, drop)
    assert landed(layout, drop) == {"a.tar/1": b"same"}
    (manifest,) = manifests(layout)
    assert [name for name, _ in manifest.duplicates] == [str(drop / "a.tar" / "2")]


def test_batches_stay_within_their_limits_across_an_archive(layout, drop):
    zipped(drop / "a.zip", {str(number): str(number).encode() for number in range(7)})
    assert len(land_all(layout, drop, files=3).batches) == 3
    assert len(landed(layout, drop)) == 7


def test_names_that_lead_out_are_refused_and_nothing_is_written_there(layout, drop, tmp_path):
    names = ["../../evil", "/abs", "a/../../b", "C:\\x", "..\\y", "fine"]
    zipped(drop / "a.zip", dict.fromkeys(names, b"x"))
    tarred(drop / "b.tar", dict.fromkeys(names, b"y"), "w")
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts}

    land_all(layout, drop)

    found = [(f.source_file, f.problem) for m in manifests(layout) for f in m.files]
    problems = [problem for _, problem in found if problem]
    assert problems == ["has a name that leads out of its archive"] * 10
    assert sum(not problem for _, problem in found) == 2
    assert {path for path in tmp_path.rglob("*") if "data" not in path.parts} == before


def test_links_and_devices_are_refused(layout, drop):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(drop / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with tarfile.open(drop / "b.tar", "w") as archive:
        for name, kind in (("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("f", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    land_all(layout, drop)
    assert landed(layout, drop) == {
        "a.zip/link": "is a link in an archive",
        "b.tar/s": "is a link in an archive",
        "b.tar/h": "is a link in an archive",
        "b.tar/f": "is neither a file nor a folder",
    }


@pytest.mark.parametrize("write", [zipped, tarred])
def test_a_bomb_is_stopped_where_it_passes_the_limit(layout, drop, write):
    bomb = drop / "bomb"
    write(bomb, {"small": b"x", "large": bytes(64 * 1024**2)})
    assert bomb.stat().st_size < 100_000
    land_all(layout, drop, limits=ArchiveLimits(ratio=50, always=1024**2))
    found = landed(layout, drop)
    assert found["bomb/small"] == b"x"
    assert "unpacks to more than" in str(found["bomb"])
    assert "bomb/large" not in found
    size = sum(p.stat().st_size for p in Path(layout.data_dir).rglob("*") if p.is_file())
    assert size < 100_000


@pytest.mark.parametrize("write", [zipped, tarred])
def test_too_many_members_are_refused(drop, write):
    write(drop / "a", {str(number): b"" for number in range(20)})
    with (drop / "a").open("rb") as file, pytest.raises(ArchiveError, match="10 members"):
        list(members(file, ArchiveLimits(files=10)))


def test_a_directory_of_millions_is_refused_before_it_is_read(drop):
    path = zipped(drop / "a.zip", {str(number): b"" for number in range(400)})
    with path.open("rb") as file, pytest.raises(ArchiveError, match="directory is too large"):
        next(members(file, ArchiveLimits(files=10)))


def test_long_metadata_of_a_tar_file_are_refused(drop):
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 2 * 1024**2
    (drop / "a.tar").write_bytes(info.tobuf() + bytes(info.size + 1024))
    with (drop / "a.tar").open("rb") as file, pytest.raises(ArchiveError, match="damaged"):
        list(members(file, DEFAULT_LIMITS))


def test_a_damaged_member_costs_itself_only(layout, drop):
    path = zipped(drop / "a.zip", FILES, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"twotwo", b"twoTWO", 1))
    land_all(layout, drop)
    assert landed(layout, drop) == {
        "a.zip/a/1.dcm": b"one",
        "a.zip/a/b/2.dcm": "is damaged in its archive",
        "a.zip/3": b"three",
    }


def test_what_precedes_the_damage_of_a_tar_file_is_landed(layout, drop):
    path = tarred(drop / "a.tar", {"1": b"one", "2": b"two" * 5000}, "w")
    path.write_bytes(path.read_bytes()[:3000])
    land_all(layout, drop)
    assert landed(layout, drop) == {"a.tar/1": b"one", "a.tar": "is a damaged archive"}


def test_damaged_and_encrypted_and_empty_archives_are_reported(layout, drop):
    whole = zipped(drop / "whole", FILES).read_bytes()
    (drop / "whole").unlink()
    (drop / "cut.zip").write_bytes(whole[:-30])
    (drop / "cut.tgz").write_bytes(gzip.compress(tarred(drop / "t", FILES, "w").read_bytes())[:-9])
    (drop / "t").unlink()
    zipped(drop / "empty.zip", {})
    encrypted = bytearray(zipped(drop / "e.zip", {"x": b"secret"}).read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.find(magic) + at] |= 1
    (drop / "e.zip").write_bytes(encrypted)
    land_all(layout, drop)
    found = landed(layout, drop)
    assert found["cut.zip"] == "is a damaged archive"
    assert found["cut.tgz"] == "is a damaged archive"
    assert found["empty.zip"] == "is an archive with nothing in it"
    assert found["e.zip/x"] == "is encrypted"


def test_hidden_files_and_folders_are_skipped_and_equal_names_distinguished(layout, drop):
    with zipfile.ZipFile(drop / "a.zip", "w") as archive:
        for name, data in ((".DS_Store", b"x"), ("__MACOSX/._a", b"y"), ("f/", b"")):
            archive.writestr(name, data)
        archive.writestr("f/a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("f/a", b"2")
    land_all(layout, drop)
    assert landed(layout, drop) == {"a.zip/f/a": b"1", "a.zip/f/a (2)": b"2"}


def test_an_archive_in_an_archive_stays_packed(layout, drop):
    inner = zipped(drop / "inner", FILES).read_bytes()
    (drop / "inner").unlink()
    zipped(drop / "a.zip", {"inner.zip": inner})
    land_all(layout, drop)
    assert landed(layout, drop) == {"a.zip/inner.zip": inner}


def test_a_dicom_file_with_an_odd_preamble_is_no_archive(drop):
    path = drop / "a.dcm"
    path.write_bytes(b"PK\x03\x04".ljust(128, b"\0") + b"DICM" + bytes(200))
    assert not is_archive(path)


def test_a_gzipped_file_that_is_no_tar_is_no_archive(drop):
    path = drop / "a.ndjson.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000))
    assert not is_archive(path)
    path.write_bytes(b"\x1f\x8b" + struct.pack("<Q", 7))
    assert not is_archive(path)


def test_the_kind_of_an_archive_is_detected_from_its_files(drop):
    image = bytes(128) + b"DICM" + bytes(100)
    zipped(drop / "a.zip", {"README": b"hello", "1": image})
    assert guess_kind(discover([drop], drop), CATALOG.kinds) == "dicom"
    tarred(drop / "a.zip", {"p.json": b'{"resourceType": "Patient"}'})
    assert guess_kind(discover([drop], drop), CATALOG.kinds) == "fhir"


def test_an_archive_in_an_object_store_is_landed_as_its_files(layout):
    store = UPath("memory://archives-of-this-test")
    store.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    (store / "a.zip").write_bytes(packed.getvalue())
    land(discover([store], store), layout, DICOM_FILES, limits=BatchLimits(100, 10**9), now=NOON)
    (manifest,) = manifests(layout)
    assert {file.source_file for file in manifest.files} == {f"a.zip/{name}" for name in FILES}
