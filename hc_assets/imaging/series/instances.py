"""Index rows of all batches, by series: the tables of series and studies are made of these.

Belongs here: reading them from the index's Parquet, in bounded memory, and what they carry besides
the index's typed columns. What is made of them is in `table.py` and `imaging_studies.py`.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import msgspec
import numpy as np

from hc_assets.imaging.pixels.held_frames import frames_held
from hc_assets.imaging.series.stacks import Plane, normal_of
from hc_assets.imaging.series.study_times import seconds_of_day

_ROWS = 500
# Beyond it the sort spills to disk
_MEMORY = "1GB"
_THREADS = 2
_COLUMNS = (
    *("batch", "source_file", "file_sha256", "sop_instance_uid", "sop_class_uid"),
    *("series_instance_uid", "study_instance_uid", "frame_of_reference_uid", "patient_id"),
    *("issuer_of_patient_id", "accession_number", "study_date", "study_description"),
    *("series_number", "series_description", "instance_number", "modality", "body_part"),
    *("rows", "columns", "frames", "slice_thickness", "pixel_spacing", "image_orientation"),
    *("image_position", "gantry_tilt", "image_type", "tiles", "tile_shape", "tile_positions"),
    *("b_values", "gradient_directions"),
    *("file_size", "bits_allocated", "transfer_syntax_uid"),
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
# Elements of functional groups: macro and tag. They alone are read: whole groups of a segmentation
# take up a megabyte
_GROUP_ELEMENTS = {
    "position": ("00209113", "00200032"),
    "orientation": ("00209116", "00200037"),
    "thickness": ("00289110", "00180050"),
    "dimensions": ("00209111", "00209157"),
    "acquired": ("00209111", "00189074"),
    "echo": ("00189114", "00189082"),
    "kind": ("00189226", "00089007"),
}
_BEFORE_DIFFUSION = ("acquisition_number", "acquisition_time", "echo_numbers", "trigger_time")
DIMENSION_NAMES = (
    *_BEFORE_DIFFUSION,
    *("b_value", "gradient_direction", "temporal_position", "image_type"),
)
"""Of the first members of `Plane.dimensions`; what follows are the frame's DimensionIndexValues."""

Instance = Mapping[str, Any]
"""An index row: its typed columns, of frames as many as the file can hold, of a mosaic its slices;
elements of its JSON as text, None where absent; of multi-frame files the elements of functional
groups, as `shared_` and `per_frame_` lists of JSON arrays; of dose grids `grid_offsets`, a JSON
array."""


def read_series(
    parts: Sequence[str],
    *,
    changed: Sequence[str] | None = None,
    studies: Collection[str] = (),
) -> Iterator[list[Instance]]:
    """Read the indexed files of each series, over all batches.

    Args:
        parts: paths of all parts of the index.
        changed: parts whose studies are wanted, with their files in all parts; None for all.
        studies: StudyInstanceUIDs of further studies that are wanted.

    Yields:
        The files of one series, sorted by InstanceNumber, SOPInstanceUID, batch and name; series
        are sorted by StudyInstanceUID and SeriesInstanceUID. Files without either belong to none.
    """
    if not parts or (changed is not None and not changed and not studies):
        return
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(
            config={"temp_directory": spill, "memory_limit": _MEMORY, "threads": _THREADS}
        ) as connection,
    ):
        wanted = ""
        parameters: list[object] = [list(parts)]
        if changed is not None:
            wanted = "AND study_instance_uid IN (SELECT unnest(?::VARCHAR[])"
            parameters.append(sorted(studies))
            if changed:
                wanted += """ UNION ALL
                    SELECT study_instance_uid FROM read_parquet(?, hive_partitioning = false)"""
                parameters.append(list(changed))
            wanted += ")"
        elements = ", ".join(
            f"""dicom_json ->> '$."{tag}".Value[0]' AS {name}"""
            for name, tag in _JSON_ELEMENTS.items()
        )
        groups = ", ".join(
            f"""CASE WHEN frames > 1 THEN
                dicom_json -> '$."{sequence}".Value[*]."{macro}".Value[0]."{tag}".Value'
            END AS {place}_{name}"""
            for place, sequence in (("shared", "52009229"), ("per_frame", "52009230"))
            for name, (macro, tag) in _GROUP_ELEMENTS.items()
        )
        found = connection.execute(
            f"""
            SELECT {", ".join(_COLUMNS)}, {elements},
                {groups},
                CASE WHEN frames > 1 THEN dicom_json -> '$."3004000C".Value' END AS grid_offsets
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
            instance = dict(zip(names, row, strict=True))
            instance["frames"] = _held_frames(instance)
            yield _cut(instance)


def _cut(instance: dict[str, Any]) -> Instance:
    """What the pixels of a mosaic are read as: its slices are frames of their own size."""
    if not instance["tiles"] or instance["frames"] is None:
        return instance
    rows, columns = instance["tile_shape"]
    return instance | {
        "frames": instance["frames"] * instance["tiles"],
        "rows": rows,
        "columns": columns,
    }


def _held_frames(instance: Instance) -> int | None:
    """The frames of a file, of which a header may state more than the file can hold."""
    stated: int | None = instance["frames"]
    if stated is None or stated <= 1:
        return stated
    if any(len(instance[f"per_frame_{name}"] or ()) == stated for name in _GROUP_ELEMENTS):
        return stated  # each has an item in the header
    held = frames_held(
        instance["file_size"],
        instance["transfer_syntax_uid"],
        (instance["rows"] or 1) * (instance["columns"] or 1) * (instance["bits_allocated"] or 1),
    )
    return min(stated, max(1, held))


def distinct(files: Sequence[Instance]) -> list[Instance]:
    """Return each SOPInstanceUID once: the file that was landed first stands for it.

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


def planes_of(instance: Instance) -> Iterator[Plane]:
    """Where the frames of an instance lie, as `numbered_planes` says."""
    return (plane for _, plane in numbered_planes(instance))


def numbered_planes(instance: Instance) -> Iterator[tuple[int, Plane]]:
    """Where the frames of an instance lie.

    Args:
        instance: an index row.

    Yields:
        The number, from 0, and the plane of each frame whose position and orientation are known:
        from the functional groups of a multi-frame file (PS3.3 C.7.6.16), from the offsets of a
        dose grid (C.8.8.3.2), of the tiles of a mosaic, else from the dataset of a single-frame
        one.
    """
    is_multi_frame = (instance["frames"] or 0) > 1
    if is_multi_frame and instance["tiles"] is None and not instance["grid_offsets"]:
        yield from _planes_of_frames(instance)
        return
    orientation = _numbers(instance["image_orientation"], 6)
    if orientation is None:
        return
    if instance["tiles"] is not None:
        for tile, sent in enumerate(instance["tile_positions"] or ()):
            position = _numbers(sent, 3)
            if position is not None:
                yield tile, _plane(instance, 0, position, orientation)
        return
    position = _numbers(instance["image_position"], 3)
    if position is None:
        return
    first = _plane(instance, 0, position, orientation)
    yield from _dose_planes(first, instance["grid_offsets"]) if is_multi_frame else [(0, first)]


_UNKNOWN = object()


def _plane(
    instance: Instance,
    frame: int,
    position: Any,
    orientation: Any,
    *,
    thickness: Any = _UNKNOWN,
    indices: Sequence[Any] = (),
    acquired: Sequence[Any] | None = None,
    echo: Sequence[Any] | None = None,
    kind: Sequence[Any] | None = None,
) -> Plane:
    """A plane with what tells it from others at its place.

    Args:
        instance: whose frame it is.
        frame: its number in the file as it is stored.
        position: of it.
        orientation: of it.
        thickness: where it is not the instance's.
        indices: DimensionIndexValues.
        acquired: FrameAcquisitionDateTime, where it has one of its own.
        echo: EffectiveEchoTime, likewise.
        kind: FrameType, likewise.
    """
    own = {name: instance[name] for name in (*_BEFORE_DIFFUSION, "image_type")}
    if kind:
        own["image_type"] = kind
    if echo:
        own["echo_numbers"] = str(echo[0])
    time = str(acquired[0]) if acquired else instance["acquisition_time"]
    image_type = tuple(map(str, own["image_type"] or ()))
    b_value = _of_frame(instance["b_values"], frame)
    gradient = _numbers(_of_frame(instance["gradient_directions"], frame), 3)
    dimensions = (
        *(own[name] for name in _BEFORE_DIFFUSION),
        None if b_value is None else f"{b_value:g}",
        gradient and tuple(f"{value:.4f}" for value in gradient),
        instance["temporal_position"],
        # Tells magnitude from phase, and water from fat
        image_type,
        *map(str, indices),
    )
    return Plane(
        position,
        orientation,
        instance["slice_thickness"] if thickness is _UNKNOWN else thickness,
        dimensions,
        b_value=b_value,
        gradient=gradient,
        seconds=seconds_of_day(time),
        image_type=image_type or None,
        echo=own["echo_numbers"],
    )


def _of_frame(values: Sequence[Any] | None, frame: int) -> Any:
    """What the index has by frame: one value stands for all."""
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    return values[frame] if frame < len(values) else None


def _dose_planes(first: Plane, grid_offsets: str) -> Iterator[tuple[int, Plane]]:
    offsets = msgspec.json.decode(grid_offsets)
    if not isinstance(offsets, list) or not all(map(_is_number, offsets)):
        return
    with np.errstate(invalid="ignore"):  # what is no direction makes no stack
        normal = normal_of(first.orientation)
    for number, offset in enumerate(offsets):
        # Offsets that begin elsewhere than at 0 are coordinates of the patient
        x, y, z = (np.array(first.position) + (offset - offsets[0]) * normal).tolist()
        yield number, replace(first, position=(x, y, z))


def _planes_of_frames(instance: Instance) -> Iterator[tuple[int, Plane]]:
    positions, orientations, thicknesses, dimensions, acquired, echoes, kinds = (
        _of_frames(instance, name) for name in _GROUP_ELEMENTS
    )
    for at in range(min(instance["frames"], len(positions))):
        position = _numbers(positions[at], 3)
        orientation = _numbers(orientations[at], 6)
        thickness = _numbers(thicknesses[at], 1)
        if position is not None and orientation is not None:
            plane = _plane(
                instance,
                at,
                position,
                orientation,
                thickness=thickness[0] if thickness else None,
                indices=dimensions[at] or (),
                acquired=acquired[at],
                echo=echoes[at],
                kind=kinds[at],
            )
            yield at, plane


def _of_frames(instance: Instance, name: str) -> Sequence[list[Any] | None]:
    """An element for each frame: its own, else the shared one.

    Where only some frames have it it is unknown which, and it counts as absent.
    """
    own = instance[f"per_frame_{name}"] or []
    count = instance["frames"]
    if len(own) == count:
        return [msgspec.json.decode(text) for text in own]
    shared = instance[f"shared_{name}"] or []
    value = msgspec.json.decode(shared[0]) if shared and not own else None
    return [value] * count


def _numbers(values: Sequence[Any] | None, count: int) -> Any:
    if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
        return None
    return tuple(float(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e6
