"""Index rows of all batches, gathered by series: what is said of series and studies rests on these.

Belongs here: reading them from the index's Parquet, in bounded memory, and what they carry besides
the index's typed columns. What is made of them is in `series.py` and `imaging_studies.py`.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import msgspec

from hc_assets.imaging.stacks import Plane

_ROWS = 2_000
_COLUMNS = (
    *("batch", "source_file", "file_sha256", "sop_instance_uid", "sop_class_uid"),
    *("series_instance_uid", "study_instance_uid", "frame_of_reference_uid", "patient_id"),
    *("issuer_of_patient_id", "accession_number", "study_date", "study_description"),
    *("series_number", "series_description", "instance_number", "modality", "body_part"),
    *("rows", "columns", "frames", "slice_thickness", "pixel_spacing", "image_orientation"),
    *("image_position", "gantry_tilt", "image_type"),
)
# Elements that the index has in its DICOM JSON only
_JSON_ELEMENTS = {
    "study_time": "00080030",
    "series_date": "00080021",
    "series_time": "00080031",
    "acquisition_time": "00080032",
    "timezone": "00080201",
    "echo_numbers": "00180086",
    "trigger_time": "00181060",
    "b_value": "00189087",
    "acquisition_number": "00200012",
    "laterality": "00200060",
    "temporal_position": "00200100",
    "images_in_acquisition": "00201002",
    "series_related_instances": "00201209",
    "concatenation_uid": "00209161",
    "concatenation_total": "00209163",
    "number_of_slices": "00540081",
    "number_of_time_slices": "00540101",
}
_DIMENSIONS = (
    *("acquisition_number", "acquisition_time", "echo_numbers", "trigger_time", "b_value"),
    "temporal_position",
)

Instance = Mapping[str, Any]
"""An index row: its typed columns; elements of its JSON as text, None where absent; `shared` and
`per_frame`, the functional groups as JSON text, of multi-frame files."""


def read_series(
    parts: Sequence[str], *, changed: Sequence[str] | None = None
) -> Iterator[list[Instance]]:
    """Read the indexed files of each series, over all batches.

    Args:
        parts: paths of all parts of the index.
        changed: parts whose studies are wanted, with their files in all parts; None for all.

    Yields:
        The files of one series, sorted by InstanceNumber, SOPInstanceUID, batch and name; series
        are sorted by StudyInstanceUID and SeriesInstanceUID. Files without either belong to none.
    """
    if not parts or (changed is not None and not changed):
        return
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        wanted = ""
        parameters: list[object] = [list(parts)]
        if changed is not None:
            wanted = """AND study_instance_uid IN (
                SELECT study_instance_uid FROM read_parquet(?, hive_partitioning = false)
            )"""
            parameters.append(list(changed))
        elements = ", ".join(
            f"""dicom_json ->> '$."{tag}".Value[0]' AS {name}"""
            for name, tag in _JSON_ELEMENTS.items()
        )
        found = connection.execute(
            f"""
            SELECT {", ".join(_COLUMNS)}, {elements},
                CASE WHEN frames > 1 THEN dicom_json -> '$."52009229"' END AS shared,
                CASE WHEN frames > 1 THEN dicom_json -> '$."52009230"' END AS per_frame
            FROM read_parquet(?, hive_partitioning = false)
            WHERE study_instance_uid IS NOT NULL AND series_instance_uid IS NOT NULL {wanted}
            ORDER BY study_instance_uid, series_instance_uid, instance_number NULLS LAST,
                sop_instance_uid NULLS LAST, batch, source_file
            """,  # noqa: S608 - names of our own; values are parameters
            parameters,
        )
        of_series = itemgetter("study_instance_uid", "series_instance_uid")
        for _, members in groupby(_rows(found), key=of_series):
            yield list(members)


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[Instance]:
    names = [column[0] for column in found.description or ()]
    while rows := found.fetchmany(_ROWS):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def distinct(files: Sequence[Instance]) -> list[Instance]:
    """Give each SOPInstanceUID once: the file that was landed first stands for it.

    Args:
        files: of one series; those without a UID are instances of their own.
    """
    first: dict[str, Instance] = {}
    without = []
    for file in sorted(files, key=itemgetter("batch", "source_file")):
        uid = file["sop_instance_uid"]
        if uid is None:
            without.append(file)
        else:
            first.setdefault(uid, file)
    kept = {id(file) for file in (*first.values(), *without)}
    return [file for file in files if id(file) in kept]


class _Geometry(msgspec.Struct):
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    thickness: float | None = None
    dimensions: tuple[Any, ...] = ()


def planes_of(instance: Instance) -> Iterator[Plane]:
    """Where the frames of an instance lie.

    Args:
        instance: an index row.

    Yields:
        A plane for each frame whose position and orientation are known: from the functional groups
        of a multi-frame file (PS3.3 C.7.6.16), else from the dataset of a single-frame one.
    """
    # ImageType tells magnitude from phase, and water from fat
    kind = tuple(instance["image_type"] or ())
    dimensions = (*(instance[name] for name in _DIMENSIONS), kind)
    if (instance["frames"] or 0) > 1:
        shared = next(iter(_groups(instance["shared"])), {})
        general = _read_group(shared, _Geometry())
        for group in _groups(instance["per_frame"]):
            yield from _plane(_read_group(group, general), dimensions)
        return
    own = _Geometry(
        _numbers(instance["image_position"], 3),
        _numbers(instance["image_orientation"], 6),
        instance["slice_thickness"],
    )
    yield from _plane(own, dimensions)


def _plane(geometry: _Geometry, dimensions: tuple[Any, ...]) -> Iterator[Plane]:
    if geometry.position is not None and geometry.orientation is not None:
        yield Plane(
            geometry.position,
            geometry.orientation,
            geometry.thickness,
            (*dimensions, *geometry.dimensions),
        )


def _groups(text: str | None) -> list[dict[str, Any]]:
    if text is None:
        return []
    items = msgspec.json.decode(text).get("Value", [])
    return [item for item in items if isinstance(item, dict)]


def _read_group(group: dict[str, Any], general: _Geometry) -> _Geometry:
    """What a functional group says, over what is said of all frames."""
    thickness = _values(group, "00289110", "00180050")
    return _Geometry(
        _numbers(_values(group, "00209113", "00200032"), 3) or general.position,
        _numbers(_values(group, "00209116", "00200037"), 6) or general.orientation,
        float(thickness[0]) if thickness and _is_number(thickness[0]) else general.thickness,
        tuple(map(str, _values(group, "00209111", "00209157"))),
    )


def _values(group: dict[str, Any], macro: str, tag: str) -> list[Any]:
    for item in group.get(macro, {}).get("Value", []):
        if isinstance(item, dict) and tag in item:
            values = item[tag].get("Value", [])
            return values if isinstance(values, list) else []
    return []


def _numbers(values: Sequence[Any] | None, count: int) -> Any:
    if values is None or len(values) != count or not all(map(_is_number, values)):
        return None
    return tuple(float(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e6
