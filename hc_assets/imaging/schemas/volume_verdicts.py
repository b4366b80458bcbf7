"""The words that verdicts and findings of volumes are made of.

Belongs here: what each means. Who decides on them is in `imaging/volumes/`.
"""

from collections.abc import Mapping

VERDICTS: Mapping[str, str] = {
    "as_sent": "A volume: the voxels are the pixels as sent, in modality units",
    "resampled": "A volume: slices were moved or interpolated onto an even, orthogonal grid",
    "no_positions": "No frame has a position and an orientation in the patient",
    "no_pixel_spacing": "PixelSpacing is absent",
    "too_few_slices": "Fewer than three slices: nothing shows whether one is missing",
    "irregular_spacing": "The slices are too far apart, or too irregular, to be interpolated",
    "misaligned_slices": "The slices lie too far aside from one another",
    "below_gate": "No frame passes the quality gate",
    "undecodable": "Pixels can't be decoded, or are not what the header says",
    "color": "The frames are in colour",
    "labels": "The frames are labels, not intensities",
    "not_finite": "Some pixels are infinite or not a number",
    "unknown_units": "What makes modality units of stored values can't be read",
    "too_large": "The slices take up more than HC_VOLUME_BYTES",
    "unknown_mosaic": "A mosaic, and its private header does not say what its slices are, or where",
    "not_acquired": "Pages of text, screens or test patterns (image_kind of quality_metrics)",
    "repeated": "The same voxels at the same place as another volume of the series, of the same"
    " time, echo, b-value and the like",
}
"""Of a volume, the first two; of frames that make none, the others."""

FINDINGS: Mapping[str, str] = {
    "tilt": "The slices are tilted against their stack, as a CT's gantry was",
    "shifted_slices": "The slices are moved sideways against one another",
    "variable_spacing": "The spacing between slices varies",
    "gap": "Slices are missing: each side of the gap is a volume of its own",
    "duplicates": "Frames are left out since another is at the same place",
    "mixed_orientation": "The series has stacks of several orientations",
    "several_grids": "The series has frames of several sizes, spacings or frames of reference",
    "several_volumes": "The stack holds several volumes: times, echoes, b-values and the like",
    "undecodable_frames": "Some frames are left out since their pixels can't be decoded",
    "below_gate_frames": "Some of its frames do not pass the quality gate",
    "conflicting_instances": "Files with the same SOPInstanceUID differ; the first is kept",
    "outlier_slices": "Some slices do not go with their neighbours",
    "uneven_slices": "The brightness of slices jumps from one to the next",
    "striped_slices": "Some slices have stripes that their neighbours have not",
}
"""What was odd, and what was done about it."""
