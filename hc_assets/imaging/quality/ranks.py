"""What all frames of a batch tell of each: where its score stands, and whether its file has text.

Belongs here: laying that into rows that units have written before the others were known.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from upath import UPath

from hc_assets.lake.parts import Part, write_part

Group = tuple[str | None, str | None]

_KEYS = ["modality", "scanner", "overall_quality"]
_TEXT_KEYS = ["file_sha256", "has_burned_in_text"]


def percentiles(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentiles of values among others.

    Args:
        values: finite.
        among: finite, in ascending order, at least one.

    Returns:
        Percent of the others that are less, and half of those that are equal; 0 to 100.
    """
    below = np.searchsorted(among, values, side="left")
    up_to = np.searchsorted(among, values, side="right")
    return 50.0 * (below + up_to) / among.size


def add_percentiles(
    folder: UPath, parts: Sequence[Part], *, excludes_burned_in_text: bool = True
) -> list[Part]:
    """Fill `quality_percentile` in parts of `imaging/quality_metrics`, and spread text by file.

    Args:
        folder: of the partition.
        parts: all parts of the partition, drafts.
        excludes_burned_in_text: whether a frame with probable text is unfit for a training set.

    Returns:
        The parts that take their place, in the same order; the old ones are gone. Where text is
        probable in one frame of a file it is in all of them, as a scanner writes on each.
    """
    scores: dict[Group, list[float]] = defaultdict(list)
    with_text: set[str] = set()
    for part in parts:
        for row in _read(folder, part, [*_KEYS, *_TEXT_KEYS]).to_pylist():
            if row["overall_quality"] is not None:
                scores[row["modality"], row["scanner"]].append(row["overall_quality"])
            if row["has_burned_in_text"]:
                with_text.add(row["file_sha256"])
    among = {group: np.sort(np.array(values)) for group, values in scores.items()}
    return [_ranked(folder, part, among, with_text, excludes_burned_in_text) for part in parts]


def _read(folder: UPath, part: Part, columns: list[str] | None = None) -> pa.Table:
    with (folder / part.name).open("rb") as stream:
        return pq.read_table(stream, columns=columns, page_checksum_verification=True)


def _ranked(
    folder: UPath,
    part: Part,
    among: dict[Group, NDArray[np.float64]],
    with_text: set[str],
    excludes_burned_in_text: bool,
) -> Part:
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
    filled: dict[str, list[Any]] = {"quality_percentile": ranks, "explanation": explanations}
    if with_text:
        filled |= _spread(table, with_text, excludes_burned_in_text=excludes_burned_in_text)
    for name, values in filled.items():
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        table = table.set_column(at, field, pa.array(values, field.type))
    made = write_part(folder, table, number=part.number, place=part.place)
    (folder / part.name).unlink()
    return made


def _spread(
    table: pa.Table, with_text: set[str], *, excludes_burned_in_text: bool
) -> dict[str, list[Any]]:
    """Columns of frames in files with text; where it was seen in another frame they say so."""
    texts, evidences, fits = (
        table[name].to_pylist()
        for name in ("has_burned_in_text", "burned_in_text_evidence", "is_fit_for_training")
    )
    for at, file in enumerate(table["file_sha256"].to_pylist()):
        if file in with_text and not texts[at]:
            texts[at], evidences[at] = True, "other_frame"
            if fits[at] and excludes_burned_in_text:
                fits[at] = False
    return {
        "has_burned_in_text": texts,
        "burned_in_text_evidence": evidences,
        "is_fit_for_training": fits,
    }
