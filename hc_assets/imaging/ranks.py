"""Where a frame's score stands among those of its modality and scanner.

Belongs here: percentiles over the frames of a batch, laid into rows that units have written before
the others were known.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from upath import UPath

from hc_assets.lake.parts import Part, write_part

Group = tuple[str | None, str | None]

_KEYS = ["modality", "scanner", "overall_quality"]


def percentiles(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the percentiles of values among others.

    Args:
        values: finite.
        among: finite, in ascending order, at least one.

    Returns:
        Percent of the others that are less, and half of those that are equal; 0 to 100.
    """
    below = np.searchsorted(among, values, side="left")
    up_to = np.searchsorted(among, values, side="right")
    return 50.0 * (below + up_to) / among.size


def add_percentiles(folder: UPath, parts: Sequence[Part]) -> list[Part]:
    """Fill `quality_percentile` in parts of `imaging/quality_metrics`.

    Args:
        folder: of the partition.
        parts: all parts of the partition, not committed yet.

    Returns:
        The parts that take their place, in the same order; the old ones are gone.
    """
    scores: dict[Group, list[float]] = defaultdict(list)
    for part in parts:
        for row in _read(folder, part, _KEYS).to_pylist():
            if row["overall_quality"] is not None:
                scores[row["modality"], row["scanner"]].append(row["overall_quality"])
    among = {group: np.sort(np.array(values)) for group, values in scores.items()}
    return [_ranked(folder, part, among) for part in parts]


def _read(folder: UPath, part: Part, columns: list[str] | None = None) -> pa.Table:
    with (folder / part.name).open("rb") as stream:
        return pq.read_table(stream, columns=columns)


def _ranked(folder: UPath, part: Part, among: dict[Group, NDArray[np.float64]]) -> Part:
    table = _read(folder, part)
    ranks: list[float | None] = []
    explanations: list[str] = []
    for row in table.select([*_KEYS, "gate_shortfall", "explanation"]).to_pylist():
        score, text = row["overall_quality"], row["explanation"]
        if score is None:
            ranks.append(None)
        else:
            group = among[row["modality"], row["scanner"]]
            ranks.append(float(percentiles(np.array([score]), group)[0]))
            if row["gate_shortfall"] is not None:
                text += (
                    f"; percentile {ranks[-1]:.0f} of {group.size} frames"
                    " of its modality and scanner"
                )
        explanations.append(text)
    for name, values in (("quality_percentile", ranks), ("explanation", explanations)):
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        table = table.set_column(at, field, pa.array(values, field.type))
    made = write_part(folder, part.name.rpartition("-")[0], table)
    if made.name != part.name:
        (folder / part.name).unlink()
    return made
