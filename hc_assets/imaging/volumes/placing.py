"""The frames of a series, with the place of each in the patient.

Belongs here: from index rows to placed frames. Which of them make a volume is decided in
`splitting.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hc_assets.imaging.series.instances import Instance, numbered_planes
from hc_assets.imaging.volumes.splitting import PlacedFrame

CAPTURED: Literal["captured"] = "captured"
"""What stands for the gate of a frame that is no acquisition, such as a page of text."""
Gate = bool | None | Literal["captured"]
Gates = Mapping[tuple[str, str], Mapping[int, Gate]]
"""Whether each decoded frame passes the quality gate, by batch and source_file, then by frame."""


@dataclass(frozen=True)
class Placed:
    """The frames of a series.

    Attributes:
        frames: those whose place is known, in the order of the files.
        unplaced: how many frames have none.
        undecodable: how many are left out since their pixels can't be had.
        unknown_mosaics: how many are of mosaics whose slices can't be told apart, or placed.
        captured: how many frames are left out since they are no acquisitions.
    """

    frames: list[PlacedFrame]
    unplaced: int
    undecodable: int
    unknown_mosaics: int
    captured: int


def placed_frames(files: Sequence[Instance], gates: Gates | None = None) -> Placed:
    """Find out where the frames of a series lie.

    Args:
        files: index rows of the series, each instance once.
        gates: the decoded frames; None where all are taken to be decodable.
    """
    frames: list[PlacedFrame] = []
    counts: Counter[str] = Counter()
    for number, file in enumerate(files):
        count = file["frames"] or 0
        if file["tiles"] is not None and not file["tile_positions"]:
            counts["unknown_mosaics"] += count
            continue
        decoded = None
        if gates is not None:
            decoded = gates.get((file["batch"], file["source_file"]), {})
            counts["undecodable"] += max(0, count - len(decoded))
            captured = sum(gate == CAPTURED for gate in decoded.values())
            counts["captured"] += captured
            counts["unplaced"] -= captured
        placed = [
            frame
            for frame in _frames(number, file)
            if decoded is None or decoded.get(frame.frame, CAPTURED) != CAPTURED
        ]
        counts["unplaced"] += (len(decoded) if decoded is not None else count) - len(placed)
        frames += [_judged(frame, decoded) for frame in placed]
    return Placed(
        frames,
        *(counts[name] for name in ("unplaced", "undecodable", "unknown_mosaics", "captured")),
    )


def _frames(number: int, file: Instance) -> list[PlacedFrame]:
    spacing = file["pixel_spacing"]
    usable = spacing is not None and len(spacing) == 2 and min(spacing) > 0
    grid = (
        *(file["rows"], file["columns"]),
        tuple(spacing) if usable else None,
        file["frame_of_reference_uid"],
        # The slices of a mosaic are one volume, whatever others are at the same places
        *(() if file["tiles"] is None else ("mosaic", number)),
    )
    return [
        PlacedFrame(
            plane.position,
            plane.orientation,
            plane.thickness,
            plane.dimensions,
            plane.b_value,
            plane.gradient,
            plane.seconds,
            plane.image_type,
            plane.echo,
            file=number,
            frame=frame,
            grid=grid,
        )
        for frame, plane in numbered_planes(file)
    ]


def _judged(frame: PlacedFrame, decoded: Mapping[int, Gate] | None) -> PlacedFrame:
    gate = None if decoded is None else decoded[frame.frame]
    return replace(frame, passes_gate=None if gate == CAPTURED else gate)
