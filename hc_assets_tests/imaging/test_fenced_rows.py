"""What is raised for one file or frame is a row of its own, and no accusation of the file."""

import errno
import os

import numpy as np
import pyarrow as pa
import pytest

from hc_assets.core.places import places_of
from hc_assets.imaging.fenced_batches import divided_batch, whole_batch
from hc_assets.imaging.headers import read, reading
from hc_assets.imaging.headers import rows as header_rows
from hc_assets.imaging.pixels import decoding, frames
from hc_assets.imaging.quality import rows as quality_rows
from hc_assets.imaging.quality.gates import Rules
from hc_assets_tests.imaging.landed_files import landed

NUMBERS = pa.schema([("name", pa.string()), ("number", pa.int32())])
ODD = [{"name": "a", "number": 1}, {"name": "b", "number": 2**40}, {"name": "c", "number": 3}]


def test_a_row_that_does_not_fit_costs_itself():
    batch, ((row, error),) = divided_batch(ODD, NUMBERS)
    assert batch["name"].to_pylist() == ["a", "c"]
    assert row["name"] == "b"
    assert error.text.startswith("internal error: ")


def test_another_row_stands_for_one_that_does_not_fit():
    batch = whole_batch(ODD, NUMBERS, lambda row, error: row | {"number": None})
    assert batch.to_pylist()[1] == {"name": "b", "number": None}


@pytest.fixture
def broken(monkeypatch):
    """Let a function of a module raise an error whenever it is called."""

    def break_(module, name, error):
        def broken_function(*_, **__):
            raise error

        monkeypatch.setattr(module, name, broken_function)

    return break_


def test_running_out_of_memory_is_no_unreadable_file(testdata, broken, monkeypatch):
    monkeypatch.setattr(read, "fast_header", lambda _: None)
    broken(read, "index_columns", MemoryError())
    assert reason_of(testdata("CT_small.dcm")).startswith("internal error: MemoryError at ")


def test_an_attribute_that_our_code_asks_for_in_vain_is_no_damaged_header(testdata, monkeypatch):
    monkeypatch.setattr(read, "fast_header", lambda _: None)
    monkeypatch.setattr(read, "dataset_elements", lambda _: None)
    assert reason_of(testdata("CT_small.dcm")).startswith("internal error: AttributeError at ")


def reason_of(path):
    (found,) = header_rows.index_files([landed(path)], "b1")
    (reason,) = found.unreadable["reason"].to_pylist()
    return reason


def test_a_header_that_does_not_fit_the_index_is_unreadable(testdata, monkeypatch):
    genuine = header_rows.read_header

    def odd(path, limits):
        return genuine(path, limits) | (
            {"bits_stored": 2**40} if path.name == "MR_small.dcm" else {}
        )

    monkeypatch.setattr(header_rows, "read_header", odd)
    files = [landed(testdata(f"{name}_small.dcm")) for name in ("CT", "MR")]
    (found,) = header_rows.index_files(files, "b1")
    assert found.index["source_file"].to_pylist() == ["CT_small.dcm"]
    assert found.unreadable["source_file"].to_pylist() == ["MR_small.dcm"]


def test_what_ends_a_step_says_which_file_it_was_at(testdata, broken):
    file = landed(testdata("CT_small.dcm"))
    broken(header_rows, "read_header", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(OSError, match="No space") as caught:
        list(header_rows.index_files([file], "b1"))
    (place,) = places_of(caught.value)
    assert file.sha256[:12] in place
    assert "b1" in place
    assert "CT_small" not in place


def test_a_file_that_cannot_be_opened_for_want_of_files_is_not_unreadable(testdata, broken):
    broken(reading.mmap, "mmap", OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    with pytest.raises(OSError, match="Too many open files"):
        frames.iter_frames(testdata("CT_small.dcm")).__next__()


@pytest.fixture
def five_frames(write_dicom):
    pixels = np.random.default_rng(1).integers(0, 99, (5, 32, 32), dtype=np.uint16)
    return landed(write_dicom(pixels))


def scored(file):
    (found,) = quality_rows.score_files([file], "b1", rules=Rules())
    return found.metrics["frame"].to_pylist(), found.undecodable.to_pylist()


def test_a_frame_that_cannot_be_measured_costs_itself(five_frames, monkeypatch):
    genuine = quality_rows.measure

    def failing(frame, **options):
        if frame.index == 2:
            raise RecursionError("Doe")
        return genuine(frame, **options)

    monkeypatch.setattr(quality_rows, "measure", failing)
    measured, (row,) = scored(five_frames)
    assert measured == [0, 1, 3, 4]
    assert row["frame"] == 2
    assert row["reason"].startswith("internal error: RecursionError at ")


def test_a_frame_whose_decoding_raises_costs_itself(five_frames, monkeypatch):
    genuine = decoding._in_place

    def failing(index, *rest):
        if index == 3:
            raise MemoryError
        return genuine(index, *rest)

    monkeypatch.setattr(decoding, "_in_place", failing)
    measured, (row,) = scored(five_frames)
    assert measured == [0, 1, 2, 4]
    assert (row["frame"], row["sop_instance_uid"]) == (3, "1.2.3.4")


def test_frames_behind_the_place_where_reading_ended_are_all_accounted_for(
    five_frames, monkeypatch
):
    genuine = frames.stored_frames

    def ending(*arguments, **options):
        for stored in genuine(*arguments, **options):
            if stored.index == 2:
                raise MemoryError
            yield stored

    monkeypatch.setattr(frames, "stored_frames", ending)
    measured, rows = scored(five_frames)
    assert measured == [0, 1]
    assert [row["frame"] for row in rows] == [2, 3, 4]
    assert all(row["reason"].startswith("internal error: MemoryError") for row in rows)
