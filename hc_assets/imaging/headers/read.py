"""From a file to its row of the index: typed columns, the whole header as JSON, warnings.

Belongs here: the row as a whole, by the fast reader or the thorough one. Which element makes which
column is in `columns.py`, reading the file in `reading.py`, the JSON in `dicom_json.py`.
"""

from collections.abc import Mapping
from pathlib import Path

from hc_assets.imaging.headers.columns import COLUMNS, Kind, TypedColumns, sop_class_name
from hc_assets.imaging.headers.dicom_json import dicom_json
from hc_assets.imaging.headers.elements import (
    dataset_elements,
    meta_elements,
    private_creators,
)
from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.mosaics import UnknownMosaicError, is_mosaic, tiling_of
from hc_assets.imaging.headers.reading import (
    Header,
    opened,
    parse,
    quiet_pydicom,
)

_META_SOP_CLASS = 0x00020002
_META_SOP_INSTANCE = 0x00020003


def read_header(path: Path) -> dict[str, object]:
    """Read what the index says about a file, as fast as it allows.

    Args:
        path: the file.

    Returns:
        Every column of `schemas.DICOM_INDEX` apart from batch, source_file, file_sha256 and
        file_size. A malformed value is None in its column, with a warning, and kept as text in
        `dicom_json`.

    Raises:
        UnreadableFile: no header can be had.
    """
    return completed(fast_header(path) or thorough_header(path), path)


def thorough_header(path: Path) -> dict[str, object]:
    """Read what the index says about a file with pydicom.

    Args:
        path: the file.

    Returns:
        As `read_header`, but for the columns that `completed` adds.

    Raises:
        UnreadableFile: no header can be had.
    """
    with opened(path) as file, quiet_pydicom():
        header, _ = parse(file)
        return index_columns(header)


def needs_file(row: Mapping[str, object]) -> bool:
    """Whether what completes a row is not in it, but in the file."""
    return row["has_pixels"] is True and is_mosaic(_texts(row["image_type"]))


def completed(row: dict[str, object], path: Path) -> dict[str, object]:
    """Add the columns that no single element makes.

    Args:
        row: what the fast or the thorough reader made.
        path: the file, which is read again where `needs_file` says so.

    Returns:
        The row with every column that `read_header` returns.

    Raises:
        UnreadableFile: the file is not what it was.
    """
    row |= dict.fromkeys(("tiles", "tile_shape", "tile_positions"))
    if not needs_file(row):
        return row
    with opened(path) as file, quiet_pydicom():
        header, _ = parse(file)
        elements = dataset_elements(header)
    try:
        tiling = tiling_of(elements)
    except UnknownMosaicError as error:
        warnings = [*_texts(row["warnings"]), error.reason]
        return row | {"tiles": 0, "warnings": warnings}
    if tiling is None:
        return row
    return row | {
        "tiles": tiling.count,
        "tile_shape": list(tiling.shape),
        "tile_positions": tiling.positions and [list(each) for each in tiling.positions],
    }


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []


def index_columns(header: Header) -> dict[str, object]:
    """Make the index columns of a header that has been read.

    Args:
        header: what `reading.parse` gives.

    Returns:
        As `thorough_header`.
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
