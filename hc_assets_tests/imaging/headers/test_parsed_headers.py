"""A file is parsed once while its header is held, and again once it is another file."""

import os

import numpy as np
import pytest

from hc_assets.imaging.headers import parsed_headers
from hc_assets.imaging.headers.parsed_headers import ParsedHeaders
from hc_assets.imaging.headers.reading import UnreadableFile, opened
from hc_assets.imaging.pixels.frames import Frame, iter_frames


@pytest.fixture
def parses(monkeypatch) -> list[int]:
    """One entry for each time that a file is parsed."""
    count: list[int] = []
    real = parsed_headers.parse

    def counted(file, **options):
        count.append(1)
        return real(file, **options)

    monkeypatch.setattr(parsed_headers, "parse", counted)
    return count


def test_a_file_whose_frames_are_read_twice_is_parsed_once(write_dicom, parses):
    path = write_dicom(np.arange(64, dtype=np.uint16).reshape(8, 8))
    first, second = (next(iter_frames(path)) for _ in range(2))
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.context == second.context
    assert len(parses) == 1


def test_another_content_under_the_same_name_is_parsed_anew(write_dicom, parses):
    path = write_dicom(np.zeros((8, 8), np.uint16), PatientID="A")
    next(iter_frames(path))
    write_dicom(np.full((8, 8), 7, np.uint16), PatientID="B")
    os.utime(path, ns=(1, 1))
    found = next(iter_frames(path))
    assert isinstance(found, Frame)
    assert found.pixels[0, 0] == 7
    assert len(parses) == 2


def test_no_more_is_held_than_allowed(write_dicom, parses):
    held = ParsedHeaders(most_bytes=1500)
    paths = [write_dicom(np.zeros((8, 8), np.uint16), f"{n}.dcm") for n in range(4)]
    for path in [*paths, *paths]:
        with opened(path) as file:
            held.parse(path, file)
    assert len(parses) == 8
    assert held._held <= 1500


def test_deflated_datasets_and_files_that_are_none_are_never_held(testdata, tmp_path, parses):
    notes = tmp_path / "notes.dcm"
    notes.write_text("not an image\n" * 20)
    held = ParsedHeaders()
    for _ in range(2):
        with opened(testdata("image_dfl.dcm")) as file:
            header, stream = held.parse(testdata("image_dfl.dcm"), file)
            assert header.is_inflated
            assert stream is not file
        with opened(notes) as file, pytest.raises(UnreadableFile):
            held.parse(notes, file)
    assert len(parses) == 4
