"""What is asked of a training set: which frames, which splits, which labels.

Belongs here: the choices, checked when they are made. How they are applied is in `plan.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hc_assets.imaging.training.fhir_labels import Scope
from hc_assets.imaging.training.labels import file_hash
from hc_assets.imaging.training.splits import DEFAULT_SPLITS, SelectionError, check_splits


@dataclass(frozen=True)
class Selection:
    """Choices.

    Attributes:
        quality_threshold: least overall_quality, 0 to 1.
        modalities: those wanted; all where empty.
        body_parts: values of BodyPartExamined wanted, in any case; all where empty.
        maximum: most samples; the same ones whenever the same are to choose from. None for all.
        with_burned_in: whether frames with text burned into their pixels take part.
        splits: share of the patients by split, adding up to 1.
        split_seed: another seed makes other splits.
        salt: secret that pseudonyms are made with.
        labels_file: CSV, see `labels.read_csv`.
        label_codes: FHIR codes by label, see `fhir_labels.py`; in place of a file.
        label_scope: whether these label all studies of a patient, or the study they refer to.
        patient_system: identifier system of PatientIDs, for labels from FHIR; "" for any.
    """

    salt: str = field(repr=False)
    quality_threshold: float = 0.7
    modalities: Sequence[str] = ()
    body_parts: Sequence[str] = ()
    maximum: int | None = None
    with_burned_in: bool = False
    splits: Mapping[str, float] = field(default_factory=lambda: DEFAULT_SPLITS)
    split_seed: str = ""
    labels_file: Path | None = None
    label_codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    label_scope: Scope = "patient"
    patient_system: str = ""

    def __post_init__(self) -> None:
        if not self.salt:
            raise SelectionError("expected a salt for pseudonyms, found none")
        if self.labels_file and self.label_codes:
            raise SelectionError("expected labels from a file or from FHIR codes, found both")
        check_splits(self.splits)

    @property
    def is_labelled(self) -> bool:
        """Whether labels were asked for."""
        return self.labels_file is not None or bool(self.label_codes)

    def described(self) -> dict[str, object]:
        """What the manifest says about the choices: all but the salt and paths."""
        return {
            "quality_threshold": self.quality_threshold,
            "modalities": sorted(each.upper() for each in self.modalities),
            "body_parts": sorted(each.upper() for each in self.body_parts),
            "maximum": self.maximum,
            "with_burned_in": self.with_burned_in,
            "splits": dict(self.splits),
            "split_seed": self.split_seed,
            "labels_file_sha256": file_hash(self.labels_file) if self.labels_file else None,
            "label_scope": self.label_scope if self.label_codes else None,
            "label_codes": {label: list(codes) for label, codes in self.label_codes.items()},
        }
