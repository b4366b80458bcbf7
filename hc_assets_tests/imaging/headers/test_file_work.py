import hashlib
from pathlib import Path

import pytest

from hc_assets.imaging.headers.file_work import work_of
from hc_assets.lake.manifests import DamagedFileError, LandedFile


def landed_file(name: str, size: int, problem: str = "") -> LandedFile:
    return LandedFile(name, name, size, "0" * 64, "application/dicom", problem)


@pytest.mark.parametrize(
    ("chunk_bytes", "most_files", "expected"),
    [
        (100, 9, [["a", "b"], ["c"], ["d", "e"]]),
        (10**9, 9, [["a", "b", "c", "d", "e"]]),
        (10**9, 2, [["a", "b"], ["c", "d"], ["e"]]),
        (1, 9, [["a"], ["b"], ["c"], ["d"], ["e"]]),
    ],
)
def test_work_holds_no_more_bytes_or_files_than_it_may(chunk_bytes, most_files, expected):
    sizes = {"a": 40, "b": 60, "c": 500, "d": 1, "e": 1}
    files = [landed_file(name, size) for name, size in sizes.items()]
    work = list(work_of("data", "b1", files, chunk_bytes, most_files=most_files))
    assert [[file.source_file for file in each.files] for each in work] == expected
    assert [each.number for each in work] == list(range(len(expected)))


def test_no_files_are_no_work():
    assert list(work_of("data", "b1", [], 100)) == []


def test_only_files_with_bytes_are_read_and_only_as_they_were_landed(tmp_path):
    sha256 = hashlib.sha256(b"1").hexdigest()
    landed = LandedFile("a", "a", 1, sha256, "application/dicom")
    files = [landed, landed_file("b", 1, problem="could not be copied")]
    (work,) = work_of(str(tmp_path), "b1", files, 100)
    path = Path(work.layout().landed_file("dicom", "b1", "a").path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1")
    (file,) = work.to_read()
    assert file.source_file == "a"
    assert file.path == path
    assert file.columns("b1") == {"batch": "b1", "source_file": "a", "file_sha256": sha256}
    path.unlink()
    path.write_bytes(b"20")
    with pytest.raises(DamagedFileError, match="batches/dicom/b1/files/a is not what was landed"):
        work.to_read()
