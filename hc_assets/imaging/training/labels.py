"""Labels of frames: from a CSV file, or from the codes of a patient's FHIR resources.

Belongs here: reading either into keys with labels. Which frame a key stands for is joined in
`plan.py`. Error texts name lines, never values: keys may be patients' ids.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from hc_assets.lake.atomic import HashingSink

# What a CSV may name frames by, the most exact first.
KEYS = (
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "accession_number",
    "patient_id",
)
_ROWS = 1_000
_EXISTS = """
    SELECT count(*) FROM information_schema.tables
    WHERE table_schema = 'fhir' AND table_name = 'current_resources'
"""
_CODED = """
    SELECT patient_id, resource FROM fhir.current_resources
    WHERE resource_type IN ('Condition', 'DiagnosticReport', 'Observation', 'Procedure')
        AND NOT is_deleted AND patient_id IS NOT NULL
"""
_PATIENTS = """
    SELECT resource_id, resource FROM fhir.current_resources
    WHERE resource_type = 'Patient' AND NOT is_deleted
"""
# What these say of a resource makes its codes say nothing of the patient.
_VOID_STATUS = frozenset(["entered-in-error", "cancelled", "not-done"])
_VOID_VERIFICATION = frozenset(["refuted", "entered-in-error"])


class LabelsError(Exception):
    """A file of labels is not as it must be; names file, line, expected and found."""


@dataclass(frozen=True)
class LabelRow:
    """A label of what a key stands for.

    Attributes:
        key: value of the key column.
        frame: number of the frame; None for all frames.
        label: None where it is known that there is none.
    """

    key: str
    frame: int | None
    label: str | None


def key_column(path: Path) -> str:
    """Tell what a file of labels names frames by.

    Raises:
        LabelsError: its first line names none of `KEYS`, or has no column `label`.
    """
    with path.open(newline="", encoding="utf-8-sig") as lines:
        header = next(csv.reader(lines), [])
    for name in KEYS:
        if name in header and "label" in header:
            return name
    raise LabelsError(
        f"{path.name}:1: expected columns label and one of {', '.join(KEYS)};"
        f" found {len(header)} columns without"
    )


def read_csv(path: Path) -> Iterator[LabelRow]:
    """Read a file of labels: a key column, `label`, and perhaps `frame`.

    Several lines of one key give it several labels; an empty label says that it has none.

    Raises:
        LabelsError: a line lacks a field, has an empty key, or a frame that is no whole number.
    """
    name = key_column(path)
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines, restval=None)
        for row in reader:
            place = f"{path.name}:{reader.line_num}"
            if None in row or None in row.values():
                expected = len(reader.fieldnames or ())
                raise LabelsError(f"{place}: expected {expected} fields, found more or fewer")
            key, frame = row[name].strip(), (row.get("frame") or "").strip()
            if not key:
                raise LabelsError(f"{place}: expected a {name}, found an empty field")
            if frame and not frame.isdecimal():
                raise LabelsError(f"{place}: expected a frame number from 0, found other text")
            yield LabelRow(key, int(frame) if frame else None, row["label"].strip() or None)


class _Coding(msgspec.Struct):
    system: str | None = None
    code: str | None = None


class _Concept(msgspec.Struct):
    coding: list[_Coding] = []


class _Coded(msgspec.Struct, rename="camel", kw_only=True):
    """What of a resource can carry a label.

    An Observation's `code` says what was looked for, not what was found: only its value counts.
    """

    resource_type: str
    status: str | None = None
    verification_status: _Concept | None = None
    code: _Concept | None = None
    conclusion_code: list[_Concept] = []
    value_codeable_concept: _Concept | None = None

    def codings(self) -> Iterator[_Coding]:
        if self.status in _VOID_STATUS:
            return
        verified = self.verification_status.coding if self.verification_status else []
        if any(coding.code in _VOID_VERIFICATION for coding in verified):
            return
        concepts = list(self.conclusion_code)
        if self.code and self.resource_type != "Observation":
            concepts.append(self.code)
        if self.value_codeable_concept:
            concepts.append(self.value_codeable_concept)
        for concept in concepts:
            yield from concept.coding


class _Identifier(msgspec.Struct):
    system: str | None = None
    value: str | None = None


class _Patient(msgspec.Struct):
    identifier: list[_Identifier] = []


def has_fhir(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether FHIR was taken into the warehouse."""
    return connection.execute(_EXISTS).fetchall() != [(0,)]


def coded_patients(
    connection: duckdb.DuckDBPyConnection, codes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Find the patients whose resources carry a code.

    Codes count in `Condition.code`, `Procedure.code`, `DiagnosticReport.code` and
    `.conclusionCode`, `Observation.valueCodeableConcept`. Resources that were cancelled, not done,
    refuted or entered in error do not count.

    Args:
        connection: to the warehouse.
        codes: by label, each `system|code`, or `code` for any system.

    Yields:
        Id of a Patient and a label; the same pair perhaps several times.
    """
    by_code: dict[str, list[str]] = {}
    for label, tokens in codes.items():
        for token in tokens:
            by_code.setdefault(token, []).append(label)
    cursor = connection.cursor()
    rows = cursor.execute(_CODED)
    while batch := rows.fetchmany(_ROWS):
        for patient, resource in batch:
            for coding in msgspec.json.decode(resource, type=_Coded).codings():
                for token in (coding.code or "", f"{coding.system or ''}|{coding.code or ''}"):
                    yield from ((patient, label) for label in by_code.get(token, ()))


def patient_names(connection: duckdb.DuckDBPyConnection, system: str) -> Iterator[tuple[str, str]]:
    """Give what DICOM may call each Patient of FHIR.

    Args:
        connection: to the warehouse.
        system: that PatientIDs are identifiers of; "" takes identifiers of any system, and ids.

    Yields:
        A possible PatientID, and the Patient's id.
    """
    cursor = connection.cursor()
    rows = cursor.execute(_PATIENTS)
    while batch := rows.fetchmany(_ROWS):
        for id_, resource in batch:
            if not system:
                yield id_, id_
            for each in msgspec.json.decode(resource, type=_Patient).identifier:
                if each.value and (not system or each.system == system):
                    yield each.value.strip(), id_


def file_hash(path: Path) -> str:
    """SHA-256 of a file of labels, for the manifest."""
    sink = HashingSink.discarding()
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            sink.write(block)
    return sink.hexdigest()
