"""The sample as files in a folder, and what is in it.

Belongs here: putting the parts together, writing, counting. Each part is made in a module of its
own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from upath import UPath

from hc_assets.lake.atomic import write_bytes
from hc_assets.sample_data.dicom_files import make_dicom_files
from hc_assets.sample_data.fhir_files import FhirFile, make_fhir_files
from hc_assets.sample_data.flaw_kinds import INVALID, WARNED
from hc_assets.sample_data.flaws import Flaw, Oddity, Planter
from hc_assets.sample_data.histories import make_history
from hc_assets.sample_data.oddities import ODDITIES
from hc_assets.sample_data.patients import Person, make_carers, make_houses, make_people
from hc_assets.sample_data.seeded import stream
from hc_assets.sample_data.studies import Study, make_studies

SEED = 20260101
PATIENTS = 24
INVALID_SHARE = 0.025  # of the FHIR entries, so that a validation rate of 0.95 holds
_BROKEN_FHIR: tuple[tuple[str, str, bytes], ...] = (
    (
        "file-not-json",
        "fhir/bundles/not-json.json",
        b'<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/></Bundle>\n',
    ),
    ("file-empty", "fhir/bundles/empty.json", b""),
)


@dataclass(frozen=True)
class SampleSummary:
    """What a sample holds, for comparison with what a pipeline reports of it.

    Attributes:
        seed: what all follows from.
        patients: how many people it is about.
        files: number by kind: `fhir_bundle`, `fhir_ndjson`, `fhir_broken`, `dicom`,
            `dicom_unreadable`.
        entries: FHIR entries by the resource type they name, flawed ones too; "" for lines and
            files that can't be parsed, a file counting as one.
        series: DICOM series by modality.
        frames: DICOM frames by modality that can be decoded.
        flaws: all that is wrong, in FHIR and in DICOM.
        oddities: what looks wrong and is valid.
        written: files that were written.
        unchanged: files that were there with the same bytes, and were left untouched.
        size: bytes of all files.
    """

    seed: int
    patients: int
    files: Mapping[str, int]
    entries: Mapping[str, int]
    series: Mapping[str, int]
    frames: Mapping[str, int]
    flaws: tuple[Flaw, ...]
    oddities: tuple[Oddity, ...]
    written: int
    unchanged: int
    size: int

    @property
    def fhir_entries(self) -> int:
        """Entries of bundles, lines of NDJSON files, and files that are neither."""
        return sum(self.entries.values())

    def flaws_with(self, outcome: str) -> list[Flaw]:
        """Return the flaws of one outcome."""
        return [flaw for flaw in self.flaws if flaw.outcome == outcome]


@dataclass
class _Tally:
    files: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    flaws: list[Flaw] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)


def write_sample(folder: Path, *, seed: int = SEED, patients: int = PATIENTS) -> SampleSummary:
    """Write made-up FHIR and DICOM files, with known flaws in known places.

    The same seed and number of patients give the same bytes, with the same versions of NumPy,
    OpenCV, pydicom and its encoders. DICOM files are those of ten studies, whatever the number of
    patients; their PatientID is the id of the FHIR Patient.

    Args:
        folder: gains `fhir/` and `dicom/`, as a landing folder has them. Folders that are made are
            0700, files 0600; a file with the same bytes is left untouched, others under the same
            names are replaced.
        seed: what all follows from.
        patients: how many people, at least 1.

    Returns:
        What was written, and what is wrong with it.

    Raises:
        ValueError: `patients` is below 1.
        OSError: the folder can't be written.
    """
    people = make_people(seed, patients)
    studies = make_studies(seed, people)
    tally = _Tally()
    outcomes: Counter[bool] = Counter()
    size = 0
    fhir = _fhir_files(seed, people, studies, tally)
    for name, content in _all_files(fhir, seed, studies, tally):
        outcomes[_write(folder / name, content)] += 1
        size += len(content)
    return SampleSummary(
        seed=seed,
        patients=patients,
        files=dict(tally.files),
        entries=dict(tally.entries),
        series=dict(Counter(each.kind.modality for study in studies for each in study.series)),
        frames=_frames(studies),
        flaws=tuple(tally.flaws),
        oddities=tuple(tally.oddities),
        written=outcomes[True],
        unchanged=outcomes[False],
        size=size,
    )


def write_and_describe(folder: Path) -> str:
    """Write the sample, and describe it in a sentence."""
    summary = write_sample(folder)
    return f"{summary.patients} made-up patients, {sum(summary.files.values())} files"


def _fhir_files(
    seed: int, people: list[Person], studies: list[Study], tally: _Tally
) -> list[FhirFile]:
    histories = [make_history(seed, person) for person in people]
    files = make_fhir_files(seed, histories, studies, make_houses(seed), make_carers(seed))
    planter = Planter(files, _imaged(studies), stream(seed, "flaws"))
    tally.oddities += planter.plant_oddities(ODDITIES)
    total = sum(len(file.entries) for file in files)
    tally.flaws += planter.plant_flaws(INVALID, max(round(total * INVALID_SHARE), 1))
    tally.flaws += planter.plant_flaws(WARNED, sum(change.limit for change in WARNED))
    for file in files:
        tally.files["fhir_bundle" if file.is_bundle else "fhir_ndjson"] += 1
        tally.entries.update(entry.resource_type for entry in file.entries)
    return files


def _imaged(studies: list[Study]) -> set[str]:
    """Patients and ImagingStudies that DICOM files point to."""
    return {study.person.id for study in studies} | {study.id for study in studies}


def _all_files(
    fhir: list[FhirFile], seed: int, studies: list[Study], tally: _Tally
) -> Iterator[tuple[str, bytes]]:
    for file in fhir:
        yield file.name, file.content()
    for flaw_id, name, content in _BROKEN_FHIR:
        tally.files["fhir_broken"] += 1
        tally.flaws.append(Flaw(flaw_id, name, 0, "unreadable", "", "quarantined"))
        tally.entries[""] += 1
        yield name, content
    for dicom in make_dicom_files(seed, studies):
        unreadable = dicom.flaw is not None and dicom.flaw.outcome == "unreadable"
        tally.files["dicom_unreadable" if unreadable else "dicom"] += 1
        if dicom.flaw:
            tally.flaws.append(dicom.flaw)
        yield dicom.name, dicom.content


def _frames(studies: list[Study]) -> dict[str, int]:
    frames: Counter[str] = Counter()
    for study in studies:
        for series in study.series:
            if series.key != "cr_truncated" and series.kind.frames:
                frames[series.kind.modality] += series.kind.frames * series.kind.instances
    return dict(frames)


def _write(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all; give back whether it had to be written."""
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return False
    write_bytes(UPath(path), content)
    return True
