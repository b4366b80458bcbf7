"""From a file to its row of the index: typed columns, the whole header as JSON, warnings.

Belongs here: the row as a whole, by the fast reader or the thorough one. Which element makes which
column is in `columns.py`, reading the file in `reading.py`, the JSON in `dicom_json.py`.
"""

from pathlib import Path

from hc_assets.imaging.headers.columns import COLUMNS, Kind, TypedColumns, sop_class_name
from hc_assets.imaging.headers.dataset_encoding import INFLATED_LIMITS
from hc_assets.imaging.headers.dicom_json import dicom_json
from hc_assets.imaging.headers.elements import (
    dataset_elements,
    meta_elements,
    private_creators,
)
from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.reading import (
    Header,
    opened,
    parse,
    quiet_pydicom,
)
from hc_assets.lake.archives import ArchiveLimits

_META_SOP_CLASS = 0x00020002
_META_SOP_INSTANCE = 0x00020003


def read_header(path: Path, inflated_limits: ArchiveLimits = INFLATED_LIMITS) -> dict[str, object]:
    """Read what the index says about a file, as fast as it allows.

    Args:
        path: the file.
        inflated_limits: of a deflated dataset.

    Returns:
        Every column of `schemas.DICOM_INDEX` apart from batch, source_file, file_sha256 and
        file_size. A malformed value is None in its column, with a warning, and kept as text in
        `dicom_json`.

    Raises:
        UnreadableFile: no header can be had.
    """
    return fast_header(path) or thorough_header(path, inflated_limits)


def thorough_header(
    path: Path, inflated_limits: ArchiveLimits = INFLATED_LIMITS
) -> dict[str, object]:
    """Read what the index says about a file with pydicom.

    Args:
        path: the file.
        inflated_limits: of a deflated dataset.

    Returns:
        As `read_header`.

    Raises:
        UnreadableFile: no header can be had.
    """
    with opened(path) as file, quiet_pydicom():
        header, _ = parse(file, inflated_limits=inflated_limits)
        return index_columns(header)


def index_columns(header: Header) -> dict[str, object]:
    """Make the index columns of a header that has been read.

    Args:
        header: what `reading.parse` gives.

    Returns:
        As `read_header`.
    """
    elements = dataset_elements(header)
    typed = TypedColumns(elements, list(header.warnings))
    has_pixels = header.pixels is not None
    row: dict[str, object] = {
        column.name: None if column.kind is Kind.FRAMES and not has_pixels else typed.value(column)
        for column in COLUMNS
    }
    meta = TypedColumns(meta_elements(header))
    row["sop_class_uid"] = row["sop_class_uid"] or meta.text(_META_SOP_CLASS)
    row["sop_class"] = sop_class_name(row["sop_class_uid"])
    row["sop_instance_uid"] = row["sop_instance_uid"] or meta.text(_META_SOP_INSTANCE)
    row["has_pixels"] = has_pixels
    row["transfer_syntax_uid"] = str(header.transfer_syntax) if header.has_transfer_syntax else None
    row["private_creators"] = private_creators(elements)
    row["dicom_json"], notes = dicom_json(elements, is_inflated=header.is_inflated)
    # The JSON and a typed column may stumble over the same value
    row["warnings"] = list(dict.fromkeys([*typed.notes, *notes]))
    return row
