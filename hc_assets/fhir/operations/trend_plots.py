"""Trends over batches, drawn: error rate, quality, throughput.

Belongs here: figures from rows of `fhir/pipeline_metrics`; counts and rates only, no patient data.
"""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

# Older ones make the line no more telling and the picture larger than the UI shows gladly.
_LATEST = 50
_LABELS = 8
_PANELS = (
    ("error_rate", "share in quarantine", (0.0, 1.0)),
    ("mean_quality", "mean quality score", (0.0, 1.0)),
    ("entries_per_second", "entries per second", None),
)


def trend_png(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the trends over the latest batches as a PNG of about 30 KB.

    Args:
        rows: of `fhir/pipeline_metrics`, oldest first; values that are None leave a gap.
    """
    # Loaded here: half a second that only those pay who draw. Without pyplot, which keeps figures.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    latest = rows[-_LATEST:]
    figure = Figure(figsize=(6, 4.5), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(_PANELS), sharex=True)
    places = range(len(latest))
    for panel, (name, label, limits) in zip(panels, _PANELS, strict=True):
        values = [float("nan") if row[name] is None else row[name] for row in latest]
        panel.plot(places, values, marker="o", markersize=3, linewidth=1)
        panel.set_ylabel(label, fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(visible=True, alpha=0.3)
        if limits is None:
            panel.set_ylim(bottom=0)
        else:
            panel.set_ylim(limits[0] - 0.02, limits[1] + 0.02)
    labelled = places[:: max(1, len(latest) // _LABELS)]
    panels[-1].set_xticks(labelled, [latest[n]["batch"][:15] for n in labelled], rotation=45)
    panels[-1].tick_params(axis="x", labelsize=6)
    sink = BytesIO()
    figure.savefig(sink, format="png", metadata={"Software": None})
    return sink.getvalue()


def trend_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the trends as an image in Markdown, as Dagster shows it in metadata."""
    picture = base64.b64encode(trend_png(rows)).decode()
    return f"![Error rate, quality and throughput by batch](data:image/png;base64,{picture})"
