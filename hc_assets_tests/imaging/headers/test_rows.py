import pytest

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX, UNREADABLE_FILES
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
