"""Labels of frames from a CSV file.

Belongs here: reading it into keys with labels. Which frame a key stands for is joined in `plan.py`;
labels from FHIR are in `fhir_labels.py`. Error texts name lines, never values: keys may be
patients' ids.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hc_assets.lake.atomic import HashingSink

# What a CSV may name frames by, the most exact first.
KEYS = (
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "accession_number",
    "patient_id",
)


class LabelsError(Exception):
    """A file of labels is not as it must be; names file, line, expected and found."""


@dataclass(frozen=True)
class LabelRow:
    """A label of what a key stands for.

    Attributes:
        key: value of the key column.
        frame: number of the frame; None for all frames.
        label: None where it is known that there is none.
    """

    key: str
    frame: int | None
    label: str | None


def key_column(path: Path) -> str:
    """Find by what a file of labels names frames.

    Raises:
        LabelsError: its first line names none of `KEYS`, or has no column `label`.
    """
    with path.open(newline="", encoding="utf-8-sig") as lines:
        header = next(csv.reader(lines), [])
    for name in KEYS:
        if name in header and "label" in header:
            return name
    raise LabelsError(
        f"{path.name}:1: expected columns label and one of {', '.join(KEYS)};"
        f" found {len(header)} columns without"
    )


def read_csv(path: Path) -> Iterator[LabelRow]:
    """Read a file of labels: a key column, `label`, and perhaps `frame`.

    Several lines of one key give it several labels; an empty label says that it has none.

    Raises:
        LabelsError: a line lacks a field, has an empty key, or a frame that is no whole number.
    """
    name = key_column(path)
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines, restval=None)
        for row in reader:
            place = f"{path.name}:{reader.line_num}"
            if None in row or None in row.values():
                expected = len(reader.fieldnames or ())
                raise LabelsError(f"{place}: expected {expected} fields, found more or fewer")
            key, frame = row[name].strip(), (row.get("frame") or "").strip()
            if not key:
                raise LabelsError(f"{place}: expected a {name}, found an empty field")
            if frame and not frame.isdecimal():
                raise LabelsError(f"{place}: expected a frame number from 0, found other text")
            yield LabelRow(key, int(frame) if frame else None, row["label"].strip() or None)


def file_hash(path: Path) -> str:
    """SHA-256 of a file of labels, for the manifest."""
    sink = HashingSink.discarding()
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            sink.write(block)
    return sink.hexdigest()
