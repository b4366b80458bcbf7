"""Every file of the corpora is accounted for as is known of it."""

import csv
from pathlib import Path

import pydicom

from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.frames import Frame, iter_frames

# What can't be decoded of pydicom's own files, and why
UNDECODABLE = {
    # Its codestream is spoiled on purpose: the size is overwritten by a delimiter
    "JPEG2000-embedded-sequence-delimiter.dcm": "the compressed image is 3722445056 by 1024",
    "MR_truncated.dcm": "the pixel data are truncated: 8130 bytes, 8192 are needed",
    # Pixel data without an Image Pixel module
    "meta_missing_tsyntax.dcm": "(0028,0010) Rows is missing",
    "nested_priv_SQ.dcm": "(0028,0010) Rows is missing",
}
# Images by their class that were made to show something else, such as character sets and media
WITHOUT_PIXELS = "the header describes an image, but no pixel data follow"
# A text, and a file with a stray byte before its first element, which DCMTK can't read either
NOT_DICOM = {"README", "no_meta.dcm"}


def test_each_file_of_the_manifest_is_what_it_says(shared_data):
    folder = shared_data / "dicom"
    with (folder / "manifest.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) > 100
    for row in rows:
        path = folder / row["path"]
        header = read_header(path)
        expected = {
            "modality": row["modality"],
            "transfer_syntax_uid": row["transfer_syntax"],
            "photometric_interpretation": row["photometric"],
        }
        known = {name: value for name, value in expected.items() if value}
        assert {name: header[name] for name in known} == known, row["path"]
        if row["pixels_ok"] == "none" and row["modality"]:
            assert list(iter_frames(path)) == [], row["path"]
            continue
        if row["rows"]:
            assert [str(header["rows"]), str(header["columns"])] == [row["rows"], row["cols"]]
        frames = list(iter_frames(path))
        # What pydicom and its plugins could not decode when the manifest was made is decoded too
        assert all(isinstance(frame, Frame) for frame in frames), row["path"]
        stored = int(row["frames"] or 1) if row["modality"] else header["frames"]
        assert len(frames) == stored * (header["tiles"] or 1)


def test_each_of_pydicoms_files_is_read_or_known_not_to_be():
    folder = Path(pydicom.__file__).parent / "data"
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in ("", ".dcm")]
    undecodable: dict[str, str] = {}
    unreadable: set[str] = set()
    for path in filter(Path.is_file, files):
        try:
            frames = list(iter_frames(path))
        except UnreadableFile:
            unreadable.add(path.name)
            continue
        reasons = [frame.reason for frame in frames if not isinstance(frame, Frame)]
        if reasons == [WITHOUT_PIXELS]:
            assert "PixelData" not in pydicom.dcmread(path, force=True), path.name
        elif reasons:
            undecodable[path.name] = reasons[0]
    assert unreadable == NOT_DICOM
    assert undecodable.keys() == UNDECODABLE.keys()
    for name, reason in undecodable.items():
        assert reason.startswith(UNDECODABLE[name]), reason
