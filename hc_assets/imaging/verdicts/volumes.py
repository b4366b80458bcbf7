"""Evaluators of the volume checks: tables in, verdicts out.

Belongs here: counting and comparing. Which check uses what, and how bad a failure is, is in
`imaging/volumes/checks.py`.
"""

from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.verdicts import Verdict, none_of
from hc_assets.imaging.volumes.geometry import directions_of, ras_from_lps, spacing_of

_MOST_SHEAR = 0.05
"""Cosine between two axes of a volume up to which it is a grid: slices up to half a pixel out of
line, and directions that were sent with two digits."""
_SOUND = frozenset(["as_sent", "resampled"])


def series_accounted_for(gated: Collection[str], volumes: pa.ChunkedArray) -> Verdict:
    """Judge that each series with a frame that passes the gate has a volume or a verdict.

    Args:
        gated: SeriesInstanceUID of each such series.
        volumes: SeriesInstanceUID of each row.
    """
    missing = set(gated) - set(volumes.to_pylist())
    return none_of(len(missing), len(gated), what="gated series without volume or verdict")


def geometry_sound(volumes: Iterable[pa.RecordBatch]) -> Verdict:
    """Judge that each volume is a right-handed grid, and says the same of itself in every column.

    Args:
        volumes: verdict, shape, spacing_mm, affine_lps, affine_ras of each row.
    """
    bad = count = 0
    for batch in volumes:
        for row in batch.to_pylist():
            if row["verdict"] in _SOUND:
                count += 1
                bad += not _is_sound(row)
    return none_of(bad, count, what="volumes whose geometry is not sound")


def _is_sound(row: dict[str, list[float]]) -> bool:
    affine = np.array(row["affine_lps"]).reshape(4, 4)
    if not np.isfinite(affine).all() or (np.linalg.norm(affine[:3, :3], axis=0) <= 0).any():
        return False
    axes = directions_of(affine)
    square = np.abs(axes.T @ axes - np.eye(3)).max() <= _MOST_SHEAR
    ras = np.array(row["affine_ras"]).reshape(4, 4)
    return bool(
        square
        and np.linalg.det(axes) > 0
        and np.allclose(ras, ras_from_lps(affine))
        and np.allclose(row["spacing_mm"], spacing_of(affine)[::-1])
        and min(row["shape"]) > 0
    )


def slices_whole(volumes: pa.Table, slices: Iterable[pa.RecordBatch]) -> Verdict:
    """Judge that each volume has all its slices, each finite and of the shape its row states.

    Args:
        volumes: volume_id and shape of each row.
        slices: volume_id, slice and voxels of each slice.
    """
    expected = {
        name: tuple(shape)
        for name, shape in zip(
            volumes["volume_id"].to_pylist(), volumes["shape"].to_pylist(), strict=True
        )
        if name is not None
    }
    found: Counter[str] = Counter()
    for batch in slices:
        lengths = pc.list_value_length(batch["voxels"]).to_pylist()
        is_finite = [bool(np.isfinite(v.values.to_numpy()).all()) for v in batch["voxels"]]
        for name, length, finite in zip(
            batch["volume_id"].to_pylist(), lengths, is_finite, strict=True
        ):
            _, rows, columns = expected.get(name, (0, 0, 0))
            found[name] += finite and length == rows * columns
    bad = sum(found[name] != shape[0] for name, shape in expected.items())
    bad += len(found.keys() - expected.keys())
    return none_of(bad, len(expected), what="volumes with slices that are missing or damaged")


def stacks_usable(verdicts: pa.ChunkedArray, findings: pa.ChunkedArray) -> Verdict:
    """Judge how the geometry of the series turned out: no stack with gaps or without a grid.

    Args:
        verdicts: of each row.
        findings: of each row.
    """
    counts = Counter(verdicts.to_pylist())
    odd = Counter(word for words in findings.to_pylist() for word in words)
    refused = counts["irregular_spacing"] + counts["misaligned_slices"]
    verdict = none_of(
        refused + odd["gap"], len(verdicts), what="stacks with gaps or without a usable grid"
    )
    by_word = {f"verdict_{word}": number for word, number in sorted(counts.items())}
    by_word |= {f"finding_{word}": number for word, number in sorted(odd.items())}
    return Verdict(
        verdict.passed,
        verdict.value,
        verdict.threshold,
        verdict.explanation,
        verdict.counts | by_word,
    )


def volumes_registered(verdicts: pa.ChunkedArray) -> Verdict:
    """Judge that every registration that was tried came to a plausible transform.

    Args:
        verdicts: of each aligned volume.
    """
    counts = Counter(verdicts.to_pylist())
    failed = sum(counts[word] for word in ("not_improved", "implausible", "no_overlap"))
    return none_of(failed, len(verdicts), what="volumes that could not be registered")
