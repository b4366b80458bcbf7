"""Columns of quality results: by frame, by series, and by group over all batches.

Belongs here: schemas only. The code that fills a table is in the module that each schema's comment
names.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.imaging.schemas.key_columns import (
    BATCH,
    FILE_SHA256,
    FRAME,
    MODALITY,
    SOP_INSTANCE_UID,
    SOURCE_FILE,
)

METRIC_NAMES = ("snr", "cnr", "sharpness", "uniformity", "artifacts_score")


def _metric(name: str, description: str, *, unit: str) -> list[pa.Field]:
    return [
        column(name, pa.float64(), f"{description}; null where it has no meaning", unit=unit),
        column(
            f"{name}_part",
            pa.float64(),
            f"What {name} gives to overall_quality before weighting, 0 to 1",
            unit="1",
        ),
        column(f"{name}_method", pa.string(), f"How {name} was measured; null where it was not"),
        column(
            f"{name}_validity",
            pa.string(),
            f"`valid`, or what {name} rests on in place of what it should; the reason where null",
            nullable=False,
        ),
        column(f"{name}_reason", pa.string(), f"Why {name} is null"),
    ]


def _mr_metric(name: str, description: str) -> list[pa.Field]:
    return [
        column(name, pa.float64(), f"{description}; null but for MR", unit="1"),
        column(f"{name}_reason", pa.string(), f"Why {name} is null"),
    ]


def _severity(name: str, description: str) -> pa.Field:
    return column(
        name, pa.float64(), f"{description}, 0 to 1; null where it does not apply", unit="1"
    )


# imaging/quality/measure.py
QUALITY_METRICS = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        SOP_INSTANCE_UID,
        column("series_instance_uid", pa.string(), "SeriesInstanceUID"),
        FRAME,
        MODALITY,
        column("scanner", pa.string(), "Manufacturer and ManufacturerModelName"),
        *_metric("snr", "Signal of the object above air over noise", unit="1"),
        *_metric("cnr", "Difference of the two main tissues over noise", unit="1"),
        *_metric("sharpness", "Frequency at which edges keep half their contrast", unit="1"),
        *_metric("uniformity", "Integral uniformity of the smooth shading", unit="%"),
        *_metric("artifacts_score", "1 where no detector finds an artifact, 0 at worst", unit="1"),
        *_mr_metric("efc", "Entropy focus criterion, 0 to 1; less is better"),
        *_mr_metric("fber", "Mean energy of the object over that of the air"),
        *_mr_metric("cjv", "Joint variation of the two main tissues; less is better"),
        *_mr_metric("snr_air", "Signal over the deviation of air, times 0.655 (NEMA MS 1)"),
        column("noise_sd", pa.float64(), "Standard deviation of the noise, in modality units"),
        column("edge_width", pa.float64(), "Gaussian blur of the edges", unit="{pixels}"),
        column(
            "structure_ratio",
            pa.float64(),
            "Structure over noise, stripes and ghosts together: what the part of snr rests on",
            unit="1",
        ),
        _severity("ghosting", "Severity of copies displaced by motion or the readout"),
        _severity("banding", "Severity of stripes along rows or columns"),
        _severity("rings", "Severity of rings, of CT"),
        _severity("clipping", "Severity of saturation"),
        _severity("aliasing", "Severity of structure as fine as the pixels"),
        _severity("missing_lines", "Severity of rows or columns that are missing"),
        _severity("metal", "Severity of metal, of CT in Hounsfield units"),
        _severity("truncation", "Severity of a body cut off by the field of view, of CT"),
        column(
            "measurable_share",
            pa.float64(),
            "Share of the object that is not saturated: the metrics say nothing of the rest",
            unit="1",
        ),
        column(
            "overall_quality",
            pa.float64(),
            "Weighted mean of the parts, 0 to 1; null where no part has a meaning",
            unit="1",
        ),
        column(
            "weights_rescaled",
            pa.bool_(),
            "Whether a part is null, so that the weights of the others were rescaled",
            nullable=False,
        ),
        column(
            "weights",
            pa.struct(
                [column(name, pa.float64(), f"Of {name}", unit="1") for name in METRIC_NAMES]
            ),
            "Weight of each part in overall_quality, after rescaling; null where the part is",
            unit="1",
        ),
        column(
            "passes_gate",
            pa.bool_(),
            "Whether overall_quality reaches the gate; null where it is null",
        ),
        column(
            "passes_training_gate",
            pa.bool_(),
            "Whether overall_quality reaches the gate of training sets; null where it is null",
        ),
        column(
            "gate_shortfall",
            pa.float64(),
            "What overall_quality lacks to reach the gate; null where it does, or is null",
            unit="1",
        ),
        column(
            "limiting_metric",
            pa.string(),
            "The metric that is the cause of most of what overall_quality lacks; null without one",
        ),
        column(
            "quality_percentile",
            pa.float64(),
            "Percentile of overall_quality among the batch's frames of the same modality and"
            " scanner: of equals, half count as worse",
            unit="%",
        ),
        column(
            "explanation",
            pa.string(),
            "Why there is no score, or how the gate was passed or failed, and what costs most",
        ),
        column(
            "warnings",
            pa.list_(pa.string()),
            "What was odd of the frame's pixels: values outside of the range that the header"
            " states, units that can't be known; empty where nothing was",
        ),
        column(
            "has_burned_in_text",
            pa.bool_(),
            "Whether text is probably burned in: true where BurnedInAnnotation says YES or the"
            " pixels look so; false where they do not, or it says NO; null where nobody looked (a"
            " slice as acquired) and the header says nothing",
        ),
        column(
            "burned_in_text_evidence",
            pa.string(),
            "What says so: `tag`, `pixels`, `tag_and_pixels`, or `other_frame` of the same file;"
            " null where nothing does",
        ),
        column(
            "text_boxes",
            pa.list_(
                pa.struct(
                    [
                        column("row", pa.int32(), "Uppermost row, from 0"),
                        column("column", pa.int32(), "Leftmost column, from 0"),
                        column("height", pa.int32(), "Rows", unit="{pixels}"),
                        column("width", pa.int32(), "Columns", unit="{pixels}"),
                    ]
                )
            ),
            "Where lines of text were seen, from the top",
            nullable=False,
        ),
        column(
            "is_fit_for_training",
            pa.bool_(),
            "Whether the frame passes the gate of training sets and has no probable burned-in text,"
            " which HC_TRAINING_BURNED_IN=true allows; null where there is no score",
        ),
    ]
)


# imaging/series/series_quality.py
SERIES_QUALITY = pa.schema(
    [
        BATCH,
        column("series_instance_uid", pa.string(), "SeriesInstanceUID", nullable=False),
        MODALITY,
        column("scanner", pa.string(), "Manufacturer and ManufacturerModelName"),
        column("frames", pa.int64(), "Decoded frames of the batch in the series", nullable=False),
        column("scored_frames", pa.int64(), "Those with an overall_quality", nullable=False),
        column("passing_frames", pa.int64(), "Those that pass the gate", nullable=False),
        column("quality_median", pa.float64(), "Median overall_quality", unit="1"),
        column("quality_minimum", pa.float64(), "Least overall_quality", unit="1"),
        column("quality_maximum", pa.float64(), "Greatest overall_quality", unit="1"),
        column(
            "slice_consistency",
            pa.float64(),
            "1 less the median difference of a slice's overall_quality from that of its neighbours,"
            " 0 to 1; null for fewer than five slices",
            unit="1",
        ),
        column(
            "outlier_frames",
            pa.int64(),
            "Slices that stand out from their neighbours",
            nullable=False,
        ),
        column(
            "outliers",
            pa.list_(
                pa.struct(
                    [
                        column("source_file", pa.string(), "File that it is from"),
                        column("frame", pa.int64(), "Number of the frame in its file, from 0"),
                        column("overall_quality", pa.float64(), "Its score"),
                        column("expected_quality", pa.float64(), "Median score of its neighbours"),
                    ]
                )
            ),
            "Each of them, with the median score of the two slices on either side",
            nullable=False,
        ),
        column(
            "reason",
            pa.string(),
            "Why its slices are not compared: `internal error: ` with the class of what was raised,"
            " and where of ours; null where they are",
        ),
    ]
)


def _score(name: str, description: str) -> pa.Field:
    return column(name, pa.float64(), f"{description}; null where none is scored", unit="1")


# imaging/quality_report/statistics.py
QUALITY_REPORT = pa.schema(
    [
        column(
            "scope",
            pa.string(),
            "What the group is: `all`, `modality`, `scanner` or `batch`",
            nullable=False,
        ),
        column("modality", pa.string(), "Of the group, where scope is modality or scanner"),
        column("scanner", pa.string(), "Of the group, where scope is scanner"),
        column("batch", pa.string(), "Of the group, where scope is batch"),
        column("frames", pa.int64(), "Decoded frames", nullable=False),
        column("scored_frames", pa.int64(), "Those with an overall_quality", nullable=False),
        column("passing_frames", pa.int64(), "Those that pass the gate", nullable=False),
        column(
            "training_frames", pa.int64(), "Those that are fit for a training set", nullable=False
        ),
        column(
            "frames_with_text", pa.int64(), "Frames with probable burned-in text", nullable=False
        ),
        _score("mean", "Mean overall_quality"),
        _score("deviation", "Standard deviation of overall_quality, of the frames themselves"),
        _score("minimum", "Least overall_quality"),
        _score("maximum", "Greatest overall_quality"),
        _score("percentile_25", "Below which a quarter lies, to within 0.001"),
        _score("percentile_50", "Median, to within 0.001"),
        _score("percentile_75", "Below which three quarters lie, to within 0.001"),
        _score("percentile_90", "Below which nine tenths lie, to within 0.001"),
        column(
            "histogram",
            pa.list_(pa.int64()),
            "Scored frames in each of twenty equal bins from 0 to 1; 1 is in the last",
            nullable=False,
        ),
        column(
            "kept",
            pa.list_(
                pa.struct(
                    [
                        column("threshold", pa.float64(), "A gate that might be set", unit="1"),
                        column("frames", pa.int64(), "Frames that would pass it"),
                    ]
                )
            ),
            "What thresholds from 0 to 1 by steps of 0.05 would keep",
            nullable=False,
        ),
    ]
)

_INDEX = "imaging/dicom_index"
_METRICS = "imaging/quality_metrics"
# The pixels lie in the landed file that the index names.
_PIXELS = (f"{_INDEX}.source_file",)
_SCORE = (f"{_METRICS}.overall_quality",)
_ORDER = tuple(
    f"{_INDEX}.{name}" for name in ("instance_number", "image_position", "image_orientation")
)
_SLICES = (*_SCORE, *_ORDER)

TABLES: Mapping[str, TableSchema] = {
    _METRICS: TableSchema(
        QUALITY_METRICS,
        Lineage(
            carries=(_INDEX,),
            made={"scanner": (f"{_INDEX}.manufacturer", f"{_INDEX}.model_name")},
            rest=_PIXELS,
        ),
        code_version="5",
    ),
    "imaging/series_quality": TableSchema(
        SERIES_QUALITY,
        Lineage(
            carries=(_METRICS,),
            made={
                "frames": (f"{_METRICS}.frame",),
                "scored_frames": _SCORE,
                "passing_frames": (f"{_METRICS}.passes_gate",),
                "quality_median": _SCORE,
                "quality_minimum": _SCORE,
                "quality_maximum": _SCORE,
                "slice_consistency": _SLICES,
                "outlier_frames": _SLICES,
                "outliers": (f"{_METRICS}.source_file", f"{_METRICS}.frame", *_SLICES),
                "reason": _SLICES,
            },
        ),
        code_version="2",
    ),
    "imaging/quality_report": TableSchema(
        QUALITY_REPORT,
        Lineage(
            carries=(_METRICS,),
            made={
                "scope": (),
                "frames": (f"{_METRICS}.frame",),
                "passing_frames": (f"{_METRICS}.passes_gate",),
                "training_frames": (f"{_METRICS}.is_fit_for_training",),
                "frames_with_text": (f"{_METRICS}.has_burned_in_text",),
            },
            rest=_SCORE,
        ),
    ),
}
