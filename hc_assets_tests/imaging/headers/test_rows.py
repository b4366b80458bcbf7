from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from upath import UPath

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import IndexBatch, index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX, UNREADABLE_FILES
from hc_assets.lake.hashes import head_hash, quick_hash_of
from hc_assets.lake.manifests import DamagedFileError
from hc_assets_tests.imaging.landed_files import landed, mixed_files


@pytest.fixture
def mixed(testdata, tmp_path) -> list[FileToRead]:
    return mixed_files(testdata, tmp_path)


def test_every_file_is_indexed_or_unreadable_in_the_order_given(mixed):
    (found,) = index_files(mixed, "b1")
    assert found.index.schema == DICOM_INDEX
    assert found.unreadable.schema == UNREADABLE_FILES
    found.index.validate(full=True)
    unreadable = found.unreadable["source_file"].to_pylist()
    assert unreadable == ["notes.dcm", "empty.dcm", "gone.dcm"]
    assert all(found.unreadable["reason"].to_pylist())
    kept = [file.source_file for file in mixed if file.source_file not in unreadable]
    assert found.index["source_file"].to_pylist() == kept
    by_name = {file.source_file: file for file in mixed}
    for row in found.index.to_pylist():
        file = by_name[row["source_file"]]
        assert (row["batch"], row["file_sha256"], row["file_size"]) == (
            "b1",
            file.sha256,
            file.size,
        )


def test_batches_stay_small(testdata):
    files = [landed(testdata("MR_small.dcm"))] * 5
    assert [len(found.index) for found in index_files(files, "b1", most_rows=2)] == [2, 2, 1]


def test_large_headers_are_handed_on_sooner(testdata):
    files = [landed(testdata("MR_small.dcm"))] * 3
    found = index_files(files, "b1", most_characters=10)
    assert [len(each.index) for each in found] == [1, 1, 1]


def test_the_same_files_give_the_same_rows(mixed):
    def once() -> list[bytes]:
        batches = [b for found in index_files(mixed, "b1") for b in (found.index, found.unreadable)]
        return [batch.serialize().to_pybytes() for batch in batches]

    assert once() == once()


LONG_HEADER = 200_000
"""Bytes of a private element: far beyond the beginning whose hash is kept."""


@pytest.fixture(params=["short", "long"])
def image(request, testdata, tmp_path) -> FileToRead:
    """A landed image whose header is within the beginning of the file, or is not."""
    dataset = pydicom.dcmread(testdata("CT_small.dcm"))
    if request.param == "long":
        block = dataset.private_block(0x0099, "ACME", create=True)
        block.add_new(0x01, "OB", b"\0" * LONG_HEADER)
    path = tmp_path / "image.dcm"
    dataset.save_as(path)
    data = path.read_bytes()
    quick = quick_hash_of(UPath(path))
    return replace(landed(path), head=head_hash(data), quick=quick)


def indexed(file: FileToRead) -> list[IndexBatch]:
    return list(index_files([file], "b1", is_verified=False))


def change(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_was_landed_is_indexed(image):
    assert indexed(image) == list(index_files([image], "b1"))


def test_a_header_that_is_not_what_was_landed_is_not_indexed(image):
    change(image.path, 400)
    with pytest.raises(DamagedFileError, match=r"batches/dicom/b1/files/image.dcm is not what"):
        indexed(image)


def test_a_landed_file_that_is_gone_is_named(image):
    image.path.unlink()
    with pytest.raises(DamagedFileError, match="is gone"):
        indexed(image)


@pytest.mark.parametrize("image", ["long"], indirect=True)
def test_a_header_beyond_the_beginning_is_looked_at_whole(image):
    change(image.path, LONG_HEADER)
    with pytest.raises(DamagedFileError, match="is not what was landed"):
        indexed(image)


def test_files_of_an_older_manifest_are_hashed_whole(image):
    older = replace(image, head="", quick="")
    assert len(indexed(older)) == 1
    change(image.path, image.path.stat().st_size - 1)
    with pytest.raises(DamagedFileError, match="is not what was landed"):
        indexed(older)
