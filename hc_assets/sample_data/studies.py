"""Which imaging studies there are, of whom, and when: the plan that FHIR and DICOM share.

Belongs here: identifiers and kinds of studies, series and instances. Pixels are in `phantoms.py`,
headers in `dicom_headers.py`, the ImagingStudy resource in `imaging_resources.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from hc_assets.sample_data.histories import LOCAL_TIME
from hc_assets.sample_data.patients import IMAGED_PERSON, LAST_DAY, Person
from hc_assets.sample_data.seeded import stream, uid_of, uuid_of

_ADULT = 18


class SeriesKind(NamedTuple):
    """A kind of series.

    Attributes:
        modality: DICOM modality.
        sop_class: of its instances.
        description: as in SeriesDescription.
        instances: how many files.
        frames: in each file; 0 where there are no pixels.
        transfer_syntax: how it is stored.
    """

    modality: str
    sop_class: UID
    description: str
    instances: int
    frames: int
    transfer_syntax: UID


SERIES_KINDS = {
    "ct_chest": SeriesKind("CT", CTImageStorage, "CHEST 3.0 B41", 12, 1, JPEGLSLossless),
    "ct_abdomen": SeriesKind(
        "CT", CTImageStorage, "ABDOMEN 5.0 B30", 12, 1, ImplicitVRLittleEndian
    ),
    "ct_noisy": SeriesKind(
        "CT", CTImageStorage, "CHEST 1.0 LOW DOSE", 6, 1, ExplicitVRLittleEndian
    ),
    "mr_t1": SeriesKind("MR", MRImageStorage, "T1 SE AX", 10, 1, RLELossless),
    "mr_t2": SeriesKind("MR", MRImageStorage, "T2 TSE AX", 10, 1, ExplicitVRLittleEndian),
    "cr_chest": SeriesKind(
        "CR", ComputedRadiographyImageStorage, "CHEST PA", 1, 1, ExplicitVRLittleEndian
    ),
    "cr_constant": SeriesKind(
        "CR", ComputedRadiographyImageStorage, "CHEST PORTABLE", 1, 1, ExplicitVRLittleEndian
    ),
    "cr_truncated": SeriesKind(
        "CR", ComputedRadiographyImageStorage, "CHEST PORTABLE", 1, 1, ExplicitVRLittleEndian
    ),
    "cr_bare": SeriesKind(
        "CR", ComputedRadiographyImageStorage, "CHEST PORTABLE", 1, 1, ImplicitVRLittleEndian
    ),
    "sr_text": SeriesKind(
        "SR", BasicTextSRStorage, "RADIOLOGY REPORT", 1, 0, ExplicitVRLittleEndian
    ),
    "dx_chest": SeriesKind(
        "DX", DigitalXRayImageStorageForPresentation, "CHEST", 2, 1, JPEGLSLossless
    ),
    "dx_blurred": SeriesKind(
        "DX", DigitalXRayImageStorageForPresentation, "CHEST REPEAT", 1, 1, ExplicitVRLittleEndian
    ),
    "us_color": SeriesKind(
        "US", UltrasoundMultiFrameImageStorage, "LIVER COLOR", 1, 4, RLELossless
    ),
    "us_gray": SeriesKind(
        "US", UltrasoundMultiFrameImageStorage, "LIVER", 1, 6, ExplicitVRLittleEndian
    ),
    "mg_mlo": SeriesKind(
        "MG",
        DigitalMammographyXRayImageStorageForPresentation,
        "SCREENING MLO",
        2,
        1,
        JPEGLSLossless,
    ),
}


class StudyKind(NamedTuple):
    """A kind of study.

    Attributes:
        description: as in StudyDescription.
        series: keys of `SERIES_KINDS`.
        body_part: DICOM BodyPartExamined.
        body_site: SNOMED CT code and name of the same.
        report: LOINC code and name of its report.
        conclusion: what the report says.
    """

    description: str
    series: tuple[str, ...]
    body_part: str
    body_site: tuple[str, str]
    report: tuple[str, str]
    conclusion: str


_CHEST = ("51185008", "Thoracic structure")
_ABDOMEN = ("113345001", "Abdominal structure")
_CHEST_FILM = ("30745-4", "XR Chest Views")
STUDY_KINDS = (
    StudyKind(
        "CT CHEST", ("ct_chest",), "CHEST", _CHEST, ("24627-2", "CT Chest"),
        "No focal consolidation. No pleural effusion.",
    ),
    StudyKind(
        "MR BRAIN", ("mr_t1", "mr_t2"), "BRAIN", ("12738006", "Brain structure"),
        ("24590-2", "MR Brain"), "Normal ventricles. One small focus of high T2 signal.",
    ),
    StudyKind(
        "CHEST PA", ("cr_chest",), "CHEST", _CHEST, _CHEST_FILM, "Clear lungs. Normal heart size.",
    ),
    StudyKind(
        "CHEST 2 VIEWS", ("dx_chest",), "CHEST", _CHEST, ("36643-5", "XR Chest 2 Views"),
        "No acute cardiopulmonary disease.",
    ),
    StudyKind(
        "US ABDOMEN", ("us_gray", "us_color"), "ABDOMEN", _ABDOMEN, ("24558-9", "US Abdomen"),
        "Simple cyst of the right liver lobe.",
    ),
    StudyKind(
        "MG SCREENING", ("mg_mlo",), "BREAST", ("76752008", "Breast structure"),
        ("24606-6", "MG Breast Screening"), "BI-RADS 2: benign calcifications.",
    ),
    StudyKind(
        "CT ABDOMEN", ("ct_abdomen",), "ABDOMEN", _ABDOMEN, ("41806-1", "CT Abdomen"),
        "Unremarkable liver, spleen and kidneys.",
    ),
    StudyKind(
        "CT CHEST LOW DOSE", ("ct_noisy",), "CHEST", _CHEST, ("24627-2", "CT Chest"),
        "Not diagnostic: too much noise. Repeat advised.",
    ),
    StudyKind(
        "CHEST REPEAT", ("dx_blurred",), "CHEST", _CHEST, _CHEST_FILM,
        "Not diagnostic: the patient moved.",
    ),
    StudyKind(
        "CHEST PORTABLE", ("cr_constant", "cr_truncated", "cr_bare", "sr_text"), "CHEST", _CHEST,
        _CHEST_FILM, "Detector failure. Repeat advised.",
    ),
)  # fmt: skip
_FEMALE_ONLY = "MG SCREENING"


@dataclass(frozen=True)
class Series:
    """A planned series: its kind's key, number in the study, UIDs of series and instances."""

    key: str
    number: int
    uid: str
    instance_uids: tuple[str, ...]

    @property
    def kind(self) -> SeriesKind:
        """What its key stands for."""
        return SERIES_KINDS[self.key]


@dataclass(frozen=True)
class Study:
    """A planned study of a person.

    Attributes:
        number: from 1.
        id: ImagingStudy.id.
        encounter_id: Encounter.id of the visit to the imaging department.
        report_id: DiagnosticReport.id of its report.
        start: local time with its offset.
    """

    number: int
    kind: StudyKind
    person: Person
    id: str
    encounter_id: str
    report_id: str
    uid: str
    accession: str
    start: datetime
    series: tuple[Series, ...]


def make_studies(seed: int, people: Sequence[Person]) -> list[Study]:
    """Plan the same ten studies whatever the number of people, spread over the grown ones."""
    grown = [person for person in people if person.age_on(LAST_DAY) >= _ADULT + 2]
    studies = []
    for number, kind in enumerate(STUDY_KINDS, start=1):
        of_woman = kind.description == _FEMALE_ONLY
        person = people[IMAGED_PERSON] if of_woman else grown[(number - 1) % len(grown)]
        studies.append(_study(seed, number, kind, person))
    return studies


def _study(seed: int, number: int, kind: StudyKind, person: Person) -> Study:
    draw = stream(seed, "study", number)
    day = date(2024, 1, 8) + timedelta(days=7 * draw.randrange(100) + draw.randrange(5))
    clock = time(draw.randrange(8, 17), draw.randrange(60), draw.randrange(60))
    series = tuple(
        Series(
            key,
            index,
            uid_of(seed, "series", number, index),
            tuple(
                uid_of(seed, "instance", number, index, instance)
                for instance in range(1, SERIES_KINDS[key].instances + 1)
            ),
        )
        for index, key in enumerate(kind.series, start=1)
    )
    return Study(
        number=number,
        kind=kind,
        person=person,
        id=uuid_of(seed, "imaging_study", number),
        encounter_id=uuid_of(seed, "imaging_visit", number),
        report_id=uuid_of(seed, "imaging_report", number),
        uid=uid_of(seed, "study", number),
        accession=f"A{day:%y%m%d}{number:04d}",
        start=datetime.combine(day, clock, LOCAL_TIME),
        series=series,
    )
