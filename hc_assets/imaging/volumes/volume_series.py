"""Volumes that follow one another in a series: times, directions of diffusion; and their gradients.

Belongs here: which volumes are one 4-D image, what their b-values and directions are as FSL has
them, and how much time is between them. Writing the files is in `exports.py`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from hc_assets.imaging.volumes.geometry import Matrix, directions_of
from hc_assets.imaging.volumes.rows import Row

_SAME_PLACE_MM = 1e-3
_EVEN = 0.1
"""Of the usual interval: how far intervals may differ for there to be one."""
_DAY_SECONDS = 86_400.0
_SAME = ("shape", "units", "image_type", "echo")


def runs_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Gather the volumes of a series that make one 4-D image each.

    Args:
        rows: of the volumes of one series, in order.

    Returns:
        Volumes on the same grid, of the same kind of image and of one echo, in their order; a
        volume that is alone in that is a run by itself.
    """
    runs: list[list[Row]] = []
    for row in rows:
        for run in runs:
            if _belong_together(run[0], row):
                run.append(row)
                break
        else:
            runs.append([row])
    return runs


def _belong_together(first: Row, row: Row) -> bool:
    if any(first[name] != row[name] for name in _SAME):
        return False
    apart = np.abs(np.array(first["affine_lps"]) - np.array(row["affine_lps"]))
    return bool(apart.max() <= _SAME_PLACE_MM)


def is_weighted(rows: Sequence[Row]) -> bool:
    """Whether volumes are of a diffusion series: all have a b-value, and some more than 0."""
    b_values = [row["b_value"] for row in rows]
    return None not in b_values and any(b > 0 for b in b_values)


def bval_text(rows: Sequence[Row]) -> str:
    """b-values as FSL has them: one line, s/mm2, a number for each volume."""
    return " ".join(f"{row['b_value']:.10g}" for row in rows) + "\n"


def bvec_text(rows: Sequence[Row]) -> str:
    """Directions as FSL has them: lines for x, y and z, with a number for each volume.

    They are along the axes of the image, as it is stored, with x turned round where the affine
    into RAS has a positive determinant: FSL takes an image to be stored as radiologists look at
    it. A volume without a direction has zeros.
    """
    columns = [_in_image(row) for row in rows]
    lines = (" ".join(f"{column[axis]:.8g}" for column in columns) for axis in range(3))
    return "".join(f"{line}\n" for line in lines)


def _in_image(row: Row) -> Matrix:
    if row["gradient_direction"] is None:
        return np.zeros(3)
    affine = np.array(row["affine_lps"]).reshape(4, 4)
    along: Matrix = directions_of(affine).T @ np.array(row["gradient_direction"])
    # That of RAS has the same sign: two axes are turned round
    if np.linalg.det(affine[:3, :3]) > 0:
        along[0] = -along[0]
    return np.round(along, 10) + 0.0  # no -0


def seconds_between(rows: Sequence[Row]) -> float | None:
    """Time from one volume to the next, s; None where it is unknown, or not the same."""
    starts = [row["acquired_s"] for row in rows]
    if len(starts) < 2 or None in starts:
        return None
    intervals = np.diff(starts)
    intervals = np.where(intervals < -_DAY_SECONDS / 2, intervals + _DAY_SECONDS, intervals)
    usual = float(np.median(intervals))
    if usual <= 0 or np.abs(intervals - usual).max() > _EVEN * usual:
        return None
    return round(usual, 6)


def of_series(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Divide rows, sorted by series, into those of each series."""
    own: list[Row] = []
    for row in rows:
        if own and own[0]["series_instance_uid"] != row["series_instance_uid"]:
            yield own
            own = []
        own.append(row)
    if own:
        yield own
