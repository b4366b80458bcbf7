"""DICOM files of the planned studies, and those that are damaged on purpose.

Belongs here: names, bytes and damage. What a file holds is made in `dicom_images.py`.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from hc_assets.sample_data.dicom_images import build_instance
from hc_assets.sample_data.flaws import Flaw, Outcome
from hc_assets.sample_data.studies import Series, Study

_TRUNCATED_SHARE = 0.6
_OUTCOMES: dict[str, tuple[str, Outcome]] = {
    "ct_noisy": ("noise-drowns-tissue", "low_quality"),
    "cr_constant": ("constant-image", "low_quality"),
    "dx_blurred": ("motion-blur", "low_quality"),
    "cr_truncated": ("cut-in-pixels", "undecodable"),
    "cr_bare": ("no-preamble", "indexed"),
    "sr_text": ("no-pixels", "no_pixels"),
}
_DAMAGED: tuple[tuple[str, str, bytes], ...] = (
    ("empty-dicom", "dicom/damaged/empty.dcm", b""),
    ("text-named-dcm", "dicom/damaged/notes.dcm", b"Please see the images of last week.\n" * 8),
    ("cut-in-preamble", "dicom/damaged/cut.dcm", b"\0" * 96),
)


class DicomFile(NamedTuple):
    """A DICOM file to be written: its name in the sample, its bytes, and what is wrong with it."""

    name: str
    content: bytes
    flaw: Flaw | None


def make_dicom_files(seed: int, studies: list[Study]) -> Iterator[DicomFile]:
    """Make the files one at a time, since together they need much memory."""
    for study in studies:
        for series in study.series:
            for instance in range(1, series.kind.instances + 1):
                yield _file(seed, study, series, instance)
    for flaw_id, name, content in _DAMAGED:
        yield DicomFile(name, content, Flaw(flaw_id, name, None, "", "", "unreadable"))


def _file(seed: int, study: Study, series: Series, instance: int) -> DicomFile:
    stem = "report" if series.kind.frames == 0 else "image"
    name = f"dicom/study-{study.number:02d}/series-{series.number:02d}/{stem}-{instance:04d}.dcm"
    content = _encoded(build_instance(seed, study, series, instance), series)
    if series.key == "cr_truncated":
        content = content[: int(len(content) * _TRUNCATED_SHARE)]
    if series.key not in _OUTCOMES:
        return DicomFile(name, content, None)
    flaw_id, outcome = _OUTCOMES[series.key]
    return DicomFile(name, content, Flaw(flaw_id, name, None, "", "", outcome))


def _encoded(dataset: Dataset, series: Series) -> bytes:
    buffer = BytesIO()
    if series.key == "cr_bare":  # as archives of the eighties have it: no preamble, no meta
        del dataset.file_meta
        dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    else:
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
