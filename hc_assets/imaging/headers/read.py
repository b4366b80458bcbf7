"""From a file to its row of the index: typed columns, the whole header as JSON, warnings.

Belongs here: the row as a whole, by the fast reader or the thorough one. Which element makes which
column is in `columns.py`, reading the file in `reading.py`, the JSON in `dicom_json.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hc_assets.imaging.headers.columns import COLUMNS, Kind, TypedColumns, sop_class_name
from hc_assets.imaging.headers.dataset_encoding import INFLATED_LIMITS, LIMITS_OF_INDEXED
from hc_assets.imaging.headers.dicom_json import dicom_json
from hc_assets.imaging.headers.diffusion import Diffusion, diffusion_of, has_diffusion, of_csa
from hc_assets.imaging.headers.elements import (
    Elements,
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
from hc_assets.imaging.headers.siemens_csa import OWNER as CSA_OWNER
from hc_assets.imaging.headers.siemens_csa import NoCsaHeaderError, csa_numbers
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
    return completed(fast_header(path) or thorough_header(path, inflated_limits), path)


def thorough_header(
    path: Path, inflated_limits: ArchiveLimits = INFLATED_LIMITS
) -> dict[str, object]:
    """Read what the index says about a file with pydicom.

    Args:
        path: the file.
        inflated_limits: of a deflated dataset.

    Returns:
        As `read_header`, but for the columns that `completed` adds.

    Raises:
        UnreadableFile: no header can be had.
    """
    with opened(path) as file, quiet_pydicom():
        header, _ = parse(file, inflated_limits=inflated_limits)
        return index_columns(header)


def needs_file(row: Mapping[str, object]) -> bool:
    """Whether what completes a row is not in it, but may be in the file."""
    image_type = _texts(row["image_type"])
    is_old_diffusion = "DIFFUSION" in image_type and CSA_OWNER in _texts(row["private_creators"])
    return row["has_pixels"] is True and (is_mosaic(image_type) or is_old_diffusion)


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
    frames = row["frames"] if isinstance(row["frames"], int) else 0
    text, orientation = str(row["dicom_json"]), row["image_orientation"]
    weighted = [Diffusion()]
    if frames and row["modality"] == "MR" and has_diffusion(text):
        known = orientation if isinstance(orientation, list) else None
        weighted = diffusion_of(text, frames, known)
    if needs_file(row):
        with opened(path) as file, quiet_pydicom():
            header, _ = parse(file, inflated_limits=LIMITS_OF_INDEXED)
            elements = dataset_elements(header)
            row = _with_tiles(row, elements)
            if weighted == [Diffusion()]:
                weighted = [of_csa(_csa(elements))]
    return row | _diffusion_columns(weighted)


def _with_tiles(row: dict[str, object], elements: Elements) -> dict[str, object]:
    try:
        tiling = tiling_of(elements)
    except UnknownMosaicError as error:
        return row | {"tiles": 0, "warnings": [*_texts(row["warnings"]), error.reason]}
    if tiling is None:
        return row
    return row | {
        "tiles": tiling.count,
        "tile_shape": list(tiling.shape),
        "tile_positions": tiling.positions and [list(each) for each in tiling.positions],
    }


def _diffusion_columns(weighted: Sequence[Diffusion]) -> dict[str, object]:
    b_values = [each.b_value for each in weighted]
    directions = [each.direction and list(each.direction) for each in weighted]
    return {
        "b_values": b_values if any(b is not None for b in b_values) else None,
        "gradient_directions": directions if any(directions) else None,
    }


def _csa(elements: Elements) -> Mapping[str, Sequence[float]]:
    try:
        return csa_numbers(elements)
    except NoCsaHeaderError:
        return {}


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
