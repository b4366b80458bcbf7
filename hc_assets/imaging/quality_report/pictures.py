"""What Dagster shows of a batch's quality: a montage of its frames, and how the scores lie.

Belongs here: Markdown with pictures in it, all of a batch together under 64 KB. How a frame is made
small is in `thumbnails.py`.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from upath import UPath

from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality_report import chosen_frames
from hc_assets.imaging.quality_report.chosen_frames import ChosenFrame, Selection, read_frames
from hc_assets.imaging.quality_report.statistics import BINS, COLUMNS, Scores
from hc_assets.imaging.quality_report.thumbnails import Tile, data_uri, montage, png, tile
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part
from hc_assets.lake.tables import opened_part

WORST, SAMPLE = 6, 6
# Base64 makes four bytes of three: 62 KB in all
# Dagster's UI keeps 64 KB of a text: both and what is documented beside them fit, as base64
_MONTAGE_BYTES, _HISTOGRAM_BYTES = 30_000, 24_000


def batch_pictures(
    layout: Layout, folder: UPath, parts: Sequence[Part], rules: Rules
) -> dict[str, str]:
    """Make what Dagster shows of a batch.

    Args:
        layout: where the batch is.
        folder: of its partition of `imaging/quality_metrics`.
        parts: of the partition, which need not be committed yet.
        rules: that its frames were held to.

    Returns:
        Markdown by name of the metadata entry; empty where there are no frames.
    """
    scores, selection = Scores(), Selection(WORST, SAMPLE)
    columns = sorted({*COLUMNS, *chosen_frames.COLUMNS})
    for part in parts:
        with opened_part(folder / part.name) as file:
            for rows in file.iter_batches(columns=columns):
                scores.add(rows)
                selection.add(rows)
    pictures = {}
    if scores.scored:
        pictures["quality_histogram"] = histogram_markdown(scores, rules.gate, rules.training_gate)
    thumbnails = montage_markdown(layout, selection)
    if thumbnails is not None:
        pictures["thumbnails"] = thumbnails
    return pictures


def montage_markdown(layout: Layout, selection: Selection) -> str | None:
    """Show the worst frames of a batch, and a sample of it.

    Args:
        layout: where the batch is.
        selection: of its frames.

    Returns:
        An image in Markdown of at most 42 KB, and what it shows in words; None where no frame can
        be decoded.
    """
    worst, sample = selection.worst(), selection.sample()
    tiles = {
        chosen: tile(frame, chosen.caption)
        for chosen, frame in read_frames(layout, [*worst, *sample])
    }
    rows = [[tiles[chosen] for chosen in group if chosen in tiles] for group in (worst, sample)]
    arranged = [each for row in rows for each in row]
    if not arranged:
        return None
    columns = max(WORST, SAMPLE)
    # The worst fill a row of their own
    arranged = [*rows[0], *_blank(-len(rows[0]) % columns if rows[1] else 0, arranged[0]), *rows[1]]
    encoded = png(montage(arranged, columns=columns), most_bytes=_MONTAGE_BYTES)
    blurred = sum(each.is_blurred for each in tiles.values())
    return (
        f"![Thumbnails: the {len(rows[0])} worst frames, then {len(rows[1])} of all]"
        f"({data_uri(encoded)})\n\n"
        f"The {len(rows[0])} worst frames, then {len(rows[1])} drawn from all."
        + (f" {blurred} blurred: burned-in text or a face is probable." if blurred else "")
        + f"\n\nFile (start of file_sha256) and frame: {_labels(worst)}; {_labels(sample)}."
    )


def _blank(count: int, like: Tile) -> list[Tile]:
    return [Tile(np.full_like(like.picture, 40))] * count


def _labels(group: Sequence[ChosenFrame]) -> str:
    return ", ".join(f"`{chosen.label}`" for chosen in group) or "none"


def histogram_markdown(scores: Scores, gate: float, training_gate: float) -> str:
    """Draw how the scores of a batch lie.

    Args:
        scores: of its frames.
        gate: from which a frame passes.
        training_gate: from which it is fit for a training set.

    Returns:
        An image in Markdown of at most 32 KB.
    """
    # Loaded here: half a second that only those pay who draw. Without pyplot, which keeps figures.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(5, 2.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    counts = scores.histogram()
    below = BINS[:-1] + 1e-9 < gate
    width = BINS[1] - BINS[0]
    for which, label, hatch in ((~below, "passes", ""), (below, "below the gate", "///")):
        panel.bar(
            BINS[:-1][which],
            counts[which],
            width,
            align="edge",
            color="#9db7d5" if hatch else "#2f5d8a",
            edgecolor="#1b1f24",
            hatch=hatch,
            label=label,
            linewidth=0.5,
        )
    panel.axvline(gate, color="#a40e26", linestyle="--", label=f"gate {gate:.2f}")
    panel.axvline(
        training_gate, color="#116329", linestyle=":", label=f"training {training_gate:.2f}"
    )
    panel.set_xlim(0, 1)
    panel.set_xlabel("overall_quality", fontsize=8)
    panel.set_ylabel("frames", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.legend(fontsize=7)
    sink = BytesIO()
    figure.savefig(sink, format="png", metadata={"Software": None})
    encoded = sink.getvalue()
    if len(encoded) > _HISTOGRAM_BYTES:
        raise ValueError(f"a histogram of {len(encoded)} bytes, at most {_HISTOGRAM_BYTES}")
    text = f"{scores.passing} of {scores.scored} scored frames pass"
    return f"![Histogram of overall_quality: {text}]({data_uri(encoded)})"
